"""Several processes on one bucket: every window of all their grants, by the clock of the server."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any  # Any: redis-py

import pytest

from mainspring.base import new_id
from mainspring.testing import PythonChild, ValkeyServer

pytestmark = [pytest.mark.extras, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
RATE, PERIOD = 100, 1.0


def largest_window(grants: Sequence[tuple[int, int]], period_us: int) -> int:
    """Return the largest cost in any half-open window; of sorted (instant, cost)."""
    most = total = first = 0
    for at, cost in grants:
        total += cost
        while grants[first][0] <= at - period_us:
            total -= grants[first][1]
            first += 1
        most = max(most, total)
    return most


@pytest.mark.parametrize("algorithm", ["log", "gcra"])
async def test_never_more_than_the_limit_in_any_window_of_the_server(
    algorithm: str, valkey_server: ValkeyServer, mainspring_count: Callable[[int, int], int]
) -> None:
    processes, seconds, key = mainspring_count(3, 8), mainspring_count(2, 10), new_id()
    redis: Any = pytest.importorskip("redis.asyncio")
    words = (valkey_server.url, key, str(RATE), str(PERIOD), str(seconds), algorithm)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(redis.Redis.from_url(valkey_server.url))
        children = [
            await stack.enter_async_context(
                PythonChild("-m", "tests.conformance.limiters.support_worker", *words, str(seed), directory=ROOT)
            )
            for seed in range(processes)
        ]
        async with asyncio.timeout(90):
            while await client.llen(f"{key}:ready") < processes:  # noqa: ASYNC110  # redis has no event for this
                await asyncio.sleep(0.05)
        await client.rpush(f"{key}:go", *range(processes))
        lines = [await child.line("grants", within=90.0) for child in children]
        answers = [json.loads(line.removeprefix("grants")) for line in lines]
    grants = sorted((at, cost) for answer in answers for at, cost in answer["grants"])
    assert all(answer["in_order"] for answer in answers)
    assert all(answer["grants"] for answer in answers)
    assert RATE >= largest_window(grants, int(PERIOD * 1e6))
    # An even pace loses what late timers take; the log does not.
    assert algorithm == "gcra" or RATE < sum(cost for _, cost in grants)
