"""Results reach their loop, whichever way it is woken, and its descriptor goes with it."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mainspring.base import outside_work
from mainspring.concurrency import ThreadPoolExecutor

Loop = asyncio.AbstractEventLoop


class OtherLoop(asyncio.SelectorEventLoop):
    """A loop that is not asyncio's own."""


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


def test_the_descriptor_is_closed_with_the_loop() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        run_once()
    gc.collect()
    assert before == len(list(Path("/proc/self/fd").iterdir()))


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
