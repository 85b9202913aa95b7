"""Settings of the demo: where they come from, and who is told of failures."""

import io
import os
from pathlib import Path

import pytest

pytest.importorskip("rich")

from rich.console import Console

from mainspring.demo.__main__ import main, parse
from mainspring.demo._board_client import BoardAsked
from mainspring.demo._program import Asked
from mainspring.demo._settings import alert
from mainspring.testing import NotifyGateway
from mainspring.tools import Notifier

pytestmark = pytest.mark.extras


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MAINSPRING__")]:
        monkeypatch.delenv(name)


def test_the_command_line_wins_over_variables_and_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mainspring.toml").write_text('[demo]\ndays = 3\nseed = 1\nstate = "files"\n')
    monkeypatch.setenv("MAINSPRING__DEMO__SEED", "2")
    asked = parse([])
    assert isinstance(asked, Asked)
    assert (3, 2, Path("files")) == (asked.days, asked.seed, asked.state)
    asked = parse(["--days", "5", "--seed", "7"])
    assert isinstance(asked, Asked)
    assert (5, 7) == (asked.days, asked.seed)


def test_the_board_is_looked_for_in_the_directory_of_the_settings() -> None:
    Path("mainspring.toml").write_text('[demo]\nstate = "files"\n')
    asked = parse(["--board", "--airport", "JFK", "--airport", "LGA", "--count", "2", "--json"])
    assert BoardAsked(Path("files"), ("JFK", "LGA"), 2, json=True) == asked


def test_wrong_settings_are_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mainspring.toml").write_text('[demo]\ndays = "many"\n')
    assert 2 == main([])
    assert "mainspring.toml:2: demo.days: expected `int`, got `str`" in capsys.readouterr().err


def settings_of(url: str) -> None:
    Path("mainspring.toml").write_text(f'[notifier]\nurl = "{url}"\nuser_id = "demo"\n[demo]\nalert_channel = "ops"\n')


async def test_failures_are_told() -> None:
    console = Console(file=io.StringIO())
    await alert("nobody to tell", console)
    async with NotifyGateway() as gateway:
        settings_of(gateway.url)
        await Notifier(url=gateway.url, user_id="demo").add_channel("ops", "slack", "https://hook/x")
        await alert("3 intervals failed", console)
        assert ["3 intervals failed"] == [one.data for one in gateway.sent]


async def test_a_failure_to_tell_is_told_on_the_console() -> None:
    text = io.StringIO()
    async with NotifyGateway() as gateway:
        settings_of(gateway.url)
        await alert("3 intervals failed", Console(file=text, width=200))
    assert "the alert was not sent: the notification was not taken (status 200, code 404)" in text.getvalue()
