"""Calls with a patience of their own come back from a cancellation when their function is gone."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from tests.unit.concurrency import support_tasks as tasks
from tests.unit.concurrency.support_children import process_exists
from tests.unit.concurrency.support_holds import open_holds, until

from mainspring.concurrency import WorkerPool
from mainspring.concurrency import _worker_calls as worker_calls
from mainspring.errors import InvalidArgumentError


async def cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_worker_of_a_deaf_function_is_gone_when_its_call_ends(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, cancel_grace=600.0) as pool:
        calls = pool.calls(cancel_grace=0.01)
        running = asyncio.create_task(calls.create_task(tasks.hold_stubbornly, holds.path, "a"))
        held = await holds.next()
        await cancelled(running)
        assert not process_exists(held.pid)
        assert 8 == await calls.create_task(tasks.double, 4)


async def test_a_call_that_has_not_begun_is_gone_at_once(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        calls = pool.calls(cancel_grace=600.0)
        running = asyncio.create_task(calls.create_task(tasks.hold, holds.path, "a"))
        held = await holds.next()
        waiting = asyncio.create_task(calls.create_task(tasks.double, 1))
        await asyncio.sleep(0)
        await cancelled(waiting)
        await cancelled(running)
        assert process_exists(held.pid)


async def test_who_is_not_gone_in_time_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_calls, "_KILL_TIME", 0.0)
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        calls = pool.calls(cancel_grace=0.0)
        running = asyncio.create_task(calls.create_task(tasks.hold_stubbornly, holds.path, "a"))
        await holds.next()
        await cancelled(running)


async def test_a_negative_grace_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="cancel_grace"):
        WorkerPool(1).calls(cancel_grace=-1)


async def test_a_call_tells_when_a_worker_begins_with_it(tmp_path: Path) -> None:
    """Be it that another has ended, or was taken back."""
    begun: list[str] = []
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:

        async def call(mark: str) -> None:
            calls = pool.calls(cancel_grace=600.0, on_begin=partial(begun.append, mark))
            await calls.create_task(tasks.hold, holds.path, mark)

        running = [asyncio.create_task(call(mark)) for mark in "abc"]
        first = await holds.next()
        await until(lambda: ["a"] == begun)
        await cancelled(running[1])
        assert ["a"] == begun
        first.release()
        await running[0]
        second = await holds.next()
        await until(lambda: ["a", "c"] == begun)
        second.release()
        await running[2]


class Loaded:
    """Holds the worker that unpickles it, as the import of a big module does."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return tasks.hold, (self._path, "load")


@pytest.mark.parametrize("shared_memory", [None, 1])
async def test_a_worker_that_still_loads_a_call_has_not_begun(tmp_path: Path, shared_memory: int | None) -> None:
    begun: list[str] = []
    async with open_holds(tmp_path) as holds, WorkerPool(1, shared_memory=shared_memory) as pool:
        calls = pool.calls(cancel_grace=600.0, on_begin=partial(begun.append, "here"))
        running = asyncio.create_task(calls.create_task(tasks.hold, holds.path, Loaded(holds.path)))  # type: ignore[arg-type]  # a text there
        loading = await holds.next()
        assert pool.pids == (loading.pid,)
        assert [] == begun
        loading.release()
        held = await holds.next()
        await until(lambda: ["here"] == begun)
        held.release()
        assert "load" == await running
