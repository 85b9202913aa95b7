import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.storage import InlineRunner, SqliteOwner, ThreadRunner
from mainspring.testing import VirtualClock


async def test_calls_run_beside_each_other_up_to_the_bound() -> None:
    runner = ThreadRunner(readers=2)
    runner.start(lambda: False)
    both = threading.Barrier(2)
    try:
        await asyncio.gather(*(runner.call(lambda: both.wait(timeout=10)) for _ in range(4)))
        names = {thread.name for thread in threading.enumerate() if "sqlite-reader" in thread.name}
        assert {"mainspring-sqlite-reader-1", "mainspring-sqlite-reader-2"} == names
    finally:
        await runner.stop()


async def test_a_cancelled_call_is_still_carried_out() -> None:
    runner = ThreadRunner()
    runner.start(lambda: False)
    begun, go = threading.Event(), threading.Event()
    done: list[int] = []

    def work() -> None:
        begun.set()
        go.wait(10)
        done.append(1)

    task = asyncio.ensure_future(runner.call(work))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await runner.stop()
    assert done == [1]


async def test_errors_of_a_call_reach_the_caller() -> None:
    runner = ThreadRunner()
    runner.start(lambda: False)
    try:
        with pytest.raises(ZeroDivisionError):
            await runner.call(lambda: 1 // 0)
    finally:
        await runner.stop()


async def test_a_delivery_to_a_closed_loop_is_dropped() -> None:
    runner = ThreadRunner()
    runner.deliver(lambda: None)

    async def start() -> None:
        runner.start(lambda: False)
        await runner.stop()

    await asyncio.get_running_loop().run_in_executor(None, asyncio.run, start())
    runner.deliver(lambda: None)


async def test_the_writer_goes_on_while_more_waits() -> None:
    runner = ThreadRunner()
    left = [3]
    done = asyncio.Event()

    def step() -> bool:
        left[0] -= 1
        if left[0] == 0:
            runner.deliver(done.set)
        return left[0] > 0

    runner.start(step)
    runner.wake()
    runner.wake()
    await done.wait()
    await runner.stop()
    assert left[0] <= 0


async def test_inline_work_is_done_on_the_loop() -> None:
    runner = InlineRunner()
    runner.wake()
    threads: list[int] = []
    steps = iter([True, False])

    def step() -> bool:
        threads.append(threading.get_ident())
        return next(steps)

    runner.start(step)
    runner.wake()
    runner.wake()
    runner.pause(0)
    assert await runner.call(lambda: 5) == 5
    for _ in range(3):
        await asyncio.sleep(0)
    assert [threading.get_ident()] * 2 == threads
    runner.wake()
    await runner.stop()
    await asyncio.sleep(0)
    assert len(threads) == 2


def test_a_runner_needs_a_reader() -> None:
    with pytest.raises(InvalidArgumentError, match="readers"):
        ThreadRunner(readers=0)


async def test_virtual_time_stands_still_while_the_threads_work(virtual_clock: VirtualClock, tmp_path: Path) -> None:
    def linger(connection: sqlite3.Connection) -> None:
        threading.Event().wait(0.02)

    async with asyncio.timeout(1000):
        async with SqliteOwner(tmp_path / "store.db") as owner:
            await owner.write(linger)
            await owner.read(linger)
    assert 0.0 == virtual_clock.monotonic()
    await asyncio.sleep(60)
