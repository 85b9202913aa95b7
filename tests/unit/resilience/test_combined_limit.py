"""`CombinedLimit` admits what every part has room for."""

import asyncio
from typing import Any

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import Bulkhead, CombinedLimit, RateLimit


@virtual
async def test_short_and_long_window_hold_together() -> None:
    limit = CombinedLimit(RateLimit(2, 1.0), RateLimit(3, 10.0))
    admitted: list[float] = []
    for _ in range(6):
        await limit.acquire()
        admitted.append(now() - 1000.0)
    assert [0.0, 0.0, 1.0, 10.0, 10.0, 11.0] == admitted
    assert "<CombinedLimit of 2, 0 fit now, 0 waiting>" == repr(limit)


@virtual
async def test_waiting_call_is_counted_nowhere() -> None:
    short, long = RateLimit(1, 1.0), RateLimit(5, 10.0)
    limit = CombinedLimit(short, long)
    await limit.acquire()
    waiter = asyncio.create_task(limit.acquire())
    await asyncio.sleep(0)
    assert 1 == long.stats().used
    await waiter
    assert 2 == long.stats().used


@virtual
async def test_part_shared_by_two_combinations_counts_for_both() -> None:
    key = RateLimit(2, 10.0)
    trades, quotes = CombinedLimit(RateLimit(5, 1.0), key), CombinedLimit(RateLimit(5, 1.0), key)
    await trades.acquire()
    await quotes.acquire()
    assert 10.0 == trades.try_acquire() == quotes.try_acquire() == key.try_acquire()
    await asyncio.gather(trades.acquire(), quotes.acquire(), key.acquire())
    assert 1020.0 == now()


def test_wrong_arguments_are_refused() -> None:
    wrong: list[list[Any]] = [[], [RateLimit(1), Bulkhead(1)], [3]]
    for limits in wrong:
        with pytest.raises(InvalidArgumentError, match="limits="):
            CombinedLimit(*limits)
