"""Kill -9 a program in the middle of a backfill with `downstream`: the next one goes on and ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.jobs.stores import BackfillState, RunFilter, SqliteStore, StoreReader

PROGRAM = """
import asyncio, os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from mainspring.jobs import JobApp

START = datetime(2013, 1, 1, tzinfo=UTC)
app = JobApp("shop", store=Path(sys.argv[1]), durability="process", poll_interval=0.05, schedule=False)
left = int(sys.argv[2])

def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

@app.job("hours", cron="0 * * * *")
async def hours():
    step()

@app.job("days", cron="0 0 * * *", needs=["hours"])
async def days():
    step()

async def main():
    await app.open()
    known = await app.store.backfills()
    if known:
        first = await app.backfill_by_id(min(row.backfill_id for row in known))
    else:
        first = await app.backfill("hours", START, START + timedelta(days=2), downstream=True)
    for one in (first, *await first.downstream()):
        await one.wait()

asyncio.run(main())
"""


def run_program(path: Path, moment: int) -> int:
    """Run the program, which dies in its `moment`-th handler; return how it ended."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", PROGRAM, str(path), str(moment)]
    return subprocess.run(argv, check=False, env=env, timeout=60).returncode


@pytest.mark.parametrize("moments", [(1, 30), (48, 2), (49, 1), (20, 20)])
async def test_a_killed_reprocessing_goes_on_and_ends(tmp_path: Path, moments: tuple[int, ...]) -> None:
    path = tmp_path / "jobs.db"
    for moment in moments:
        run_program(path, moment)
    assert 0 == run_program(path, -1)
    reader: StoreReader = SqliteStore(path).reader()
    await reader.open()
    try:
        rows = await reader.backfills()
        assert {(row.job_id, row.state, row.succeeded_count) for row in rows} == {
            ("hours", BackfillState.FINISHED, 48),
            ("days", BackfillState.FINISHED, 2),
        }
        records = await reader.runs(RunFilter(limit=100))
        last_hour = max(record.finished_at or 0 for record in records if record.job_id == "hours")
        assert all((record.started_at or 0) >= last_hour for record in records if record.job_id == "days")
    finally:
        await reader.close()


def test_the_program_really_dies(tmp_path: Path) -> None:
    assert -signal.SIGKILL == run_program(tmp_path / "jobs.db", 3)
