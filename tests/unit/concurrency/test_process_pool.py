"""ProcessPoolExecutor: the standard interface, over workers that are replaced when they die."""

import asyncio
import concurrent.futures
import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.meta.support_tree import ROOT, SRC
from tests.unit.concurrency import support_tasks as tasks
from tests.unit.concurrency.support_holds import open_holds

from mainspring.base import get_statistics
from mainspring.concurrency import ProcessPoolExecutor, ProcessPoolStatistic
from mainspring.errors import (
    ChildStartError,
    ClosedError,
    InvalidArgumentError,
    TaskNotPicklableError,
    WorkerCrashedError,
    WorkQueueFullError,
)
from mainspring.testing import eventually


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, statistic_name="unit") as pool:
        yield pool


async def test_it_serves_run_in_executor(pool: ProcessPoolExecutor) -> None:
    loop = asyncio.get_running_loop()
    pids = await asyncio.gather(*(loop.run_in_executor(pool, os.getpid) for _ in range(4)))
    assert os.getpid() not in pids
    assert 1 == len(set(pids))
    assert "workers=1/1" in repr(pool)


def test_it_serves_threads(pool: ProcessPoolExecutor) -> None:
    assert [0, 2, 4, 6] == list(pool.map(tasks.double, range(4)))
    with pytest.raises(ValueError, match="no"):
        pool.submit(tasks.fail, "no").result(30)


def test_a_dead_worker_is_replaced(pool: ProcessPoolExecutor) -> None:
    """The standard pool stays broken."""
    with pytest.raises(WorkerCrashedError):
        pool.submit(os.kill, pool.submit(os.getpid).result(30), signal.SIGKILL).result(30)
    assert 4 == pool.submit(tasks.double, 2).result(30)


