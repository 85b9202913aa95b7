"""JobApp: a call is a run with a result that never lies; what is asked for is what is recorded."""

import asyncio
import gc
import logging
import math
import os
import threading
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, running

from mainspring.errors import (
    ClosedError,
    IdempotencyError,
    InvalidArgumentError,
    MisuseError,
    NeedsError,
    StorageError,
    UnknownBackfillError,
    UnknownJobError,
)
from mainspring.jobs import JobApp, JobContext, RunState
from mainspring.jobs.stores import SqliteStore


async def test_a_cancelled_caller_does_not_touch_the_run(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    started, go = asyncio.Event(), asyncio.Event()

    @app.job("slow")
    async def slow() -> None:
        started.set()
        await go.wait()

    async with running(app):
        caller = asyncio.create_task(app.run_job("slow"))
        await started.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        go.set()

        async def succeeded() -> bool:
            return bool(await app.runs("slow", states=[RunState.SUCCEEDED]))

        await eventually(succeeded)


async def test_equal_configs_are_the_same_arguments_for_a_key(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("once")
    async def once() -> None: ...

    async with running(app):
        first = await app.run_job("once", {"a": 1, "of": {"b": 2, "c": 3}}, idempotency_key="k")
        again = await app.run_job("once", {"of": {"c": 3, "b": 2}, "a": 1}, idempotency_key="k")
    assert first.run_id == again.run_id


async def test_a_config_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("once")
    async def once() -> None: ...

    config: Any = [("a", 1)]
    async with running(app):
        with pytest.raises(InvalidArgumentError, match="a mapping of names"):
            await app.run_job("once", config)


async def test_a_second_call_with_a_key_gets_the_first_ones_result(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    calls: list[int] = []

    @app.job("once")
    async def once() -> int:
        calls.append(1)
        return len(calls)

    async with running(app):
        first = await app.run_job("once", {"a": 1}, idempotency_key="k")
        again = await app.run_job("once", {"a": 1}, idempotency_key="k")
        with pytest.raises(IdempotencyError):
            await app.run_job("once", {"a": 2}, idempotency_key="k")
    assert first == again
    assert calls == [1]


def test_a_bare_loop_gets_store_and_runner_and_is_left_clean(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    before = (set(threading.enumerate()), len(os.listdir("/proc/self/fd")))

    @app.job("hello", cron="* * * * *")
    async def hello() -> str:
        return "hello"

    tasks: list[asyncio.Task[Any]] = []  # held here: one that nobody holds could be collected before it is looked at

    def noted(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.Task(coroutine, loop=loop, **options))
        return tasks[-1]

    async def main() -> str:
        asyncio.get_running_loop().set_task_factory(noted)
        return str((await app.run_job("hello")).value)

    assert [asyncio.run(main()) for _ in range(2)] == ["hello", "hello"]
    assert tasks
    assert [] == [task for task in tasks if not task.done()]
    tasks.clear()
    gc.collect()
    assert not set(threading.enumerate()) - before[0]
    assert len(os.listdir("/proc/self/fd")) <= before[1]


def test_a_run_that_the_loop_cuts_off_is_handed_back(tmp_path: Path) -> None:
    started: list[int] = []

    def program() -> JobApp:
        app = make_app(tmp_path)

        @app.job("slow")
        async def slow(ctx: JobContext) -> str:
            started.append(ctx.attempt)
            if len(started) == 1:
                await asyncio.Event().wait()
            return "done"

        return app

    async def first() -> None:
        app = program()
        await app.run_job("slow", wait=False)
        await eventually(lambda: _true_when(lambda: bool(started)))

    async def second() -> None:
        app = program()
        await app.open()
        await eventually(lambda: _ended(app))

    asyncio.run(first())
    asyncio.run(second())
    assert started == [1, 1]


async def _true_when(condition: Any) -> bool:
    return bool(condition())


async def _ended(app: JobApp) -> bool:
    return bool(await app.runs("slow", states=[RunState.SUCCEEDED]))


async def test_a_handler_that_spawns_while_it_is_drained_is_handed_back_and_opens_nothing(tmp_path: Path) -> None:
    app = make_app(tmp_path, drain_timeout=0.5, cancel_grace=5.0)
    started, stopping = asyncio.Event(), asyncio.Event()
    children: list[str] = []

    @app.job("child")
    async def child() -> None:
        children.append("ran")

    @app.job("parent")
    async def parent(ctx: JobContext) -> None:
        started.set()
        await stopping.wait()
        await (await ctx.spawn(child, key="one")).wait()

    async with running(app):
        run = await app.run_job("parent", wait=False)
        app._opened().node.wake()
        await started.wait()
        asyncio.get_running_loop().call_soon(stopping.set)
    assert app._open is None
    assert children == []
    async with app.reading() as reader:
        records = {record.job_id: record for record in await reader.runs()}
    assert {"parent": RunState.AVAILABLE, "child": RunState.AVAILABLE} == {
        job_id: record.state for job_id, record in records.items()
    }
    assert run.run_id == records["parent"].run_id


async def test_stopping_drains_and_then_hands_back(tmp_path: Path) -> None:
    app = make_app(tmp_path, drain_timeout=0.02, cancel_grace=5.0)
    started = asyncio.Event()

    @app.job("slow")
    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    async with running(app):
        result = await app.run_job("slow", wait=False)
        await started.wait()
    async with running(make_app(tmp_path)) as other:
        record = await other.run(result.run_id)
    assert record is not None
    assert (record.state, record.attempt) == (RunState.AVAILABLE, 0)


async def test_a_thousand_calls_run_together_and_each_sees_its_own_config(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    arrived: set[str] = set()
    all_there = asyncio.Event()

    @app.job("fetch")
    async def fetch(ctx: JobContext) -> str:
        symbol = str(ctx.config["symbol"])
        arrived.add(symbol)
        if len(arrived) == 1000:
            all_there.set()
        await all_there.wait()
        return symbol

    async with running(app):
        results = await asyncio.gather(*(app.run_job("fetch", config={"symbol": f"S{n}"}) for n in range(1000)))
    assert [f"S{n}" for n in range(1000)] == [result.value for result in results]


async def test_unknown_jobs_runs_and_backfills_are_named(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("known", cron="0 * * * *")
    async def known() -> None: ...

    async with running(app):
        with pytest.raises(UnknownJobError, match="no job 'nope'"):
            await app.run_job("nope")
        with pytest.raises(UnknownJobError, match="running"):
            await app.run_job(running)
        with pytest.raises(UnknownBackfillError):
            await app.backfill_by_id("nope")
        assert await app.run("00000000-nope") is None
        assert "known" in app.jobs
        assert app.jobs["known"].describe() == ""


async def test_needs_that_can_never_be_there_are_refused_at_the_start(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("a", cron="0 * * * *", needs=("b",))
    async def a() -> None: ...

    with pytest.raises(NeedsError, match="not a job"):
        await app.start()
    await app.stop()


async def test_a_job_that_starts_before_what_it_needs_is_refused_at_the_start(tmp_path: Path) -> None:
    """What counts is the first whole interval, so that a day may need hours that begin in the middle of one."""
    app = make_app(tmp_path)

    @app.job("hours", cron="0 * * * *", start_at=at(0.5))
    async def hours() -> None: ...

    @app.job("later", cron="0 * * * *", start_at=at(0.25), needs=("hours",))
    async def later() -> None: ...

    async with running(app):
        pass

    @app.job("early", cron="0 * * * *", start_at=at(0), needs=("hours",))
    async def early() -> None: ...

    with pytest.raises(NeedsError, match=r"needs 'hours' from 2013-01-01T00:00.* starts at 2013-01-01T01:00"):
        await app.start()
    await app.stop()


async def test_a_damaged_store_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database" * 100)
    app = make_app(tmp_path)
    with pytest.raises(StorageError):
        await app.start()
    await app.stop()


@pytest.mark.parametrize(
    "options",
    [
        {"slots": 0},
        {"slots": "5"},
        {"poll_interval": 0},
        {"poll_interval": "2s"},
        {"poll_interval": True},
        {"drain_timeout": -1},
        {"cancel_grace": math.inf},
        {"queues": "cpu"},
        {"queues": ()},
        {"schedule": "no"},
        {"spool": 5},
        {"spool_bytes": 1.5},
        {"spool_bytes": "1"},
        {"spool_bytes": True},
        {"retention": 5},
        {"was": 5},
        {"was": "old"},
    ],
)
def test_options_of_the_app_are_checked(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        make_app(tmp_path, **options)


@pytest.mark.parametrize("store", [5, b"state.db", "", SqliteStore])
def test_what_can_be_no_store_is_refused_at_once(store: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="store"):
        JobApp("test", store=store)
    with pytest.raises(InvalidArgumentError, match="store"):
        JobApp("test").adjust(store=store)


@pytest.mark.parametrize("label", ["", 5])
def test_an_app_is_called_by_a_text(label: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="label"):
        JobApp(label)


async def test_who_runs_an_app_may_adjust_it_before_it_opens(tmp_path: Path) -> None:
    app = make_app(tmp_path, slots=5)

    @app.job("cut", queue="cpu")
    async def cut() -> None:
        pass

    app.adjust()
    with pytest.raises(InvalidArgumentError, match="slots"):
        app.adjust(slots=0)
    app.adjust(store=tmp_path / "other.db", slots=1, queues=["cpu"])
    async with running(app):
        assert (tmp_path / "other.db").exists()
        assert (await app.run_job("cut")).ok
        with pytest.raises(MisuseError, match="before it is opened"):
            app.adjust(slots=2)


async def test_an_app_that_is_not_open_says_so(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    assert "closed" in repr(app)
    with pytest.raises(ClosedError, match="the app 'test' is closed"):
        _ = app.store
    async with running(app):
        assert "0 running" in repr(app)
        assert app.store.kind == "sqlite"


async def test_two_loops_cannot_share_an_open_app(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with running(app):
        with pytest.raises(InvalidArgumentError, match="the loop on which the app is open"):
            await asyncio.to_thread(lambda: asyncio.run(_open(app)))


async def _open(app: JobApp) -> None:
    await app.open()


async def test_plans_show_fires_and_jobs_without_schedule_have_none(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("hourly", cron="0 * * * *")
    async def hourly() -> None: ...

    @app.job("never")
    async def never() -> None: ...

    assert [at(1), at(2)] == [one.fire for one in app.plan(hourly, after=START, count=2)]
    assert len(app.plan(hourly)) == 5
    assert app.plan(never) == []
    assert app.count_intervals(never, START, at(5)) == (0, True)
    assert len(app.intervals(hourly, START, at(5))) == 5


@pytest.mark.parametrize(
    ("start", "end"),
    [(at(2), at(1)), (at(1), at(1)), (datetime(2013, 1, 1), at(1)), ("soon", at(1))],  # noqa: DTZ001
)
async def test_ends_of_a_backfill_are_checked(tmp_path: Path, start: Any, end: Any) -> None:
    app = make_app(tmp_path)

    @app.job("hourly", cron="0 * * * *")
    async def hourly() -> None: ...

    @app.job("never")
    async def never() -> None: ...

    with pytest.raises(InvalidArgumentError):
        await app.backfill("hourly", start, end)
    with pytest.raises(InvalidArgumentError, match="cron or every"):
        await app.backfill("never", START, at(1))
    with pytest.raises(InvalidArgumentError, match="max_parallel"):
        await app.backfill("hourly", date(2013, 1, 1), date(2013, 1, 2), max_parallel=0)


def test_the_default_store_is_in_the_state_directory_and_named_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("MAINSPRING_STORE", raising=False)

    async def main(app: JobApp) -> str:
        await app.open()
        return app.store.location

    with caplog.at_level(logging.INFO, "mainspring.jobs"):
        assert asyncio.run(main(JobApp("a"))) == str(tmp_path / "state" / "mainspring.db")
    assert f"jobs are kept in {tmp_path}/state/mainspring.db" in caplog.messages
    assert 0o700 == (tmp_path / "state").stat().st_mode & 0o777
    monkeypatch.setenv("MAINSPRING_STORE", f"sqlite:///{tmp_path}/other.db")
    assert asyncio.run(main(JobApp("b"))) == f"{tmp_path}/other.db"
    with pytest.raises(InvalidArgumentError, match="the address of a SQLite file"):
        asyncio.run(main(JobApp("c", store="postgres://x")))


async def test_a_store_may_be_passed_in(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "own.db", durability="memory")
    app = JobApp("own", store=store)
    async with running(app):
        assert app.store is store


def test_utc_is_the_zone_of_a_job_without_schedule(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("plain")
    async def plain() -> None:
        """Do nothing, on purpose."""

    assert app.jobs["plain"].timezone == "UTC"
    assert app.jobs["plain"].describe() == "Do nothing, on purpose."
