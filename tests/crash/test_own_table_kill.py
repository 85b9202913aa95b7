"""Kill -9 a process between the commit of a table's own database and the end of the run: its rows count once."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = """
import asyncio, sys
from collections.abc import AsyncIterator
from tests.crash.support_traps import set_trap
from mainspring.jobs import JobApp
from mainspring.jobs.stores import SqliteStore
from mainspring.sinks import SqlTable

folder, trap = sys.argv[1:]
app = JobApp("victim", store=SqliteStore(folder + "/jobs.db", durability="process"), poll_interval=0.1)

@app.job("load", sink=SqlTable("rows", database=folder + "/own.db"))
async def load() -> AsyncIterator[dict[str, int]]:
    for number in range(6_000):
        yield {"number": number}

async def main() -> None:
    await app.start()
    try:
        result = await app.run_job("load", idempotency_key="once")
        print(result.state, result.error)
    finally:
        await app.stop()

if trap:
    set_trap(trap, 1)
asyncio.run(main())
"""


def run_program(folder: Path, trap: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), trap],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=150,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.timeout(320)
def test_rows_of_a_run_that_was_killed_after_their_commit_count_once(tmp_path: Path) -> None:
    died = run_program(tmp_path, "mainspring.sinks._own_database:OwnDatabase.commit:after")
    assert (-signal.SIGKILL, "") == died
    with closing(sqlite3.connect(tmp_path / "own.db")) as own:
        assert (6_000,) == own.execute("SELECT count(*) FROM rows").fetchone()
        assert (0, "succeeded None\n") == run_program(tmp_path, "")
        assert (6_000, 6_000) == own.execute("SELECT count(*), count(DISTINCT number) FROM rows").fetchone()
        assert (0,) == own.execute("SELECT count(*) FROM stage").fetchone()
