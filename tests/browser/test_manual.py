"""The manual as a reader has it: in a browser, without the network."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the browser's driver is no part of the environment without extras")

from playwright.sync_api import Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The built manual on a local server, whose many short threads are not traced: starting them at once can fail."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=100)
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(site)]
    with subprocess.Popen(
        command, env=untraced, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().partition(" port ")[2].split()[0]
        yield f"http://127.0.0.1:{port}"
        server.terminate()


class Reader:
    """A reader's browser; it notes each request that would leave the machine and each error of a page."""

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.home = home
        self.foreign: list[str] = []
        self.errors: list[str] = []
        page.route("**/*", self._look)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def _look(self, route: Route) -> None:
        if route.request.url.startswith(self.home):
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()


@pytest.fixture
def reader(manual: str) -> Iterator[Reader]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Reader(browser.new_page(viewport={"width": 360, "height": 740}), manual)
        browser.close()


def test_each_part_opens_from_the_menu_and_asks_nobody_else(reader: Reader) -> None:
    reader.page.goto(reader.home)
    parts = reader.page.locator(".wy-menu-vertical a.reference.internal").all()
    places = [part.get_attribute("href") or "" for part in parts if part.get_attribute("href") not in (".", "#")]
    assert len(places) >= 6
    for place in places:
        reader.page.goto(f"{reader.home}/{place}")
        assert 1 == reader.page.locator("h1").count(), place
    assert ([], []) == (reader.foreign, reader.errors)


def test_a_word_is_found(reader: Reader) -> None:
    reader.page.goto(f"{reader.home}/search.html?q=backfill")
    reader.page.locator("#mkdocs-search-results article").first.wait_for()
    assert "backfill" in reader.page.locator("#mkdocs-search-results").inner_text().lower()
    assert ([], []) == (reader.foreign, reader.errors)


def test_tables_fit_the_page(reader: Reader) -> None:
    reader.page.set_viewport_size({"width": 1100, "height": 900})
    for place in ("install/", "topics/options/", "how-to/choose-an-executor/"):
        reader.page.goto(f"{reader.home}/{place}")
        tables = reader.page.locator(".wy-table-responsive")
        assert tables.count() > 0
        too_wide = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.innerText)"
        assert [] == tables.evaluate_all(too_wide), place
    assert ([], []) == (reader.foreign, reader.errors)
