"""`RateLimit` admits so many calls in any window, in the order in which they asked."""

import asyncio
from typing import Any

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.base import get_statistics
from mainspring.errors import InvalidArgumentError, LimitTimeoutError, TooManyWaitersError
from mainspring.resilience import Limiter, LimiterStatistic, RateLimit


async def _acquire(limit: RateLimit, admitted: list[float], cost: int = 1) -> None:
    await limit.acquire(cost)
    admitted.append(now() - 1000.0)


@virtual
async def test_window_slides() -> None:
    limit = RateLimit(2, 10.0)
    admitted: list[float] = []
    await _acquire(limit, admitted)
    await asyncio.sleep(4)
    for _ in range(4):
        await _acquire(limit, admitted)
    assert admitted == [0.0, 4.0, 10.0, 14.0, 20.0]


@virtual
async def test_guard_tells_whether_it_waited() -> None:
    limit = RateLimit(rate=1, bucket_seconds=5)
    assert [await limit.guard() for _ in range(3)] == [False, True, True]
    assert now() == 1010.0


@virtual
async def test_cost_takes_so_many_places() -> None:
    limit = RateLimit(5, 10.0)
    admitted: list[float] = []
    for cost in (2, 3, 4, 1):
        await _acquire(limit, admitted, cost)
    assert admitted == [0.0, 0.0, 10.0, 10.0]


@virtual
async def test_small_call_does_not_overtake_a_waiting_large_one() -> None:
    limit = RateLimit(3, 10.0)
    await limit.acquire(2)
    order: list[str] = []

    async def call(name: str, cost: int) -> None:
        await limit.acquire(cost)
        order.append(name)

    tasks = [asyncio.create_task(call("large", 3)), asyncio.create_task(call("small", 1))]
    await asyncio.sleep(0)
    assert limit.stats().waiting_count == 2
    assert limit.try_acquire() == 20.0
    await asyncio.gather(*tasks)
    assert order == ["large", "small"]


@virtual
async def test_retry_after_is_exact() -> None:
    limit = RateLimit(2, 10.0)
    assert limit.try_acquire() is None
    await asyncio.sleep(3)
    assert limit.try_acquire() is None
    assert limit.try_acquire() == 7.0
    assert limit.try_acquire(2) == 10.0
    await asyncio.sleep(7.0)
    assert limit.try_acquire() is None
    assert limit.stats().refused_count == 2


def test_try_acquire_needs_no_loop() -> None:
    limit = RateLimit(1, 1e6)
    assert limit.try_acquire() is None
    wait = limit.try_acquire()
    assert wait is not None
    assert wait > 0


@virtual
async def test_cancelled_waiter_leaves_no_trace() -> None:
    limit = RateLimit(2, 10.0)
    await limit.acquire(2)
    admitted: list[float] = []
    first = asyncio.create_task(_acquire(limit, admitted, 2))
    second = asyncio.create_task(_acquire(limit, admitted))
    await asyncio.sleep(1)
    first.cancel()
    await second
    assert admitted == [10.0]
    assert limit.stats().used == 1
    assert limit.stats().granted_count == 3


@virtual
async def test_grant_of_a_waiter_cancelled_in_the_same_moment_is_given_back() -> None:
    limit = RateLimit(2, 10.0)
    await limit.acquire(2)
    admitted: list[float] = []
    first = asyncio.create_task(_acquire(limit, admitted, 2))
    second = asyncio.create_task(_acquire(limit, admitted, 2))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(now() + 10, first.cancel)
    await second
    # It was cancelled after its grant, in the turn of the loop in which that was made.
    assert first.cancelled()
    assert admitted == [10.0]
    assert limit.stats().used == 2


@virtual
async def test_timeout_is_exact() -> None:
    limit = RateLimit(1, 10.0)
    await limit.acquire()
    with pytest.raises(LimitTimeoutError, match="within 4 s, 0 others"):
        await limit.acquire(timeout=4.0)
    assert now() == 1004.0
    with pytest.raises(TimeoutError):
        await limit.acquire(timeout=0)
    assert limit.stats().timeout_count == 2
    await limit.acquire(timeout=6.0)
    assert now() == 1010.0


@virtual
async def test_leaving_waiter_frees_those_behind() -> None:
    limit = RateLimit(2, 10.0)
    await limit.acquire()
    large = asyncio.create_task(limit.acquire(2, timeout=3))
    await asyncio.sleep(0)
    admitted: list[float] = []
    small = asyncio.create_task(_acquire(limit, admitted))
    with pytest.raises(LimitTimeoutError):
        await large
    await small
    assert admitted == [3.0]


@virtual
async def test_block_and_protocol() -> None:
    limit = RateLimit(3, 10.0, statistic_name="web")
    async with limit as entered:
        assert entered is limit
    assert isinstance(limit, Limiter)
    assert repr(limit) == "<RateLimit 1/3 in 10 s, 0 waiting>"
    stats = limit.stats()
    assert (stats.limit, stats.used, stats.granted_count) == (3, 1, 1)
    counters = {r.metric: r.value for r in get_statistics(LimiterStatistic) if r.name == "web"}
    assert counters == {"granted": 1, "waited": 0, "refused": 0, "timeouts": 0}


@virtual
async def test_line_is_bounded() -> None:
    limit = RateLimit(1, 10.0, max_waiters=1)
    await limit.acquire()
    waiter = asyncio.create_task(limit.acquire())
    await asyncio.sleep(0)
    with pytest.raises(TooManyWaitersError):
        await limit.acquire()
    await waiter


@virtual
async def test_timer_that_fires_early_is_set_again() -> None:
    limit = RateLimit(1, 10.0)
    await limit.acquire()
    waiter = asyncio.create_task(limit.acquire())
    await asyncio.sleep(0)
    assert limit._timer is not None
    limit._timer.cancel()
    limit._on_timer()
    await waiter
    assert now() == 1010.0


@virtual
async def test_wrong_arguments_are_refused_at_once() -> None:
    wrong: list[dict[str, Any]] = [{"rate": 0}, {"rate": 1.5}, {"bucket_seconds": 0}, {"max_waiters": 0}]
    for arguments in wrong:
        with pytest.raises(InvalidArgumentError):
            RateLimit(**arguments)
    limit = RateLimit(3)
    for cost in (0, 4, -1):
        with pytest.raises(InvalidArgumentError, match="cost="):
            await limit.acquire(cost)
        with pytest.raises(InvalidArgumentError, match="cost="):
            limit.try_acquire(cost)
    with pytest.raises(InvalidArgumentError, match="timeout="):
        await limit.acquire(timeout=-1)
    assert limit.stats().used == 0
