"""`Bulkhead` lets so many callers be inside at once."""

import asyncio
import math

import pytest
from tests.unit.resilience.support_time import virtual

from mainspring.errors import InvalidArgumentError, LimitTimeoutError, MisuseError, TooManyWaitersError
from mainspring.resilience import Bulkhead


@virtual
async def test_only_so_many_are_inside() -> None:
    bulkhead, inside, most = Bulkhead(3), 0, 0

    async def call() -> None:
        nonlocal inside, most
        async with bulkhead:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(1)
            inside -= 1

    await asyncio.gather(*(call() for _ in range(10)))
    assert 3 == most
    assert "<Bulkhead 0/3 inside, 0 waiting>" == repr(bulkhead)


@virtual
async def test_body_that_fails_gives_its_place_back() -> None:
    bulkhead = Bulkhead(1)
    with pytest.raises(ZeroDivisionError):
        async with bulkhead:
            raise ZeroDivisionError
    assert bulkhead.try_acquire() is None
    assert math.inf == bulkhead.try_acquire()


@virtual
async def test_small_call_does_not_overtake_a_waiting_large_one() -> None:
    bulkhead = Bulkhead(3)
    await bulkhead.acquire(2)
    large = asyncio.create_task(bulkhead.acquire(3))
    await asyncio.sleep(0)
    assert math.inf == bulkhead.try_acquire()
    large.cancel()
    await asyncio.wait([large])
    assert bulkhead.try_acquire() is None


@virtual
async def test_caller_behind_one_that_was_just_cancelled_is_let_in() -> None:
    bulkhead = Bulkhead(1)
    await bulkhead.acquire()
    waiter = asyncio.create_task(bulkhead.acquire())
    await asyncio.sleep(0)
    waiter.cancel()
    bulkhead.release()
    assert bulkhead.try_acquire() is None
    await asyncio.wait([waiter])
    assert 1 == bulkhead.stats().used


@virtual
async def test_place_of_a_caller_cancelled_in_the_moment_it_was_let_in_is_free() -> None:
    bulkhead = Bulkhead(2)
    await bulkhead.acquire(2)
    waiter = asyncio.create_task(bulkhead.acquire(2))
    await asyncio.sleep(0)
    bulkhead.release(2)
    assert 2 == bulkhead.stats().used
    waiter.cancel()
    await asyncio.wait([waiter])
    assert (0, 2) == (bulkhead.stats().used, bulkhead.stats().granted_count)


@virtual
async def test_line_is_bounded_and_waits_end_in_time() -> None:
    bulkhead = Bulkhead(1, max_waiters=1)
    await bulkhead.acquire()
    waiter = asyncio.create_task(bulkhead.acquire(timeout=5.0))
    await asyncio.sleep(0)
    with pytest.raises(TooManyWaitersError, match="the bulkhead"):
        await bulkhead.acquire()
    with pytest.raises(LimitTimeoutError):
        await waiter


def test_more_than_was_taken_cannot_be_released() -> None:
    bulkhead = Bulkhead(2)
    assert bulkhead.try_acquire() is None
    for cost in (0, 2):
        with pytest.raises(MisuseError):
            bulkhead.release(cost)
    bulkhead.release()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        Bulkhead(0)
