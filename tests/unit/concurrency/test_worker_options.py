"""What a WorkerPool can be asked for besides running functions."""

import asyncio
import os
import threading
from functools import partial
from pathlib import Path

import pytest
from tests.unit.concurrency import support_tasks as tasks
from tests.unit.concurrency.support_holds import open_holds

from mainspring.concurrency import WorkerPool
from mainspring.errors import InvalidArgumentError, TaskNotPicklableError, WorkerCrashedError
from mainspring.testing import eventually


async def test_partials_and_bound_methods_travel() -> None:
    async with WorkerPool(1) as pool:
        assert 8 == await pool.submit(partial(pow, 2), 3)
        assert "AB" == await pool.submit("ab".upper)


@pytest.mark.extras
async def test_with_cloudpickle_lambdas_and_closures_travel() -> None:
    factor = 3

    def triple(number: int) -> int:
        return number * factor

    async with WorkerPool(1) as pool:
        assert 12 == await pool.submit(triple, 4)
        assert 6 == await pool.submit(lambda: factor * 2)
        with pytest.raises(TaskNotPicklableError, match=r"argument 2 of .*triple"):
            _ = pool.submit(triple, 1, threading.Lock())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def test_an_old_worker_is_replaced_when_it_is_idle() -> None:
    async with WorkerPool(1, recycle=0.02) as pool:
        first = await pool.submit(os.getpid)
        await eventually(lambda: pool.pids and pool.pids != (first,), within=20)
        assert first != await pool.submit(os.getpid)


async def test_a_busy_worker_is_replaced_after_its_task(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, recycle=0.01) as pool:
        running = pool.submit(tasks.hold, holds.path, "a")
        held = await holds.next()
        worker = pool._crew.alive[0]
        await eventually(lambda: worker._tasks_left == 0)
        assert worker.in_flight
        waiting = pool.submit(os.getpid)
        held.release()
        assert "a" == await running
        assert held.pid != await waiting


@pytest.mark.parametrize("size", [0, 99, 100, 3_000_000])
async def test_large_buffers_travel_through_shared_memory(size: int) -> None:
    async with WorkerPool(1, shared_memory=100) as pool:
        sent = tasks.Block(bytearray(b"x" * size))
        for _ in range(3):
            block = await pool.submit(tasks.echo, sent)
            assert b"x" * size == block.data
            assert not block.data.readonly
        assert 0 == tasks.count_blocks()
        async with asyncio.timeout(20):
            while await pool.submit(tasks.count_blocks):  # the word that the parent has read goes another way
                pass


async def test_shared_memory_goes_with_a_worker_that_dies(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, shared_memory=1) as pool:
        held = pool.submit(tasks.hold, holds.path, "a")
        await holds.next()
        pool._crew.alive[0].window = 16
        waiting = pool.submit(tasks.echo, tasks.Block(bytearray(1000)))
        await eventually(tasks.count_blocks)
        os.kill(pool.pids[0], 9)
        with pytest.raises(WorkerCrashedError):
            await held
        assert bytes(1000) == (await waiting).data
        await eventually(lambda: not tasks.count_blocks())


async def test_without_descriptors_buffers_travel_as_they_did(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise OSError("no descriptors")

    async with WorkerPool(1, shared_memory=1) as pool:
        monkeypatch.setattr("os.memfd_create", refuse)
        assert bytes(1000) == (await pool.submit(tasks.echo, tasks.Block(bytearray(1000)))).data


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="recycle=0"):
        WorkerPool(1, recycle=0)
    with pytest.raises(InvalidArgumentError, match="shared_memory=0"):
        WorkerPool(1, shared_memory=0)


async def test_a_task_sees_none_of_the_loops_patience() -> None:
    """Many large answers at once, while the loop is slow to read."""
    async with WorkerPool(2, shared_memory=1 << 16) as pool:
        calls = [pool.submit(tasks.echo, tasks.Block(bytearray(1 << 20))) for _ in range(16)]
        answers = await asyncio.gather(*calls)
        assert 16 << 20 == sum(len(answer.data) for answer in answers)
    assert 0 == tasks.count_blocks()
