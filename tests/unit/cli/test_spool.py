"""What sinks refused is listed and tried again from the command line, in ended processes and in running ones."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from mainspring.cli import run_command_line
from mainspring.cli._load import load_app
from mainspring.sinks import survey_spools
from mainspring.testing import eventually

pytestmark = pytest.mark.extras

APP = """
import asyncio
from pathlib import Path
from mainspring.base import Backoff
from mainspring.jobs import JobApp
from mainspring.sinks import Delivery

here = Path(__file__).parent
app = JobApp("shop", store=here / "state.db", durability="process", poll_interval=0.05, spool=here / "kept")
NOW = Backoff.constant(0.0, max_tries=1)
terms = Delivery(retry=NOW, spool_retry=Backoff.constant(0.0), spool_tries=1, on_failure="spool")

@app.sink(dict, name="prices", delivery=terms)
async def prices(batch):
    if not (here / "up").exists():
        raise OSError("refused")
    with (here / "written").open("a") as file:
        file.writelines(f"{one['n']}\\n" for one in batch)

@app.job("load")
async def load(ctx):
    for n in ctx.config["numbers"]:
        await ctx.emit({"n": n})

if __name__ == "__main__":
    async def main():
        await app.open()
        await app.run_job("load", {"numbers": [7]})
        while not app.spool_stats().dead_count:
            await asyncio.sleep(0.01)
        print("dead", flush=True)
        while app.spool_stats().dead_count or app.spool_stats().waiting_count:
            await asyncio.sleep(0.01)
        print("written", flush=True)
        await app.close()
    asyncio.run(main())
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("spool_shop", None)
    path = tmp_path / "spool_shop.py"
    path.write_text(APP)
    return path


class Command:
    """Runs commands and reads what they write."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code = 0
        self.complaint = ""

    def text(self, *argv: str) -> str:
        self.code = run_command_line(argv)
        said = self._capsys.readouterr()
        self.complaint = said.err
        return said.out

    def json(self, *argv: str) -> Any:
        return json.loads(self.text(*argv, "--json"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def die_with_letters(app: Path, command: Command, *numbers: int) -> None:
    """Leave dead letters; a command may end before its item was tried as often as it may be."""
    for number in numbers:
        said = command.json("trigger", str(app), "load", "--config", f"numbers=[{number}]", "--wait")
        assert ("succeeded", None) == (said["state"], said["error"])
        assert said["note"].startswith("items are spooled: 1")
    asyncio.run(all_dead(app, len(numbers)))


async def all_dead(app: Path, count: int) -> None:
    loaded = load_app(str(app))
    async with loaded.sink_set(spool=loaded.spool_folder) as sinks:
        await eventually(lambda: sinks.spool is not None and sinks.spool.stats().dead_count == count, within=30.0)


def test_nothing_waits_in_the_beginning(app: Path, command: Command) -> None:
    assert "nothing waits on disk\n" == command.text("spool", str(app))
    assert "there are no dead letters\n" == command.text("dead-letters", str(app))
    assert {"asked": 0, "tried": 0, "written": 0, "left": 0} == command.json("replay", str(app))
    assert (1, "error: there are no dead letters\n") == (command.code, command.complaint)
    command.text("replay", str(app), "--sink", "price")
    assert "error: there are no dead letters of sink 'price'\n" == command.complaint


def test_letters_of_a_renamed_sink_say_what_is_the_matter(app: Path, command: Command) -> None:
    name, text = str(app), app.read_text()
    app.write_text(text.replace("spool_retry=Backoff.constant(0.0)", "spool_retry=Backoff.constant(3600.0)"))
    command.json("trigger", name, "load", "--config", "numbers=[1]", "--wait")
    (row,) = command.json("spool", name)
    assert ("prices", 1, 0, None) == (row["sink"], row["waiting"], row["dead"], row["trouble"])
    app.write_text(app.read_text().replace('name="prices"', 'name="new_prices"'))
    sys.modules.pop("spool_shop", None)
    (row,) = command.json("spool", name)
    assert ("prices", 0, 1) == (row["sink"], row["waiting"], row["dead"])
    assert row["trouble"].startswith("this program has no sink 'prices' (it has new_prices)")
    (letter,) = command.json("dead-letters", name)
    assert (row["trouble"], ["{'n': 1}"]) == (letter["reason"], letter["items"])
    assert {"asked": 0, "tried": 0, "written": 0, "left": 1} == command.json("replay", name)
    assert (1, f"error: {row['trouble']}\n") == (command.code, command.complaint)
    command.text("drop-letters", name)
    assert 2 == command.code
    assert {"asked": 0, "dropped": 1} == command.json("drop-letters", name, letter["letter"])
    assert 0 == command.code
    assert {"asked": 0, "dropped": 0} == command.json("drop-letters", name, "--sink", "prices")
    assert (1, "error: there are no dead letters of sink 'prices'\n") == (command.code, command.complaint)
    assert [] == command.json("spool", name)


def test_dead_letters_of_ended_processes_are_tried_here(app: Path, command: Command) -> None:
    die_with_letters(app, command, 1, 2)
    name = str(app)
    assert {"asked": 0, "tried": 2, "written": 0, "left": 2} == command.json("replay", name)
    (row,) = command.json("spool", name)
    assert ("prices", "ended", 0, 2) == (row["sink"], row["process"], row["waiting"], row["dead"])
    letters = command.json("dead-letters", name)
    assert 2 == len(letters)
    assert {"OSError: refused"} == {one["reason"] for one in letters}
    assert {"load"} == {one["job"] for one in letters}
    assert [] == command.json("dead-letters", name, "--sink", "other")
    tried = command.json("replay", name, letters[0]["letter"])
    assert {"asked": 0, "tried": 1, "written": 0, "left": 1} == tried
    assert 1 == command.code
    (app.parent / "up").touch()
    assert {"asked": 0, "tried": 2, "written": 2, "left": 0} == command.json("replay", name)
    assert 0 == command.code
    assert ["1", "2"] == sorted((app.parent / "written").read_text().split())
    command.text("replay", name, "12345678:9")
    assert 2 == command.code


def test_a_running_process_is_asked(app: Path, command: Command) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(app)], stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        try:
            assert "dead\n" == child.stdout.readline()
            (row,) = command.json("spool", str(app))
            assert ("running", 1, 0) == (row["process"], row["dead"], row["waiting"])
            (app.parent / "up").touch()
            assert {"asked": 1, "tried": 0, "written": 0, "left": 0} == command.json("replay", str(app))
            assert "written\n" == child.stdout.readline()
        finally:
            child.kill()
    assert "7\n" == (app.parent / "written").read_text()
    assert [] == [one for one in survey_spools(app.parent / "kept") if one.dead]
