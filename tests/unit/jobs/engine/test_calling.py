"""Handlers of any form run with what they ask for, in their time, and their items reach the sinks."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncGenerator, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.unit.jobs.engine.support_engine import START, at, make_app, running

from mainspring.base import Backoff, current_clock
from mainspring.errors import (
    InvalidArgumentError,
    ResourceError,
)
from mainspring.jobs import JobApp, JobContext, RunInfo, RunState
from mainspring.jobs.engine._handler import InWorker, _holds_items, call_handler
from mainspring.resilience import Bulkhead, RateLimit, deadline, retry
from mainspring.sinks import SqlTable
from mainspring.testing import VirtualClock


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path / "state.db")
    try:
        return connection.execute(f"SELECT n FROM {table} ORDER BY n").fetchall()
    finally:
        connection.close()


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


def power(config: dict[str, int]) -> object:
    return config["base"] ** config["exponent"]


def list_in_process(config: dict[str, int]) -> object:
    return [{"n": n} for n in range(config["n"])] or None


class Page(NamedTuple):
    rows: int
    unit: str


def value_in_process(name: str = "mapping") -> object:
    """Has a parameter of its own, and returns what it came to."""
    return {"mapping": {"rows": 3}, "named": Page(3, "n"), "text": "three", "bytes": bytearray(b"three")}[name]


async def test_cpu_work_runs_in_worker_processes(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("away", executor="process")(in_process)
    app.job("rows", executor="process", sink=SqlTable("away"))(rows_in_process)
    app.job("list", executor="process", sink=SqlTable("listed"))(list_in_process)
    app.job("value", executor="process", sink=SqlTable("none"))(value_in_process)

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
        assert (await app.run_job("value")).check().value == {"rows": 3}
    assert [(0,), (1,), (2,)] == rows_of(tmp_path, "away") == rows_of(tmp_path, "listed")


@pytest.mark.parametrize(
    ("returned", "is_for_its_sink"),
    [
        *((made, True) for made in ([], [1], (1, 2), {1}, frozenset({1}))),
        *((value_in_process(name), False) for name in ("mapping", "named", "text", "bytes")),
        (None, False),
    ],
)
def test_only_lists_tuples_and_sets_are_items(returned: object, is_for_its_sink: bool) -> None:
    assert is_for_its_sink == _holds_items(returned)


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

    @app.job("use", retry=Backoff.constant(0.0, max_tries=2))
    async def use(database: str) -> None: ...

    async with running(app):
        result = await app.run_job("use")
    assert (RunState.FAILED, 2) == (result.state, result.attempt)
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


def test_the_deadline_counts_from_when_the_limiter_lets_an_attempt_in() -> None:
    app = JobApp("t", store="memory")
    left: list[float] = []

    @app.job("narrow", limiter=Bulkhead(1), timeout=60)
    async def narrow(ctx: JobContext) -> None:
        assert ctx.deadline_at is not None
        left.append(round((ctx.deadline_at - current_clock().now()).total_seconds(), 3))
        await asyncio.sleep(50)

    async def main() -> None:
        async with running(app):
            results = await asyncio.gather(*(app.run_job("narrow") for _ in range(3)))
        assert all(result.ok for result in results)

    with VirtualClock(START) as clock:
        clock.run(main())
    assert [60.0] * 3 == left


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
    assert (info["idempotency_key"], info["deadline_at"]) == (info.run_id, None)
    with pytest.raises(KeyError):
        info["session"]


async def test_a_worker_returns_a_value_or_all_items() -> None:
    app = JobApp("test", store="memory")
    app.job("power", executor="process")(power)
    app.job("rows", executor="process")(rows_in_process)
    assert 32 == InWorker(app.jobs["power"])({"config": {"base": 2, "exponent": 5}})
    assert [{"n": 0}, {"n": 1}] == InWorker(app.jobs["rows"])({"config": {"n": 2}})


async def test_a_plain_function_without_threads_is_refused(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("plain")(rows_in_process)
    ctx: Any = None
    with pytest.raises(InvalidArgumentError, match="a pool for a plain function"):
        await call_handler(app.jobs["plain"], {}, ctx, threads=None, workers=None)
