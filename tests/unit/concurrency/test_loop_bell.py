"""A bell wakes who waits, however thread and loop interleave, and nobody else."""

import asyncio
import threading

import pytest

from mainspring.base import outside_work
from mainspring.concurrency._loop_bell import LoopBell


async def test_every_waiter_is_woken_when_the_condition_holds() -> None:
    bell, state = LoopBell(is_outside_work=True), [False]
    before = outside_work.count
    waiting = [asyncio.ensure_future(bell.wait(lambda: state[0])) for _ in range(3)]
    await asyncio.sleep(0)
    assert before + 3 == outside_work.count
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    bell.ring()  # for nothing: the condition does not hold
    await asyncio.sleep(0)
    state[0] = True
    thread = threading.Thread(target=bell.ring)
    thread.start()
    await asyncio.gather(*waiting[1:])
    thread.join()
    assert before == outside_work.count


async def test_a_condition_that_comes_true_before_the_wait_needs_no_bell() -> None:
    bell = LoopBell(is_outside_work=False)
    await bell.wait(lambda: True)
    answers = [False, True, True]
    await bell.wait(lambda: answers.pop(0))  # true when the waiter looks once more, with its flag up


async def test_a_second_ring_finds_its_waiter_woken() -> None:
    bell, state = LoopBell(is_outside_work=False), [False]
    waiting = asyncio.ensure_future(bell.wait(lambda: state[0]))
    await asyncio.sleep(0)
    state[0] = True
    bell.ring()
    bell._armed = True  # as another waiter would
    bell.ring()
    await waiting


def test_a_loop_that_is_gone_is_not_told() -> None:
    bell = LoopBell(is_outside_work=False)

    async def leave() -> None:
        waiting = asyncio.ensure_future(bell.wait(lambda: False))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(leave())
    assert bell._armed
    bell.ring()
    assert not bell._armed
