"""Kill -9 a process that writes an interval into ClickHouse again and again, or the server under it."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from mainspring.base import current_random, use_random
from mainspring.testing import ClickHouseServer

pytestmark = [pytest.mark.extras, pytest.mark.timeout(180)]

WRITER = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from mainspring.base import Backoff
from mainspring.sinks import ClickHouseIntervals, SinkRun, SinkSet, _clickhouse_intervals
from mainspring.storage import Querier

START = datetime(2013, 1, 1, tzinfo=UTC)
_clickhouse_intervals.BLOCK_BYTES = 20_000

async def main():
    async with Querier(**json.loads(sys.argv[1]), retry=Backoff(0.05, max_tries=2)) as querier, SinkSet() as sinks:
        sink = ClickHouseIntervals("numbers", querier)
        fence = int(sys.argv[2])
        while True:
            fence += 1
            run = SinkRun(f"run-{fence}", "load", fence, 1, START, START, START + timedelta(hours=1))
            session = sinks.session(run, default=sink)
            print("begun", fence, flush=True)
            for number in range(3_000):
                await session.emit({"fence": fence, "number": number})
            await session.finish()
            print("ended", fence, flush=True)

asyncio.run(main())
"""


def ask(server: ClickHouseServer, sql: str) -> list[tuple[int, ...]]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/", sql.encode())
    request.add_header("X-ClickHouse-Key", server.options["password"])
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [tuple(map(int, line.split(b"\t"))) for line in answer.read().splitlines()]


def run_until_killed(server: ClickHouseServer, fence: int, lines: int, *, victim: str) -> tuple[int, int]:
    """Return the last claim that was acknowledged, 0 for none, and the last that had begun."""
    import json

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, json.dumps(server.options), str(fence)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        if victim == "server":
            server.kill()
        else:
            os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    if victim == "server":
        server.start()
    words = [line.split() for line in said if line.endswith("\n")]
    ended = [int(number) for word, number in words if word == "ended"]
    return max(ended, default=0), max(int(number) for _, number in words)


@pytest.mark.parametrize("victim", ["writer", "server"])
def test_the_view_holds_one_claims_rows_after_any_kill(victim: str) -> None:
    ended = begun = 0
    with use_random(7 if victim == "writer" else 8):
        moments = [3] + [current_random().randint(1, 6) for _ in range(3)]
    with ClickHouseServer() as server:
        for moment in moments:
            acknowledged, begun = run_until_killed(server, begun, moment, victim=victim)
            ended = max(ended, acknowledged)
            ((rows, distinct, first, last),) = ask(
                server, "SELECT count(), uniqExact(number), min(fence), max(fence) FROM numbers"
            )
            assert (3_000, 3_000) == (rows, distinct)
            assert first == last
            assert ended <= last <= begun
