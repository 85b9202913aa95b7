"""Executions: a handler of any form runs with what it asks for, and its end is what is recorded."""

import asyncio
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import at, eventually, make_app, running

from mainspring.base import Backoff
from mainspring.errors import (
    InvalidArgumentError,
    ResourceError,
    RunFailedError,
)
from mainspring.jobs import JobContext, RunInfo, RunState
from mainspring.jobs.engine._handler import _run_in_worker, call_handler
from mainspring.resilience import Bulkhead, RateLimit, deadline, retry
from mainspring.sinks import SqlTable


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path / "state.db")
    try:
        return connection.execute(f"SELECT n FROM {table} ORDER BY n").fetchall()
    finally:
        connection.close()


async def test_a_call_returns_the_handlers_value(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job()
    async def double(config: dict[str, int]) -> int:
        return 2 * config["n"]

    async with running(app):
        result = await app.run_job(double, config={"n": 21})
        assert result.ok
        assert result.check().value == 42
        assert (await app.run_job("test_a_call_returns_the_handlers_value.<locals>.double", {"n": 1})).value == 2
        record = await app.run(result.run_id)
    assert record is not None
    assert record.state is RunState.SUCCEEDED


async def test_a_context_reads_as_attributes_and_as_a_mapping(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    seen: list[JobContext] = []

    @app.job("look", config={"a": 1, "b": 2}, timeout=60)
    async def look(ctx: JobContext, scheduled_time: datetime, data_interval: object) -> None:
        assert ctx["config"] == {"a": 1, "b": 3} == ctx.config
        assert ctx["scheduled_at"] == scheduled_time == at(5)
        assert data_interval is None
        assert (ctx["attempt"], ctx["cancelled"]) == (1, False)
        assert ctx.deadline_at is not None
        assert ctx.idempotency_key == ctx.run_id
        assert len(list(ctx)) == len(ctx)
        with pytest.raises(KeyError):
            ctx["app"]
        ctx.log.debug("bound")
        seen.append(ctx)

    async with running(app):
        (await app.run_job("look", {"b": 3}, at(5))).check()
    assert "JobContext look" in repr(seen[0])


async def test_a_failure_is_in_the_result_and_in_the_record(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("fail")
    async def fail() -> None:
        error = ValueError("broken")
        error.add_note("look at the input")
        raise error

    async with running(app):
        result = await app.run_job("fail")
        assert result.state is RunState.FAILED
        assert result.error == "ValueError: broken\nlook at the input"
        with pytest.raises(RunFailedError, match="is failed: ValueError: broken"):
            result.check()
        record = await app.run(result.run_id[:30])
    assert record is not None
    assert "in fail" in (record.error_detail or "")


async def test_a_failed_attempt_is_tried_again_and_counts(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    attempts: list[int] = []

    @app.job("flaky", retry=Backoff.constant(0.0, max_tries=3))
    async def flaky(ctx: JobContext) -> str:
        attempts.append(ctx.attempt)
        if len(attempts) < 3:
            raise OSError("not yet")
        return "done"

    @app.job("always", retry=Backoff.constant(0.0, max_tries=2))
    async def always() -> None:
        raise OSError("never")

    async with running(app):
        assert (await app.run_job("flaky")).value == "done"
        result = await app.run_job("always")
    assert attempts == [1, 2, 3]
    assert (result.state, result.attempt) == (RunState.FAILED, 2)


async def test_retry_after_of_the_error_is_honoured(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    class Busy(Exception):
        retry_after = 3600

    @app.job("busy", retry=1)
    async def busy() -> None:
        raise Busy

    async with running(app):
        result = await app.run_job("busy", wait=False)

        async def retrying() -> bool:
            record = await app.run(result.run_id)
            return record is not None and record.state is RunState.RETRYING

        await eventually(retrying)
        record = await app.run(result.run_id)
        assert record is not None
        assert record.available_at - record.created_at > 3500e6
        cancelled = await app.cancel(result.run_id)
    assert cancelled is not None
    assert cancelled.state is RunState.CANCELLED


async def test_a_handler_can_read_its_deadline_and_a_retry_in_it_gives_up_in_time(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    calls: list[float | None] = []

    @retry(on=OSError, backoff=Backoff.constant(3600.0, max_tries=5))
    async def ask() -> None:
        calls.append(deadline())
        raise OSError("down")

    @app.job("ask", timeout=60)
    async def job() -> None:
        await ask()

    async with running(app):
        result = await app.run_job("ask")
    assert "OSError: down" == result.error
    assert 1 == len(calls)
    assert calls[0] is not None


async def test_a_handler_that_hangs_is_ended_by_its_timeout(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("hang", timeout=0.02)
    async def hang() -> None:
        await asyncio.Event().wait()

    @app.job("swallow", timeout=0.02)
    async def swallow() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "swallowed"
        return ""

    @app.job("own")
    async def own() -> None:
        raise TimeoutError("of the handler itself")

    @app.job("own_within", timeout=60)
    async def own_within() -> None:
        raise TimeoutError("of the handler itself")

    async with running(app):
        results = [await app.run_job(name) for name in ("hang", "swallow", "own", "own_within")]
    errors = [(result.error or "").partition(":")[0] for result in results]
    assert errors == ["JobTimeoutError", "JobTimeoutError", "TimeoutError", "TimeoutError"]


async def test_a_cancel_reaches_the_handler_that_runs(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    started = asyncio.Event()

    @app.job("hang")
    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    async with running(app):
        result = await app.run_job("hang", wait=False)
        await started.wait()
        assert await app.cancel("no-such-run") is None
        await app.cancel(result.run_id)

        async def cancelled() -> bool:
            record = await app.run(result.run_id)
            return record is not None and record.state is RunState.CANCELLED

        await eventually(cancelled)


async def test_a_handler_that_swallows_a_cancel_and_ends_counts(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    started = asyncio.Event()

    @app.job("stubborn")
    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"
        return ""

    async with running(app):
        waiting = asyncio.create_task(app.run_job("stubborn"))
        await started.wait()
        (record,) = await app.runs(states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        result = await waiting
    assert (result.state, result.value) == (RunState.SUCCEEDED, "done all the same")


async def test_a_handler_that_awaits_something_cancelled_has_failed(tmp_path: Path) -> None:
    """Nobody cancelled the run: handing it back would run it again without end."""
    app = make_app(tmp_path)

    @app.job("inner")
    async def inner() -> None:
        other = asyncio.ensure_future(asyncio.Event().wait())
        other.cancel()
        await other

    async with running(app):
        result = await app.run_job("inner")
    assert result.state is RunState.FAILED
    assert result.error == "CancelledError: the handler awaited something that was cancelled"


@pytest.mark.parametrize("executor", ["loop", "thread"])
async def test_a_handler_that_exits_has_failed_and_the_node_goes_on(tmp_path: Path, executor: str) -> None:
    app = make_app(tmp_path)

    async def on_loop() -> None:
        sys.exit(3)

    def in_thread() -> None:
        sys.exit(3)

    app.job("exit")(on_loop if executor == "loop" else in_thread)
    async with running(app):
        for _ in range(2):
            result = await app.run_job("exit")
            assert (result.state, result.error) == (RunState.FAILED, "SystemExit: 3")


async def test_plain_functions_and_generators_run_in_threads(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    threads: set[str] = set()

    @app.job("plain")
    def plain(ctx: JobContext) -> int:
        threads.add(threading.current_thread().name)
        ctx.emit_sync({"n": -1}, sink="other")
        return 7

    @app.job("many", sink=SqlTable("many"))
    def many() -> Iterator[dict[str, int]]:
        threads.add(threading.current_thread().name)
        for n in range(1201):
            yield {"n": n}

    app.sink(sink=SqlTable("other"), name="other")
    async with running(app):
        assert (await app.run_job("plain")).check().value == 7
        (await app.run_job("many")).check()
    assert threading.current_thread().name not in threads
    assert [(n,) for n in range(1201)] == rows_of(tmp_path, "many")
    assert [(-1,)] == rows_of(tmp_path, "other")


def in_process(ctx: RunInfo, config: dict[str, int]) -> tuple[int, object, str]:
    assert ctx["job_id"] == ctx.job_id
    with pytest.raises(KeyError):
        ctx["session"]
    return os.getpid(), config["n"], ctx.job_id


def rows_in_process(config: dict[str, int]) -> Iterator[dict[str, int]]:
    for n in range(config["n"]):
        yield {"n": n}


def list_in_process(config: dict[str, int]) -> object:
    return "no list" if config["n"] < 0 else [{"n": n} for n in range(config["n"])] or None


async def test_cpu_work_runs_in_worker_processes(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("away", executor="process")(in_process)
    app.job("rows", executor="process", sink=SqlTable("away"))(rows_in_process)
    app.job("list", executor="process", sink=SqlTable("listed"))(list_in_process)

    @app.job("step")
    async def step(ctx: JobContext) -> int:
        return await ctx.cpu(pow, 2, 10)

    async with running(app):
        pid, n, job_id = (await app.run_job("away", {"n": 5})).check().value
        assert (n, job_id) == (5, "away")
        assert pid != os.getpid()
        (await app.run_job("rows", {"n": 3})).check()
        assert (await app.run_job("step")).check().value == 1024
        for n in (3, 0):
            assert (await app.run_job("list", {"n": n})).check().value is None
        refused = "returned value='str' is not accepted: expected a list of the items for its sink"
        with pytest.raises(RunFailedError, match=refused):
            (await app.run_job("list", {"n": -1})).check()
    assert [(0,), (1,), (2,)] == rows_of(tmp_path, "away") == rows_of(tmp_path, "listed")


async def test_rows_of_a_failed_attempt_are_not_written(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("half", sink=SqlTable("half"), retry=Backoff.constant(0.0, max_tries=2))
    async def half(ctx: JobContext) -> AsyncGenerator[dict[str, int]]:
        yield {"n": ctx.attempt}
        if ctx.attempt == 1:
            raise OSError("in the middle")

    async with running(app):
        (await app.run_job("half")).check()
    assert [(2,)] == rows_of(tmp_path, "half")


async def test_an_interval_that_became_empty_loses_its_old_rows(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    found = [1, 2]

    @app.job("days", cron="0 0 * * *", sink=SqlTable("days", replace="interval"))
    async def days() -> AsyncGenerator[dict[str, int]]:
        for n in found:
            yield {"n": n}

    async with running(app):
        await (await app.backfill("days", date(2013, 1, 1), date(2013, 1, 2))).wait()
        assert [(1,), (2,)] == rows_of(tmp_path, "days")
        found.clear()
        await (await app.backfill("days", date(2013, 1, 1), date(2013, 1, 2), reprocess="all")).wait()
    assert [] == rows_of(tmp_path, "days")


async def test_what_a_failed_run_has_in_a_queue_is_never_written(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    written: list[object] = []

    async def keep(batch: list[object]) -> None:
        written.extend(batch)

    @app.job("half", sink=keep)
    async def half(ctx: JobContext) -> AsyncGenerator[int]:
        yield 1
        raise OSError("in the middle")

    async with running(app):
        assert not (await app.run_job("half")).ok
    assert [] == written


async def test_rows_that_the_table_refuses_fail_their_run_only(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("bad", sink=SqlTable("rows"))
    async def bad() -> AsyncGenerator[dict[str, object]]:
        yield {"n": object()}

    @app.job("good", sink=SqlTable("rows"))
    async def good() -> AsyncGenerator[dict[str, object]]:
        yield {"n": 1}

    async with running(app):
        refused, accepted = await asyncio.gather(app.run_job("bad"), app.run_job("good"))
    assert refused.state is RunState.FAILED
    assert "no SQL form" in (refused.error or "")
    assert accepted.ok
    assert [(1,)] == rows_of(tmp_path, "rows")


async def test_resources_come_by_name_and_by_the_jobs_own_table(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    events: list[str] = []

    @app.resource
    async def api() -> AsyncGenerator[str]:
        events.append("made")
        yield "api"
        events.append("closed")

    async def other() -> str:
        return "replaced"

    @app.job("use", resources={"db": other})
    async def use(api: str, db: str) -> list[str]:
        return [api, db]

    app.override(other, "fake")
    async with running(app):
        assert (await app.run_job("use")).check().value == ["api", "fake"]
        assert (await app.run_job("use")).check().value == ["api", "fake"]
    assert events == ["made", "closed"]


async def test_a_resource_that_cannot_be_made_fails_the_run_and_is_named(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.resource
    async def database() -> str:
        raise OSError("no route")

    @app.job("use")
    async def use(database: str) -> None: ...

    async with running(app):
        result = await app.run_job("use")
    assert result.state is RunState.FAILED
    assert ResourceError.__name__ in (result.error or "")
    assert "database" in (result.error or "")


async def test_a_limiter_admits_the_runs(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    limit = RateLimit(3, 3600)

    @app.job("limited", limiter=limit)
    async def limited() -> None: ...

    async with running(app):
        results = [await app.run_job("limited") for _ in range(3)]
        assert all(result.ok for result in results)
        assert limit.try_acquire() is not None


async def test_a_bulkhead_bounds_the_attempts_and_gets_its_places_back(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    inside, most, are_two = 0, 0, asyncio.Event()

    @app.job("narrow", limiter=Bulkhead(2), retry=Backoff.constant(0.0, max_tries=2))
    async def narrow(ctx: JobContext) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 2:
            are_two.set()
        await are_two.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        inside -= 1
        if ctx.attempt == 1:
            raise OSError("once")

    async with running(app):
        results = await asyncio.gather(*(app.run_job("narrow") for _ in range(6)))
    assert all(result.ok for result in results)
    assert 2 == most


async def test_a_handler_that_does_not_stop_is_left_behind_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path, drain_timeout=0.01, cancel_grace=0.01)
    started, go = asyncio.Event(), asyncio.Event()

    @app.job("stubborn")
    async def stubborn() -> None:
        started.set()
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    with caplog.at_level(logging.ERROR):
        async with running(app):
            await app.run_job("stubborn", wait=False)
            await started.wait()
    go.set()
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == "job-stubborn"]
    await asyncio.gather(*tasks, return_exceptions=True)
    assert "does not stop" in caplog.text


async def test_what_a_worker_is_given_reads_like_a_context(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    infos: list[RunInfo] = []

    @app.job("look")
    async def look(ctx: JobContext) -> None:
        infos.append(RunInfo(ctx))

    async with running(app):
        (await app.run_job("look", {"n": 1})).check()
    (info,) = infos
    assert (info["job_id"], info["attempt"], info["config"]) == ("look", 1, {"n": 1})
    with pytest.raises(KeyError):
        info["session"]


async def test_a_worker_returns_a_value_or_all_items() -> None:
    assert _run_in_worker(pow, {"base": 2, "exp": 5}) == 32
    assert _run_in_worker(rows_in_process, {"config": {"n": 2}}) == [{"n": 0}, {"n": 1}]


async def test_a_plain_function_without_threads_is_refused(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("plain")(rows_in_process)
    ctx: Any = None
    with pytest.raises(InvalidArgumentError, match="a pool for a plain function"):
        await call_handler(app.jobs["plain"], {}, ctx, threads=None, workers=None)
