"""Kill -9 a program whose run waits for runs that it spawned: the next one gets the same, and none twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.jobs.stores import RunFilter, SqliteStore, StoreReader

PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("crawl", store=Path(sys.argv[1]), durability="process", poll_interval=0.05, schedule=False, slots=2)
left = int(sys.argv[2])

def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

@app.job("site")
async def site(ctx):
    pages = []
    for number in range(5):
        step()
        pages.append(await ctx.spawn("page", {"number": number}, key=str(number)))
    results = await asyncio.gather(*(page.wait() for page in pages))
    step()
    return sum(result.check().value for result in results)

@app.job("page")
async def page(config):
    step()
    return config["number"]

async def main():
    result = await app.run_job("site", idempotency_key="once")
    assert result.value == 10, result

asyncio.run(main())
"""


def run_program(path: Path, moment: int) -> int:
    """Run the program, which dies at its `moment`-th step; return how it ended."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", PROGRAM, str(path), str(moment)]
    return subprocess.run(argv, check=False, env=env, timeout=60).returncode


@pytest.mark.parametrize("moments", [(3,), (8,), (11,), (4, 7)])
async def test_a_killed_parent_gets_the_same_children(tmp_path: Path, moments: tuple[int, ...]) -> None:
    path = tmp_path / "jobs.db"
    for moment in moments:
        assert -signal.SIGKILL == run_program(path, moment)
    assert 0 == run_program(path, -1)
    reader: StoreReader = SqliteStore(path).reader()
    await reader.open()
    try:
        records = await reader.runs(RunFilter(limit=100))
        assert {"succeeded"} == {record.state.value for record in records}
        assert ["page"] * 5 + ["site"] == sorted(record.job_id for record in records)
        (site,) = [record for record in records if record.job_id == "site"]
        assert len(moments) == site.rescues
        assert {site.run_id} == {record.parent_run for record in records if record.job_id == "page"}
    finally:
        await reader.close()
