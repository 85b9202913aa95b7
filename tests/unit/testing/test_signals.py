"""A TestSignal holds a program at a point, and tells when it arrived there."""

import asyncio

import pytest

from mainspring.errors import InvalidArgumentError, NeverHappenedError
from mainspring.testing import TestSignal, VirtualClock


async def test_waiters_go_on_with_the_value_when_it_is_fired() -> None:
    signal = TestSignal("gate")
    async with asyncio.TaskGroup() as tasks:
        waiters = [tasks.create_task(signal.wait()) for _ in range(2)]
        await signal.awaited()
        assert repr(signal) == "<TestSignal gate: not fired, 2 waiting>"
        signal.fire(7)
    assert [waiter.result() for waiter in waiters] == [7, 7]
    assert await signal == 7
    assert repr(signal) == "<TestSignal gate: fired, 0 waiting>"


async def test_awaited_wakes_when_the_program_arrives() -> None:
    signal = TestSignal()

    async def program() -> object:
        await asyncio.sleep(0)
        return await signal

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(program())
        await signal.awaited()
        assert not task.done()
        signal.fire()


async def test_reset_makes_the_next_wait_wait() -> None:
    signal = TestSignal()
    signal.fire(1)
    assert signal.fired
    signal.reset()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(signal.wait())
        await signal.awaited()
        signal.fire(2)
    assert task.result() == 2


async def test_it_is_fired_from_another_thread() -> None:
    signal = TestSignal()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(signal.wait())
        await signal.awaited()
        await asyncio.to_thread(signal.fire, "from afar")
    assert task.result() == "from afar"


async def test_waits_are_bounded(virtual_clock: VirtualClock) -> None:
    signal = TestSignal("never", within=3)
    with pytest.raises(NeverHappenedError, match=r"never\.fire\(\) did not happen within 3 s"):
        await signal.wait()
    with pytest.raises(NeverHappenedError, match="a wait for never"):
        await signal.awaited()
    assert virtual_clock.monotonic() == 6.0
    with pytest.raises(InvalidArgumentError, match="within"):
        _ = TestSignal(within=0)


async def test_a_cancelled_waiter_leaves_no_trace() -> None:
    signal = TestSignal()
    task = asyncio.ensure_future(signal.wait())
    await signal.awaited()
    signal.fire()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert repr(signal) == "<TestSignal signal: fired, 0 waiting>"
