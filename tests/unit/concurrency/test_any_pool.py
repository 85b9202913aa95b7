"""Pools of any make run functions in the context of their caller, and say what they are."""

import asyncio
import concurrent.futures
import multiprocessing
import os
import threading
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any  # executors of two makes

import pytest
from tests.unit.concurrency.support_holds import open_holds, until
from tests.unit.concurrency.support_tasks import double, hold

from mainspring.concurrency import (
    DaskExecutor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    WorkerPool,
    kind_of_pool,
    size_of_pool,
    threads_of,
    workers_of,
)
from mainspring.errors import InvalidArgumentError, MisuseError

place: ContextVar[str] = ContextVar("place", default="nowhere")


async def test_pools_are_told_apart() -> None:
    with (
        ThreadPoolExecutor(3) as threads,
        concurrent.futures.ThreadPoolExecutor(1) as plain_threads,
        concurrent.futures.ProcessPoolExecutor(1) as plain,  # starts nothing yet
        ProcessPoolExecutor(1) as processes,
    ):
        dask = DaskExecutor("tcp://127.0.0.1:1")
        pools: list[object] = [threads, plain_threads, WorkerPool(2), processes, plain, dask, asyncio, "thread"]
        kinds = ["thread", "thread", "process", "process", "process", "process", None, None]
        assert kinds == [kind_of_pool(pool) for pool in pools]
        assert [3, None, 2, None, 1] == [size_of_pool(pool) for pool in pools[:5]]
        assert dask is workers_of(dask, cancel_grace=1.0)
        assert threads is threads_of(threads)


async def test_threads_of_the_standard_library_see_the_context_of_their_caller() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        place.set("here")
        assert "here" == await threads_of(pool).run(place.get)
        assert threading.get_ident() != await threads_of(pool).run(threading.get_ident)


async def test_processes_behind_the_standard_interface_are_workers() -> None:
    with ProcessPoolExecutor(1) as pool:
        assert 8 == await workers_of(pool, cancel_grace=1.0).create_task(double, 4)
        assert os.getpid() != await workers_of(pool, cancel_grace=1.0).create_task(os.getpid)


async def test_a_call_waits_while_a_pool_of_processes_has_no_room() -> None:
    with ProcessPoolExecutor(1, max_queue=1) as pool:
        workers = workers_of(pool, cancel_grace=1.0)
        assert [2 * n for n in range(20)] == await asyncio.gather(*(workers.create_task(double, n) for n in range(20)))


@pytest.mark.parametrize("make", [ProcessPoolExecutor, concurrent.futures.ProcessPoolExecutor])
async def test_processes_behind_the_standard_interface_tell_when_they_begin(make: Any, tmp_path: Path) -> None:
    """That of the standard library gives up to three calls away to one process; its fourth has not begun."""
    begun: set[str] = set()
    async with open_holds(tmp_path) as holds:
        with make(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            calls: list[asyncio.Future[str]] = []
            for mark in "abcd":
                workers = workers_of(pool, cancel_grace=1.0, on_begin=partial(begun.add, mark))
                calls.append(asyncio.ensure_future(workers.create_task(hold, holds.path, mark)))
            held = await holds.next()
            await until(lambda: "a" in begun)
            assert "d" not in begun
            for _ in range(3):
                held.release()
                held = await holds.next()
            await until(lambda: "d" in begun)  # those between may have ended before anybody looked
            held.release()
            await asyncio.gather(*calls)


async def test_a_cluster_does_not_tell_when_it_begins() -> None:
    begun: list[str] = []
    workers = workers_of(DaskExecutor("tcp://127.0.0.1:1"), cancel_grace=1.0, on_begin=partial(begun.append, "here"))
    with pytest.raises(MisuseError, match="not open"):
        await workers.create_task(double, 4)
    assert ["here"] == begun


def test_what_is_no_such_pool_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="a pool of threads"):
        threads_of(WorkerPool(1))
    with pytest.raises(InvalidArgumentError, match="a pool of processes"):
        workers_of(object(), cancel_grace=1.0)
