"""Calls one after the other are limited each, by one timer."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.errors import DeadlineExceededError, MisuseError
from mainspring.resilience._call_watch import CallWatch


async def call(watch: CallWatch, work: Awaitable[object]) -> None:
    with watch:
        await work


@virtual
async def test_each_call_has_its_whole_time_although_the_timer_is_that_of_an_earlier_one() -> None:
    watch = CallWatch("the call", 5.0)
    for _ in range(4):
        await call(watch, asyncio.sleep(3.0))
    assert 1012.0 == now()
    with pytest.raises(DeadlineExceededError, match="the call did not end within 5 s"):
        await call(watch, asyncio.sleep(60.0))
    assert 1017.0 == now()
    await call(watch, asyncio.sleep(4.5))


@virtual
async def test_calls_share_a_timer() -> None:
    watch = CallWatch("the call", 5.0)
    await call(watch, asyncio.sleep(0))
    timer = watch._timer
    for _ in range(10):
        await call(watch, asyncio.sleep(0))
    assert timer is watch._timer is not None
    await asyncio.sleep(10.0)
    assert watch._timer is None


@virtual
async def test_cancellation_from_elsewhere_passes() -> None:
    watch = CallWatch("the call", 5.0)
    task = asyncio.create_task(call(watch, asyncio.sleep(60.0)))
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await call(watch, asyncio.sleep(4.5))


@virtual
async def test_cancellation_from_elsewhere_in_the_moment_the_time_is_up_passes() -> None:
    watch = CallWatch("the call", 5.0)
    task = asyncio.create_task(call(watch, asyncio.sleep(60.0)))
    await asyncio.sleep(1.0)
    watch._look(task.get_loop())
    assert not task.cancelling()
    watch._due = now()
    watch._look(task.get_loop())
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@virtual
async def test_a_call_that_ends_well_in_spite_of_all_leaves_no_cancellation_behind() -> None:
    watch = CallWatch("the call", 5.0)
    with watch, suppress(asyncio.CancelledError):
        await asyncio.sleep(60.0)
    assert 1005.0 == now()
    task = asyncio.current_task()
    assert task is not None
    assert 0 == task.cancelling()


def test_it_needs_a_task() -> None:
    async def main() -> None:
        with pytest.raises(MisuseError, match="outside of a task"), CallWatch("the call", 5.0):
            pass

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.call_soon(loop.stop)
        coroutine = main()
        loop.call_soon(_step, coroutine)
        loop.run_forever()


def _step(coroutine: Awaitable[None]) -> None:
    """Run a coroutine that never suspends, without a task."""
    with pytest.raises(StopIteration):
        coroutine.__await__().send(None)