async def test_cancelling_interrupts_what_runs(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds:
        running = pool.submit(tasks.hold, holds.path, "a")
        held = await holds.next()
        assert running.cancel()
        assert "interrupted" == await held.next_line()
        assert 2 == await asyncio.wrap_future(pool.submit(tasks.double, 1))


async def test_shutdown_cancels_or_waits(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds:
        pool = ProcessPoolExecutor(1)
        running, waiting = pool.submit(tasks.hold, holds.path, "a"), pool.submit(tasks.double, 1)
        await holds.next()
        pool.shutdown(wait=False, cancel_futures=True)
        assert running.cancelled()
        assert waiting.cancelled()
        with pytest.raises(ClosedError):
            pool.submit(tasks.double, 1)
        await asyncio.to_thread(pool.shutdown)
    patient = ProcessPoolExecutor(1)
    futures = [patient.submit(tasks.double, n) for n in range(20)]
    patient.shutdown()
    assert [2 * n for n in range(20)] == [future.result(0) for future in futures]
    patient.shutdown()
    ProcessPoolExecutor(1).shutdown()


def waits_for_room(pool: ProcessPoolExecutor) -> bool:
    room: Any = pool._host._room  # Any: what it does not tell
    return bool(room._waiters)


async def test_a_full_queue_refuses_where_a_loop_runs_and_holds_other_threads_up(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds:
        with ProcessPoolExecutor(1, max_queue=2) as pool:
            running = pool.submit(tasks.hold, holds.path, "a")
            held = await holds.next()
            waiting = [pool.submit(tasks.double, number) for number in range(2)]
            with pytest.raises(WorkQueueFullError, match="create_task"):
                pool.submit(tasks.double, 2)
            waiting.pop().cancel()
            await eventually(lambda: len(pool._host._left) == 2)
            waiting.append(pool.submit(tasks.double, 1))
            everything = asyncio.ensure_future(asyncio.to_thread(lambda: list(pool.map(tasks.double, range(50)))))
            await eventually(lambda: waits_for_room(pool))
            held.release()
            assert [2 * number for number in range(50)] == await everything
            assert [0, 2] == [future.result(0) for future in waiting]
            assert running.done()


async def test_who_waits_for_room_hears_of_the_end(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds:
        pool = ProcessPoolExecutor(1, max_queue=1)
        _ = pool.submit(tasks.hold, holds.path, "a"), pool.submit(tasks.double, 1)
        await holds.next()
        waiter = asyncio.ensure_future(asyncio.to_thread(pool.submit, tasks.double, 2))
        await eventually(lambda: waits_for_room(pool))
        pool.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(ClosedError):
            await waiter
        await asyncio.to_thread(pool.shutdown)


def test_a_dropped_pool_ends_after_its_calls() -> None:
    pool = ProcessPoolExecutor(1)
    future = pool.submit(tasks.double, 1)
    del pool
    gc.collect()
    assert 2 == future.result(30)


def test_what_cannot_travel_is_refused_at_the_call(pool: ProcessPoolExecutor) -> None:
    with pytest.raises(TaskNotPicklableError):
        pool.submit(tasks.double, threading.Lock())  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="a callable"):
        pool.submit("double")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        ProcessPoolExecutor(0)
    with pytest.raises(InvalidArgumentError, match="max_queue=-1"):
        ProcessPoolExecutor(1, max_queue=-1)


def test_a_failing_initializer_is_everybodys_error() -> None:
    with ProcessPoolExecutor(1, initializer=tasks.fail, initargs=("no",)) as pool:
        futures = [pool.submit(tasks.double, n) for n in range(3)]
        for future in futures:
            with pytest.raises(ValueError, match="no"):
                future.result(30)


@pytest.mark.parametrize("context", ["spawn", multiprocessing.get_context("spawn")])
def test_the_start_method_may_be_chosen(context: Any) -> None:
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        first, second = (pool.submit(os.getpid).result(50) for _ in range(2))
    assert first != second


def test_it_is_an_executor(pool: ProcessPoolExecutor) -> None:
    assert isinstance(pool, concurrent.futures.Executor)


def test_calls_are_done_before_the_program_ends(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from pathlib import Path\n"
        "from mainspring.concurrency import ProcessPoolExecutor\n"
        "pool = ProcessPoolExecutor(1)\n"
        "pool.submit(Path('done').write_text, 'yes')\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{SRC}{os.pathsep}{ROOT}"}
    subprocess.run([sys.executable, str(program)], cwd=tmp_path, env=environment, timeout=50, check=True)
    assert "yes" == (tmp_path / "done").read_text()


def test_calls_are_counted() -> None:
    with ProcessPoolExecutor(1, statistic_name="counted") as pool:
        assert [1, 2] == list(pool.map(abs, [-1, -2]))
        found = {each.metric: each.value for each in get_statistics(ProcessPoolStatistic) if each.name == "counted"}
    assert (2, 2, 2, 0, 1) == tuple(found[name] for name in ("submitted", "done", "success", "error", "processes"))


async def test_a_first_call_of_a_coroutine_that_cannot_be_served_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = ProcessPoolExecutor(1)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ChildStartError, match="the thread of a ProcessPoolExecutor did not start"):
            _ = pool.submit(tasks.double, 1)
    pool.shutdown()


@pytest.mark.parametrize("lack", ["descriptors", "threads"])
def test_a_first_call_that_cannot_be_served_says_so_and_the_next_can(
    monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    def no_loop() -> asyncio.AbstractEventLoop:
        raise OSError(errno.EMFILE, "Too many open files")

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with ProcessPoolExecutor(1) as pool:
        with monkeypatch.context() as exhausted:
            if lack == "descriptors":
                exhausted.setattr(asyncio, "new_event_loop", no_loop)
            else:
                exhausted.setattr(threading.Thread, "start", no_thread)
            with pytest.raises(ChildStartError, match="the thread of a ProcessPoolExecutor did not start"):
                _ = pool.submit(tasks.double, 1)
        assert 4 == pool.submit(tasks.double, 2).result(30)
