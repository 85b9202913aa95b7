"""`mainspring run --reload` begins anew when a Python file of the app changes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any  # Any: what a command wrote

import pytest

pytest.importorskip("typer")

from mainspring.cli import _main, run_command_line
from mainspring.cli._load import load_app
from mainspring.cli._reload import SourceWatch, load_watched
from mainspring.errors import InvalidArgumentError

pytestmark = pytest.mark.extras

APP = """
from mainspring.jobs import JobApp
from reload_jobs import COUNT

app = JobApp("shop")
for number in range(COUNT):
    app.job(f"job-{number}")(lambda: None)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "reload_shop.py").write_text(APP)
    (tmp_path / "reload_jobs.py").write_text("COUNT = 1\n")
    yield tmp_path
    for name in ("reload_shop", "reload_jobs", "reload_package", "reload_package.part"):
        sys.modules.pop(name, None)


def put(path: Path, text: str) -> None:
    """Write a file as editors do: nobody sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def told_jobs(child: subprocess.Popen[str]) -> int:
    assert child.stdout is not None
    assert child.stderr is not None
    line = child.stdout.readline()
    assert line, child.stderr.read()  # it has ended
    jobs = json.loads(line)["jobs"]
    assert isinstance(jobs, int)
    return jobs


def test_a_change_begins_anew_also_after_code_that_cannot_be_loaded(folder: Path) -> None:
    command = [sys.executable, "-m", "mainspring", "run", "reload_shop.py", "--reload", "--no-web", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=folder, env=environment, **pipes) as child:
        assert child.stderr is not None
        try:
            assert 1 == told_jobs(child)
            put(folder / "reload_jobs.py", "COUNT = 22\n")
            assert 22 == told_jobs(child)
            put(folder / "reload_jobs.py", "COUNT = oh no\n")
            assert any("reload_jobs.py:1: SyntaxError" in line for line in child.stderr)
            put(folder / "reload_jobs.py", "COUNT = 333\n")
            assert 333 == told_jobs(child)
            child.send_signal(signal.SIGTERM)
            assert 0 == child.wait(30)
        finally:
            child.kill()


class BegunAnew(BaseException):
    """Stands for the end of this interpreter."""


def test_the_interpreter_is_replaced_by_one_with_the_same_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the child above did, where it can be seen: code that is broken until the end, and changes all the time."""
    asked: list[tuple[str, list[str]]] = []

    def replace(program: str, arguments: list[str]) -> None:
        asked.append((program, arguments))
        raise BegunAnew

    def keep_changing() -> None:
        number = 0
        while not over.wait(0.01):
            number += 1
            put(folder / "reload_jobs.py", f"COUNT = oh no {number}\n")

    monkeypatch.setattr(os, "execv", replace)
    put(folder / "reload_jobs.py", "COUNT = oh no\n")
    over = threading.Event()
    editor = threading.Thread(target=keep_changing)
    editor.start()
    try:
        with pytest.raises(BegunAnew):
            load_watched(str(folder / "reload_shop.py"))
    finally:
        over.set()
        editor.join()
    assert [(sys.executable, [sys.executable, *sys.orig_argv[1:]])] == asked
    first, *_, last = capsys.readouterr().err.splitlines()
    assert "reload_jobs.py:1: SyntaxError" in first
    assert "waiting for a change" in last


async def test_all_folders_of_the_code_are_watched(folder: Path) -> None:
    package = folder / "reload_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "part.py").touch()
    (folder / "reload_jobs.py").write_text("import reload_package.part\nCOUNT = 1\n")
    (folder / "notes.txt").touch()
    name = str(folder / "reload_shop.py")
    load_app(name)
    watch = SourceWatch(name)
    (folder / "notes.txt").write_text("no code")
    assert not watch.has_changed
    (package / "part.py").write_text("X = 1")
    await asyncio.wait_for(watch.changed(), 30)
    watch = SourceWatch(name)
    (package / "more.py").touch()
    assert watch.has_changed
    watch = SourceWatch(name)
    for file in package.glob("*.py"):
        file.unlink()
    package.rmdir()
    assert watch.has_changed


def test_of_code_that_fails_the_failing_file_is_watched(folder: Path) -> None:
    package = folder / "reload_package"
    package.mkdir()
    (package / "__init__.py").write_text("import nothing_of_this_name")
    (folder / "reload_jobs.py").write_text("import reload_package\n")
    name = str(folder / "reload_shop.py")
    with pytest.raises(InvalidArgumentError, match="nothing_of_this_name") as caught:
        load_app(name)
    watch = SourceWatch(name, caught.value)
    (package / "__init__.py").write_text("")
    assert watch.has_changed


def test_an_app_in_a_module_is_watched_where_it_lies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    load_app("reload_shop:app")
    watch = SourceWatch("reload_shop:app")
    (folder / "reload_jobs.py").write_text("COUNT = 4444")
    assert watch.has_changed
    watch = SourceWatch("reload_absent:app")
    (folder / "reload_absent.py").touch()
    assert watch.has_changed


def test_links_to_nothing_hide_no_other_file(folder: Path) -> None:
    package = folder / "reload_package"
    package.mkdir()
    for number in range(20):  # the order in which a folder is listed is the file system's
        (package / f"link_{number}.py").symlink_to(folder / "nothing.py")
        if number == 10:
            (package / "__init__.py").touch()
    (folder / "reload_jobs.py").write_text("import reload_package\nCOUNT = 1\n")
    load_app(str(folder / "reload_shop.py"))
    watch = SourceWatch(str(folder / "reload_shop.py"))
    (package / "__init__.py").write_text("X = 1")
    assert watch.has_changed


def test_a_change_while_the_pages_are_made_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watches: list[SourceWatch] = []

    def change(*_: object, **__: object) -> None:
        (folder / "reload_jobs.py").write_text("COUNT = 4444")

    async def keep(*_: object, watch: SourceWatch, **__: object) -> bool:
        watches.append(watch)
        return False

    monkeypatch.setattr(_main, "make_web", change)
    monkeypatch.setattr(_main, "run_app", keep)
    assert 0 == run_command_line(["run", str(folder / "reload_shop.py"), "--reload", "--no-console"])
    assert [True] == [watch.has_changed for watch in watches]
