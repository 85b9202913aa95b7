"""Kill -9 a process that writes the file of an interval again and again: the file is whole at every moment."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.base import current_random, use_random

WRITER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from mainspring.sinks import JsonLines, SinkRun, SinkSet

START = datetime(2013, 1, 1, tzinfo=UTC)

async def main():
    sink = JsonLines(sys.argv[1] + "/{start:%H}.jsonl")
    fence = int(sys.argv[2])
    async with SinkSet() as sinks:
        while True:
            fence += 1
            run = SinkRun(f"run-{fence}", "load", fence, 1, START, START, START + timedelta(hours=1))
            session = sinks.session(run, default=sink)
            for _ in range(3_000):
                await session.emit({"fence": fence, "text": "x" * 200})
            print("begun", fence, flush=True)
            await session.finish()
            print("ended", fence, flush=True)

asyncio.run(main())
"""


def run_until_killed(folder: Path, fence: int, lines: int) -> tuple[int, int]:
    """Return the last claim that was acknowledged, 0 for none, and the last that had begun."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(folder), str(fence)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    words = [line.split() for line in said if line.endswith("\n")]
    ended = [int(number) for word, number in words if word == "ended"]
    return max(ended, default=0), max(int(number) for _, number in words)


@pytest.mark.parametrize("seed", range(3))
def test_the_file_holds_one_claims_rows_after_any_kill(tmp_path: Path, seed: int) -> None:
    ended = begun = 0
    with use_random(seed):
        moments = [current_random().randint(1, 6) for _ in range(3)]
    for moment in moments:
        acknowledged, begun = run_until_killed(tmp_path, begun, moment)
        ended = max(ended, acknowledged)
        if not ended:
            continue
        lines = (tmp_path / "00.jsonl").read_text().splitlines()
        assert len(lines) == 3_000
        (line,) = set(lines)
        assert ended <= int(line.split(":")[1].split(",")[0]) <= begun
    assert len(list(tmp_path.glob(".00.jsonl.*.part"))) <= len(moments)
