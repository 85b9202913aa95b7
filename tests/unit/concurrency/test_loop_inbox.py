"""Results reach their loop, whichever way it is woken, and its descriptor goes with it."""

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mainspring.base import outside_work
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.concurrency._loop_inbox import LoopInbox

Loop = asyncio.AbstractEventLoop


class OtherLoop(asyncio.SelectorEventLoop):
    """A loop that is not asyncio's own; counts how often threads wake it."""

    wakes = 0

    # Any, override: they are passed on as they come
    def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        self.wakes += 1
        return super().call_soon_threadsafe(*args, **options)


class Writes:
    """Counts the wake-ups through descriptors, which happen as they always do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._write = os.eventfd_write
        monkeypatch.setattr(os, "eventfd_write", self)

    def __call__(self, fd: int, value: int) -> None:
        self.count += 1
        self._write(fd, value)


def keep_the_loop_until(condition: Callable[[], bool]) -> None:
    """Block this thread, the loop's, until threads have made the condition true."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


async def call_while_busy(pool: ThreadPoolExecutor, count: int) -> list[int]:
    """Make calls and keep the loop from everything else until all of them are done."""
    inbox = LoopInbox.of(asyncio.get_running_loop())
    calls = [pool.run(abs, -number) for number in range(count)]
    keep_the_loop_until(lambda: len(inbox._done) == count)
    return list(await asyncio.gather(*calls))


async def call_often() -> list[int]:
    with ThreadPoolExecutor(3) as pool:
        one_by_one = [await pool.run(abs, -number) for number in range(50)]
        together = await asyncio.gather(*(pool.run(abs, -number) for number in range(50)))
    assert one_by_one == list(together)
    return one_by_one


def run_once() -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(call_often())


@pytest.mark.parametrize("make_loop", [asyncio.SelectorEventLoop, OtherLoop])
def test_results_come_on_loops_of_each_kind(make_loop: Callable[[], Loop]) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        assert list(range(50)) == runner.run(call_often())


def test_a_busy_loop_is_woken_once_for_all_results(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner, ThreadPoolExecutor(4) as pool:
        assert list(range(300)) == runner.run(call_while_busy(pool, 300))
    assert 1 <= writes.count <= 4, "threads that end their first calls at once may each see that nobody woke it"


def test_a_busy_loop_of_another_kind_is_woken_once_for_all_results() -> None:
    loop = OtherLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner, ThreadPoolExecutor(4) as pool:
        assert list(range(300)) == runner.run(call_while_busy(pool, 300))
        assert 1 <= loop.wakes <= 4


def test_results_that_come_while_others_are_taken_have_a_wake_up_of_their_own() -> None:
    """A drain takes what was there when it began: one busy pool cannot keep the loop."""
    loop = OtherLoop()

    async def main() -> list[str]:
        inbox, order = LoopInbox.of(loop), list[str]()
        futures = {name: loop.create_future() for name in ("first", "second")}

        def note(name: str, _: object) -> None:
            order.append(name)

        for name, future in futures.items():
            future.add_done_callback(partial(note, name))
        outside_work.count += 2

        class Late:
            """A future whose taking lets the next result in."""

            def done(self) -> bool:
                inbox.deliver(futures["second"], None, None)
                loop.call_soon(order.append, "other work")
                return True

        late: Any = Late()
        outside_work.count += 1
        inbox._done.append((late, None, None))
        inbox.deliver(futures["first"], None, None)
        await asyncio.wait(futures.values())
        return order

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        before = outside_work.count
        assert "second" == runner.run(main())[-1]
        assert 2 == loop.wakes
        assert before == outside_work.count


def test_the_descriptor_is_closed_with_the_loop() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        run_once()
    gc.collect()
    assert before >= len(list(Path("/proc/self/fd").iterdir()))


def test_without_a_descriptor_left_results_come_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(initval: int, flags: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "eventfd", refuse)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert list(range(50)) == runner.run(call_often())


def test_a_result_for_a_closed_loop_is_dropped() -> None:
    """Its thread goes on with other loops' calls."""
    gate, began = threading.Event(), threading.Event()
    outside = outside_work.count

    def wait() -> None:
        began.set()
        gate.wait(20)

    with ThreadPoolExecutor(1) as pool:
        loop = asyncio.SelectorEventLoop()

        async def leave() -> None:
            _ = pool.run(wait)

        loop.run_until_complete(leave())
        assert began.wait(20)
        loop.close()
        gate.set()
        assert list(range(50)) == asyncio.run(call_often())
    assert outside == outside_work.count


def close_a_loop_before_its_results(make_loop: Callable[[], Loop], in_time: int) -> "weakref.ref[Loop]":
    """Return a closed loop that has taken no result of three calls; so many came before it was closed."""
    loop = make_loop()
    gates = [threading.Event() for _ in range(3)]

    def leave(pool: ThreadPoolExecutor) -> None:
        inbox = LoopInbox.of(loop)
        for gate in gates:
            _ = pool.run(gate.wait, 20)
        for gate in gates[:in_time]:
            gate.set()
        keep_the_loop_until(lambda: len(inbox._done) == in_time)
        loop.stop()

    with ThreadPoolExecutor(3) as pool:
        loop.call_soon(leave, pool)
        loop.run_forever()
        loop.close()
        for gate in gates:
            gate.set()
    return weakref.ref(loop)


@pytest.mark.parametrize("make_loop", [asyncio.SelectorEventLoop, OtherLoop])
@pytest.mark.parametrize("in_time", [0, 1, 3])
def test_a_closed_loop_goes_although_it_took_no_result(make_loop: Callable[[], Loop], in_time: int) -> None:
    before = outside_work.count
    loop = close_a_loop_before_its_results(make_loop, in_time)
    gc.collect()
    assert loop() is None
    assert in_time or before == outside_work.count
