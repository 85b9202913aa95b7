"""Kill -9 a service whose sink is down, at moments drawn from what it acknowledged; nothing acknowledged is lost."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.sinks.support_targets import Target, spooling

from mainspring.base import current_random, use_random
from mainspring.sinks import SinkSet
from mainspring.testing import eventually

Count = Callable[[int, int], int]

SERVICE = """
import asyncio, sys
from mainspring.base import Backoff
from mainspring.sinks import Delivery, SinkSet

arrived = open(sys.argv[2], "a", buffering=1)

async def moody(batch):
    if moody.calls % 3:
        moody.calls += 1
        raise OSError("down")
    moody.calls += 1
    for item in batch:
        arrived.write(f"{item['n']}\\n")
moody.calls = 1

async def main():
    sinks = SinkSet(spool=sys.argv[1], spool_bytes=1 << 20)
    terms = Delivery(retry=Backoff.constant(0.0, max_tries=1), spool_retry=Backoff.constant(0.0), spool_tries=10**6,
                     on_failure="spool", max_count=7)
    sinks.add(moody, types=[dict], name="moody", delivery=terms)
    await sinks.open()
    number = int(sys.argv[3])
    while True:
        for _ in range(5):
            await sinks.emit({"n": number, "text": "x" * 500})
            number += 1
        await sinks.flush()
        print(number, flush=True)

asyncio.run(main())
"""


def run_until_killed(folder: Path, first: int, lines: int) -> int:
    """Run the service until it acknowledged some more numbers, kill it, and return the first that was not."""
    command = [sys.executable, "-c", SERVICE, str(folder / "spool"), str(folder / "arrived"), str(first)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    whole = [line for line in said if line.endswith("\n")]
    return int(whole[-1]) if whole else first


def arrived(folder: Path) -> set[int]:
    return {int(line) for line in (folder / "arrived").read_text().split()}


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_acknowledged_arrives_after_any_kill(tmp_path: Path, seed: int, mainspring_count: Count) -> None:
    acknowledged = 0
    with use_random(seed):
        moments = [current_random().randint(1, 60) for _ in range(mainspring_count(2, 100))]
    for moment in moments:
        acknowledged = run_until_killed(tmp_path, acknowledged, moment)
    target = Target()
    sinks = SinkSet(spool=tmp_path / "spool")
    sinks.add(target, types=[dict], name="moody", delivery=spooling())
    async with sinks:
        spool = sinks.spool
        assert spool is not None
        await eventually(lambda: spool.stats().waiting_count == 0, within=60.0)
    here = {int(number) for number in re.findall(r"'n': (\d+)", str(target.got))}
    assert set(range(acknowledged)) <= arrived(tmp_path) | here
    assert list((tmp_path / "spool").iterdir()) == []
