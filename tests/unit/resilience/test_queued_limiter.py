"""The shared part of the limiters: one timer, for the first in line, however many wait."""

import asyncio

from tests.unit.resilience.support_time import now, virtual

from mainspring.resilience import FixedWindow, RateLimit


@virtual
async def test_there_is_one_timer_however_many_wait() -> None:
    limit = RateLimit(1, 10.0)
    await limit.acquire()
    waiters = [asyncio.create_task(limit.acquire()) for _ in range(5)]
    await asyncio.sleep(0)
    timer = limit._timer
    assert timer is not None
    await asyncio.sleep(1)
    assert limit.try_acquire() is not None
    assert timer is limit._timer
    await asyncio.gather(*waiters)
    assert 1050.0 == now()
    assert limit._timer is None


@virtual
async def test_due_that_lies_between_two_ticks_of_the_clock_is_waited_for() -> None:
    """A timer that fires a rounding error early is not set for the same instant again."""
    limit = FixedWindow(1, 0.3)
    for _ in range(50):
        await limit.acquire()
    assert now() < 1000.0 + 50 * 0.3 + 0.001
