"""Handlers run where their job wants it, are ended there, and leave room to live work."""

import asyncio
import concurrent.futures
import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.concurrency.support_children import process_exists
from tests.unit.concurrency.support_holds import open_holds
from tests.unit.concurrency.support_tasks import hold, hold_stubbornly
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.base import from_us
from mainspring.concurrency import ProcessPoolExecutor, ThreadPoolExecutor, WorkerPool
from mainspring.errors import InvalidArgumentError, JobDefinitionError
from mainspring.jobs import JobApp, JobContext, RunInfo, RunState


def where(config: dict[str, int]) -> tuple[int, str, int]:
    logging.getLogger("where").warning("said there")
    return os.getpid(), threading.current_thread().name, config["n"]


def rows(config: dict[str, int]) -> Iterator[int]:
    yield from range(config["n"])


def stubborn(config: dict[str, str]) -> str:
    return hold_stubbornly(config["path"], "stubborn")


def polite(config: dict[str, str]) -> str:
    return hold(config["path"], "polite")


async def value_of(app: JobApp, job: str, n: int = 1) -> Any:
    result = await app.run_job(job, {"n": n})
    assert result.ok, result.error
    return result.value


async def test_a_job_brings_its_worker_pool(tmp_path: Path) -> None:
    pool = WorkerPool(1)
    app = make_app(tmp_path)
    app.job("where", executor=pool)(where)
    taken: list[int] = []

    @app.sink(int)
    async def keep(batch: list[int]) -> None:
        taken.extend(batch)

    app.job("rows", executor=pool)(rows)
    async with running(app):
        (first, _, _), (second, _, _) = await asyncio.gather(value_of(app, "where"), value_of(app, "where"))
        assert (first, first) == (second, *pool.pids)
        assert os.getpid() != first
        await value_of(app, "rows", 3)
        async with app.reading() as reader:
            (run,) = await reader.runs("rows")
            (log,) = [log for one in await reader.runs("where", limit=1) for log in await reader.logs(one.run_id)]
    assert ([0, 1, 2], 3) == (taken, run.item_count)
    assert "said there" == log[1].lines[0].message
    assert () == pool.pids, "the app has started it, and closed it"


async def test_a_pool_that_runs_already_stays_its_owners(tmp_path: Path) -> None:
    async with WorkerPool(1) as pool:
        app = make_app(tmp_path)
        app.job("where", executor=pool)(where)
        async with running(app):
            assert (await value_of(app, "where"))[0] in pool.pids
        assert 1 == len(pool.pids)


async def test_a_job_brings_threads_whose_queue_is_short(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2, max_queue=1, statistic_name="mine") as pool:
        app = make_app(tmp_path)
        app.job("where", executor=pool)(where)
        async with running(app):
            found = await asyncio.gather(*(value_of(app, "where", n) for n in range(20)))
        assert list(range(20)) == [n for _, _, n in found]
        assert {os.getpid()} == {pid for pid, _, _ in found}
        assert all("mine" in name for _, name, _ in found)


async def test_a_job_brings_a_pool_of_the_standard_library(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="plain") as threads:
        app.job("threads", executor=threads)(where)
        async with running(app):
            pid, name, _ = await value_of(app, "threads")
            async with app.reading() as reader:
                ((_, log),) = await reader.logs((await reader.runs("threads"))[0].run_id)
    assert (os.getpid(), True) == (pid, name.startswith("plain"))
    assert "said there" == log.lines[0].message


@pytest.mark.parametrize("make", [ProcessPoolExecutor, concurrent.futures.ProcessPoolExecutor])
async def test_a_job_brings_processes_behind_the_standard_interface(make: Any, tmp_path: Path) -> None:
    app = make_app(tmp_path)
    with make(1, mp_context=__import__("multiprocessing").get_context("spawn")) as pool:
        app.job("where", executor=pool)(where)
        async with running(app):
            assert os.getpid() != (await value_of(app, "where"))[0]
        assert ("process", make.__name__) == (app.jobs["where"].runs_in, app.jobs["where"].executor_name)


@pytest.mark.parametrize("executor", ["gpu", 7, asyncio.Queue])
def test_what_runs_no_functions_is_refused(executor: Any) -> None:
    with pytest.raises(JobDefinitionError, match="nor a pool of threads or processes"):
        JobApp("test", store="memory").job("where", executor=executor)(where)


def test_a_coroutine_stays_on_the_loop() -> None:
    async def handler() -> None: ...

    with pytest.raises(JobDefinitionError, match="runs on the loop"):
        JobApp("test", store="memory").job("where", executor=WorkerPool(1))(handler)


