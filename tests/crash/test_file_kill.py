"""Kill -9 a process that writes the file of an interval again and again: the file is whole at every moment."""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mainspring.base import current_random, use_random

WRITER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from mainspring.sinks import JsonLines, Parquet, SinkRun, SinkSet

START = datetime(2013, 1, 1, tzinfo=UTC)

async def main():
    sink = {"jsonl": JsonLines, "parquet": Parquet}[sys.argv[3]](sys.argv[1] + "/{start:%H}." + sys.argv[3])
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


def run_until_killed(folder: Path, fence: int, lines: int, kind: str) -> tuple[int, int]:
    """Return the last claim that was acknowledged, 0 for none, and the last that had begun."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(folder), str(fence), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    words = [line.split() for line in said if line.endswith("\n")]
    ended = [int(number) for word, number in words if word == "ended"]
    return max(ended, default=0), max(int(number) for _, number in words)


def fences_in(folder: Path, kind: str) -> list[int]:
    """Return who wrote each row of the file."""
    if kind == "jsonl":
        return [json.loads(line)["fence"] for line in (folder / "00.jsonl").read_text().splitlines()]
    table: Any = import_module("pyarrow.parquet").read_table(folder / "00.parquet")  # Any: it has no types
    return [row["fence"] for row in table.to_pylist()]


@pytest.mark.parametrize("kind", ["jsonl", pytest.param("parquet", marks=pytest.mark.extras)])
@pytest.mark.parametrize("seed", range(3))
def test_the_file_holds_one_claims_rows_after_any_kill(tmp_path: Path, seed: int, kind: str) -> None:
    ended = begun = 0
    with use_random(seed):
        moments = [current_random().randint(1, 6) for _ in range(3)]
    for moment in moments:
        acknowledged, begun = run_until_killed(tmp_path, begun, moment, kind)
        ended = max(ended, acknowledged)
        if not ended:
            continue
        fences = fences_in(tmp_path, kind)
        assert len(fences) == 3_000
        (fence,) = set(fences)
        assert ended <= fence <= begun
    assert len(list(tmp_path.glob(f".00.{kind}.*.part"))) <= len(moments)
