"""Programs that run jobs get real signals while a handler runs; what is looked at then is their store.

Leases last an hour: whatever the next start takes up has not waited for one.
"""

import asyncio
import runpy
import signal
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Final

import pytest
from tests.faults.support_programs import lines_until, started

from mainspring.jobs import JobApp

APP: Final = """
import asyncio, os
from pathlib import Path
from mainspring.jobs import JobApp, JobContext
from mainspring.jobs.stores import SqliteStore
from mainspring.runtime import entrypoint
from mainspring.sinks import SqlTable

store = SqliteStore(Path(__file__).with_name("state.db"), durability="process", lease=3600)
app = JobApp("drained", store=store, slots=2, drain_timeout=float(os.environ.get("DRAIN", 0)))

@app.job("load", sink=SqlTable("rows"))
async def load(ctx: JobContext) -> None:
    claiming = [task for task in asyncio.all_tasks() if task.get_name() == "mainspring-claim"]
    print("begun", flush=True)
    await ctx.emit({"number": 1})
    await asyncio.wait(claiming)
    await ctx.emit({"number": 2})
    print("drained", flush=True)
    if "STAYS" in os.environ:
        await asyncio.Event().wait()
    for key in ("one", "two"):
        await ctx.spawn("later", key=key)

@app.job("later")
async def later() -> None: ...

if __name__ == "__main__":
    with entrypoint(app) as loop:
        print("running", flush=True)
        loop.run_forever()
"""
LONG: Final = "60"
NOT_BEGUN: Final = [("later", "available", 0, 0, 0)] * 2  # made during the drain, while a slot was free

COMMAND: Final = pytest.param(["-m", "mainspring", "run", "--no-web", "--no-console"], 0, marks=pytest.mark.extras)
PROGRAM: Final = pytest.param([], 128 + signal.SIGTERM)


class Place:
    """An app in a file, and the store beside it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "drained_app.py"
        self.file.write_text(APP)

    @contextmanager
    def running(self, words: list[str], **environment: str) -> Generator["Popen[str]"]:
        """Start the program, and wait until it is up and has begun the run."""
        with started([sys.executable, *words, str(self.file)], **environment) as child:
            assert child.stdout is not None
            said = {child.stdout.readline().split(" ")[0].strip() for _ in range(2)}
            assert {"running", "begun"} == said, child.communicate()
            yield child

    def app(self) -> JobApp:
        found = runpy.run_path(str(self.file))["app"]
        assert isinstance(found, JobApp)
        return found

    def trigger(self) -> None:
        """Store a run for the program."""

        async def store() -> None:
            app = self.app()
            await app.open(runner=False)
            try:
                await app.run_job("load", wait=False)
            finally:
                await app.close()

        asyncio.run(store())

    def look(self) -> list[tuple[str, str, int, int, int]]:
        """Return of each run its job, state, attempts, rescues and number of events."""

        async def read() -> list[tuple[str, str, int, int, int]]:
            async with self.app().reading() as reader:
                return [
                    (one.job_id, str(one.state), one.attempt, one.rescues, len(await reader.events(one.run_id)))
                    for one in reversed(await reader.runs())
                ]

        return asyncio.run(read())

    def rows(self) -> list[int]:
        """Return what the sink holds."""
        with closing(sqlite3.connect(self.file.with_name("state.db"))) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'").fetchall():
                return []
            return [number for (number,) in connection.execute("SELECT number FROM rows ORDER BY number")]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.trigger()
    return place


@pytest.mark.parametrize(("words", "code"), [COMMAND, PROGRAM])
def test_a_signal_hands_a_run_back_that_does_not_end_and_lets_one_end_that_does(
    place: Place, words: list[str], code: int
) -> None:
    with place.running(words, DRAIN="0.01", STAYS="yes") as child:
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    assert code == child.returncode, errors
    assert [("load", "available", 0, 0, 0)] == place.look()
    assert [] == place.rows()

    with place.running(words, DRAIN=LONG) as child:
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    assert code == child.returncode, errors
    assert "Traceback" not in errors
    assert [("load", "succeeded", 1, 0, 0), *NOT_BEGUN] == place.look()
    assert [1, 2] == place.rows()


def test_a_second_signal_ends_at_once_and_the_next_start_takes_up_what_ran(place: Place) -> None:
    with place.running([], DRAIN=LONG, STAYS="yes") as child:
        child.send_signal(signal.SIGTERM)
        lines_until(child, "drained")
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    assert 128 + signal.SIGTERM == child.returncode, errors
    assert [("load", "running", 1, 0, 0)] == place.look()
    assert [] == place.rows()

    with place.running([], DRAIN=LONG) as child:
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    assert 128 + signal.SIGTERM == child.returncode, errors
    assert [
        ("load", "succeeded", 1, 1, 1),
        *NOT_BEGUN,
    ] == place.look()  # the dead node's lease counts as a rescue, not a try
    assert [1, 2] == place.rows()