async def test_a_function_deaf_to_its_cancel_is_killed_after_the_grace_of_its_job(tmp_path: Path) -> None:
    app = make_app(tmp_path, cancel_grace=600.0)
    app.job("stubborn", executor="process", cancel_grace=0.05)(stubborn)
    async with open_holds(tmp_path) as holds, running(app):
        waiting = asyncio.create_task(app.run_job("stubborn", {"path": holds.path}))
        held = await holds.next()
        (record,) = await app.runs(states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        assert RunState.CANCELLED is (await waiting).state
        assert not process_exists(held.pid), "its run ended when its process was gone"


async def test_a_function_that_heeds_its_cancel_keeps_its_process(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("polite", executor="process", cancel_grace=600.0)(polite)
    async with open_holds(tmp_path) as holds, running(app):
        waiting = asyncio.create_task(app.run_job("polite", {"path": holds.path}))
        held = await holds.next()
        (record,) = await app.runs(states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        assert "interrupted" == await held.next_line()
        assert RunState.CANCELLED is (await waiting).state
        assert process_exists(held.pid)


def crash() -> None:
    os._exit(3)


async def test_the_errors_of_workers_name_handler_and_job(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("nightly", executor="process")(crash)

    @app.job("local", executor="process")
    def local() -> threading.Lock:
        return threading.Lock()

    async with running(app):
        crashed, unsent = await app.run_job("nightly"), await app.run_job("local")
    assert "exited with 3 while it ran crash() of job 'nightly'" in (crashed.error or "")
    assert "local() of job 'local'" in (unsent.error or "")


def when_out_of_time(ctx: RunInfo) -> str:
    return "" if ctx.deadline_at is None else ctx.deadline_at.isoformat()


def _plain_processes(size: int) -> concurrent.futures.Executor:
    return concurrent.futures.ProcessPoolExecutor(size, mp_context=multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("make", [ThreadPoolExecutor, WorkerPool, ProcessPoolExecutor, _plain_processes])
async def test_the_wait_for_a_place_in_a_pool_is_not_counted(make: Any, tmp_path: Path) -> None:
    """A run that waits longer than its timeout has not failed, and can be cancelled."""
    pool = make(1)
    app = make_app(tmp_path)
    app.job("polite", executor=pool)(polite)
    app.job("hasty", executor=pool, timeout=0.05)(where)
    app.job("patient", executor=pool, timeout=3600.0)(when_out_of_time)
    async with open_holds(tmp_path) as holds, running(app):
        first = asyncio.create_task(app.run_job("polite", {"path": holds.path}))
        held = await holds.next()
        patient = asyncio.create_task(app.run_job("patient"))
        hasty = asyncio.create_task(app.run_job("hasty", {"n": 1}))

        async def all_wait() -> bool:
            return 3 == app.running_count

        await eventually(all_wait)
        overdue = app.store.now() + 100_000

        async def is_overdue() -> bool:
            return app.store.now() > overdue

        await eventually(is_overdue)
        (waiting,) = await app.runs("hasty")
        assert RunState.RUNNING is waiting.state
        await app.cancel(waiting.run_id)
        assert RunState.CANCELLED is (await hasty).state
        released_at = from_us(app.store.now())
        held.release()
        assert (await first).ok
        out_of_time = datetime.fromisoformat((await patient).check().value)
        assert out_of_time >= released_at + timedelta(seconds=3600)
    if isinstance(pool, concurrent.futures.Executor):
        pool.shutdown()


class Gate:
    """Handlers of a backfill that hold what they have until they may go on."""

    def __init__(self) -> None:
        self.count = 0
        self.go = threading.Event()

    def hold(self) -> None:
        self.count += 1
        self.go.wait(60)


@pytest.mark.parametrize(("slots", "reserve", "most"), [(3, None, 2), (4, 3, 1), (4, 0, 4), (1, None, 1)])
async def test_backfills_leave_slots_to_live_work(tmp_path: Path, slots: int, reserve: int | None, most: int) -> None:
    app = make_app(tmp_path, slots=slots, live_reserve=reserve, schedule=False)
    go, begun = asyncio.Event(), list[str]()

    @app.job("daily", cron="0 0 * * *")
    async def daily(ctx: JobContext) -> None:
        begun.append(ctx.run_id)
        await go.wait()

    @app.job("call")
    async def call() -> str:
        return "here"

    async with running(app):
        backfill = await app.backfill(daily, date(2013, 1, 1), date(2013, 1, 11), max_parallel=10)

        async def full() -> bool:
            return len(begun) >= most

        await eventually(full)
        if most < slots:
            assert "here" == (await app.run_job(call)).value
            created = await app.run_job(call, wait=False)
            assert RunState.SUCCEEDED is (await app.wait_for_run(created.run_id)).state
        assert most == len(begun)
        go.set()
        assert 10 == (await backfill.wait()).succeeded


async def test_backfills_leave_a_thread_to_live_work(tmp_path: Path) -> None:
    gate = Gate()
    with ThreadPoolExecutor(2) as pool:
        app = make_app(tmp_path, schedule=False)

        @app.job("daily", cron="0 0 * * *", executor=pool)
        def daily() -> None:
            gate.hold()

        @app.job("call", executor=pool)
        def call() -> str:
            return "here"

        async with running(app):
            backfill = await app.backfill(daily, date(2013, 1, 1), date(2013, 1, 6), max_parallel=5)

            async def all_wait() -> bool:
                return app.running_count == 5 and gate.count > 0

            await eventually(all_wait)
            assert "here" == (await app.run_job(call)).value
            assert 1 == gate.count
            gate.go.set()
            assert 5 == (await backfill.wait()).succeeded


def test_a_reserve_of_all_slots_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="live_reserve"):
        JobApp("test", store="memory", slots=2, live_reserve=2)
