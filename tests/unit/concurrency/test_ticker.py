"""One timer of the loop turns the wheel, and turns it no longer than it must."""

import asyncio
import gc
import weakref
from importlib import import_module
from typing import Any

import pytest

from mainspring.concurrency import PeriodicCallback
from mainspring.concurrency._ticker import Ticker
from mainspring.testing import VirtualClock, eventually


class Entry:
    """Notes when it was told."""

    def __init__(self, told: list[tuple[str, float]], name: str) -> None:
        self.told = told
        self.name = name

    def on_due(self) -> None:
        self.told.append((self.name, asyncio.get_running_loop().time()))


def timers(clock: VirtualClock) -> int:
    loop: Any = clock.loop
    handles: list[asyncio.TimerHandle] = loop._scheduled
    return sum(not handle.cancelled() for handle in handles)


async def test_each_entry_is_told_once_when_it_is_due(virtual_clock: VirtualClock) -> None:
    told: list[tuple[str, float]] = []
    ticker = Ticker.of(asyncio.get_running_loop())
    for name, due in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        ticker.add(Entry(told, name), due)
    assert 1 == timers(virtual_clock)
    await virtual_clock.advance(10)
    assert [("a", 1.0), ("b", 2.0), ("c", 3.0)] == told
    assert 0 == timers(virtual_clock)


async def test_a_discarded_entry_is_not_told_and_holds_no_timer(virtual_clock: VirtualClock) -> None:
    told: list[tuple[str, float]] = []
    ticker = Ticker.of(asyncio.get_running_loop())
    early, late = Entry(told, "early"), Entry(told, "late")
    ticker.add(early, 1.0)
    ticker.add(late, 5.0)
    ticker.discard(early, 1.0)
    await virtual_clock.advance(4)
    ticker.discard(late, 5.0)
    assert 0 == timers(virtual_clock)
    assert [] == told


async def test_a_crowd_does_not_block_the_loop(virtual_clock: VirtualClock) -> None:
    told: list[tuple[str, float]] = []
    ticker = Ticker.of(asyncio.get_running_loop())
    for n in range(1000):
        ticker.add(Entry(told, str(n)), 1.0)
    seen: list[int] = []
    asyncio.get_running_loop().call_at(1.0, lambda: seen.append(len(told)))
    await asyncio.sleep(1.0)
    seen.append(len(told))
    await virtual_clock.advance(1)
    assert [str(n) for n in range(1000)] == [name for name, _ in told]
    assert {at for _, at in told} == {1.0}
    assert seen[-1] < 1000


async def test_an_entry_may_discard_another_of_the_same_moment(virtual_clock: VirtualClock) -> None:
    told: list[tuple[str, float]] = []
    ticker = Ticker.of(asyncio.get_running_loop())
    second = Entry(told, "second")

    class Jealous(Entry):
        def on_due(self) -> None:
            ticker.discard(second, 1.0)

    ticker.add(Jealous(told, "first"), 1.0)
    ticker.add(second, 1.0)
    await virtual_clock.advance(2)
    assert [] == told


async def test_an_entry_that_ends_the_program_loses_no_other(virtual_clock: VirtualClock) -> None:
    told: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()
    ticker = Ticker.of(loop)

    class Broken(Entry):
        def on_due(self) -> None:
            raise LookupError

    loop.set_exception_handler(lambda _, context: None)
    ticker.add(Broken(told, "first"), 1.0)
    ticker.add(Entry(told, "second"), 1.0)
    await virtual_clock.advance(2)
    assert [("second", 1.0)] == told


async def test_sleep_takes_its_time_and_can_be_cancelled(virtual_clock: VirtualClock) -> None:
    ticker = Ticker.of(asyncio.get_running_loop())
    await ticker.sleep(2.5)
    assert 2.5 == virtual_clock.monotonic()
    await ticker.sleep(0)
    sleeping = asyncio.ensure_future(ticker.sleep(60))
    await asyncio.sleep(0)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert 0 == timers(virtual_clock)


def test_a_loop_and_its_ticker_go_together() -> None:
    loop = VirtualClock().new_loop()
    ticker = Ticker.of(loop)
    assert ticker is Ticker.of(loop)
    ticker.add(Entry([], "pending"), 5.0)
    references: list[weakref.ref[Any]] = [weakref.ref(loop), weakref.ref(ticker)]
    loop.close()
    del loop, ticker
    gc.collect()
    assert [None, None] == [reference() for reference in references]


@pytest.mark.extras
@pytest.mark.allow_leaks("descriptors", reason="the first loop of libuv leaves a pipe open")
def test_it_works_on_uvloop() -> None:
    """Whose timers are whole milliseconds, and whose handles do not say when they are due."""
    uvloop: Any = import_module("uvloop")
    calls: list[str] = []

    async def main() -> None:
        fast, slow = PeriodicCallback(calls.append, "fast"), PeriodicCallback(calls.append, "slow")
        fast.start(0.001)
        slow.start(0.0025, delay=0.0005)
        await eventually(lambda: min(calls.count("slow"), calls.count("fast")) >= 5)
        fast.stop().cancel()
        slow.stop().cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
