"""Handlers that have to stop: in time, late, or never; each says so in its record, and the node goes on."""

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.base import Backoff
from mainspring.jobs import JobApp, JobContext, RunResult, RunState
from mainspring.jobs.engine._handler import THREAD_LEFT


@pytest.mark.allow_leaks("descriptors", reason="the loop stays as long as a thread that was left works for it")
async def test_a_thread_that_does_not_end_is_left_and_the_record_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path, cancel_grace=0.01, drain_timeout=0.01)
    go, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    @app.job("hang", timeout=0.02)
    def hang() -> None:
        go.wait(60)

    @app.job("hang_for_ever")
    def hang_for_ever() -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(60)

    async with running(app):
        async with asyncio.timeout(60):
            while THREAD_LEFT not in ((timed_out := await app.run_job("hang")).error or ""):
                assert "did not end" in (timed_out.error or "")  # a slow thread had not begun: none was left
        waiting = asyncio.create_task(app.run_job("hang_for_ever"))
        await begun.wait()
        (record,) = await app.runs(states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        cancelled = await waiting
        begun.clear()
        await app.run_job("hang_for_ever", wait=False)
        await begun.wait()
    assert timed_out.state is RunState.FAILED
    assert "did not end within 0.02 s" in (timed_out.error or "")
    assert THREAD_LEFT in (timed_out.error or "")
    assert (cancelled.state, cancelled.error) == (
        RunState.CANCELLED,
        f"cancelled on request; {THREAD_LEFT}",
    )
    assert THREAD_LEFT in caplog.text  # of the run that was handed back by the shutdown
    go.set()


async def cancel_when_called(app: JobApp, job: str, called: asyncio.Event) -> tuple[RunResult, int]:
    """Run a job and cancel it when it is called; return its result and how many handlers the app then counts."""
    waiting = asyncio.create_task(app.run_job(job))
    await called.wait()
    (record,) = await app.runs(job, states=[RunState.RUNNING])
    await app.cancel(record.run_id)
    return await waiting, app.running_count


@pytest.mark.parametrize("first", ["cancel", "timeout"])
async def test_a_thread_that_is_told_twice_is_left_at_once_and_tracked(tmp_path: Path, first: str) -> None:
    """Its run is cancelled and is out of time, one within the grace of the other: the second ends the wait."""
    app = make_app(tmp_path, cancel_grace=30.0)  # which ends the wait should both come in the same turn of the loop
    go, called = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    # A thread may be slow to begin: then nothing is left, and the next attempt tries again.
    @app.job("deaf", timeout=0.1, retry=Backoff.constant(0.0, max_tries=100_000))
    def deaf(ctx: JobContext) -> None:
        while first == "timeout" and not ctx.cancelled:
            go.wait(0.001)
        loop.call_soon_threadsafe(called.set)
        go.wait(60)

    async with running(app):
        result, count = await cancel_when_called(app, "deaf", called)
        go.set()
        assert (RunState.CANCELLED, f"cancelled on request; {THREAD_LEFT}") == (result.state, result.error)
        assert 1 == count, "the thread has kept its slot"

        async def left_no_more() -> bool:
            return app.running_count == 0

        await eventually(left_no_more)


class Late(concurrent.futures.ThreadPoolExecutor):
    """A pool whose only thread has taken its call, and makes it when it is told to."""

    body: Callable[[], object] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        self.body = partial(fn, *args, **kwargs)
        future = concurrent.futures.Future[Any]()
        future.set_running_or_notify_cancel()
        return future


async def test_a_thread_that_begins_after_the_cancel_calls_nothing(tmp_path: Path) -> None:
    """It has taken the call already: no cancel of a future takes that back."""
    ran: list[str] = []
    app, late = make_app(tmp_path, cancel_grace=3600.0), Late(1)
    app.job("late", executor=late)(lambda: ran.append("handler"))
    async with running(app):
        waiting = asyncio.create_task(app.run_job("late"))

        async def taken() -> bool:
            return late.body is not None

        await eventually(taken)
        (record,) = await app.runs("late", states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        result = await waiting
        assert late.body is not None
        late.body()
        assert (RunState.CANCELLED, "cancelled on request", 0) == (result.state, result.error, app.running_count)
    assert [] == ran


async def test_a_thread_that_notices_its_cancel_in_time_is_waited_for(tmp_path: Path) -> None:
    app = make_app(tmp_path, cancel_grace=30.0)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def until_cancelled(ctx: JobContext) -> str:
        loop.call_soon_threadsafe(begun.set)
        while not ctx.cancelled:
            threading.Event().wait(0.001)
        if ctx.config.get("fails"):
            raise OSError("half done")
        return "done all the same"

    app.job("polite")(until_cancelled)
    results: list[RunResult] = []
    async with running(app):
        for config in ({}, {"fails": True}):
            begun.clear()
            waiting = asyncio.create_task(app.run_job("polite", config))
            await begun.wait()
            (record,) = await app.runs(states=[RunState.RUNNING])
            await app.cancel(record.run_id)
            results.append(await waiting)
    ended, failed = results
    assert (ended.state, ended.value) == (RunState.SUCCEEDED, "done all the same")
    assert failed.state is RunState.CANCELLED
    assert failed.error == "OSError: cancelled on request; the handler then raised: half done"


async def test_a_handler_that_breaks_while_it_is_drained_is_run_again(tmp_path: Path) -> None:
    app = make_app(tmp_path, drain_timeout=0.01)
    begun = asyncio.Event()

    @app.job("fragile")
    async def fragile(ctx: JobContext) -> str:
        if begun.is_set():
            return f"attempt {ctx.attempt}"
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("cannot close")  # what a broken cleanup does

    async with running(app):
        result = await app.run_job("fragile", wait=False)
        await begun.wait()
    async with running(app):

        async def done() -> bool:
            record = await app.run(result.run_id)
            return record is not None and record.state is RunState.SUCCEEDED

        await eventually(done)
        record = await app.run(result.run_id)
    assert record is not None
    assert (record.attempt, record.value) == (1, b'"attempt 1"')


async def test_a_handler_that_does_not_stop_is_named_after_its_grace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path, cancel_grace=0.01)
    go = asyncio.Event()

    @app.job("stubborn", timeout=0.01)
    async def stubborn() -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    async with running(app):
        waiting = asyncio.create_task(app.run_job("stubborn"))

        async def named() -> bool:
            return "does not stop" in caplog.text

        await eventually(named)
        go.set()
        result = await waiting
    assert "JobTimeoutError" in (result.error or "")


def through(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a handler of any form by a plain function."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


class Hello:
    """A handler that is an object."""

    async def __call__(self) -> str:
        await asyncio.sleep(0)
        return "hello"


async def test_a_handler_behind_a_plain_decorator_runs_in_its_own_form(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    written: list[object] = []

    async def keep(batch: list[object]) -> None:
        written.extend(batch)

    @app.job("coroutine")
    @through
    async def coroutine(config: dict[str, int]) -> int:
        await asyncio.sleep(0)
        return config["n"]

    @app.job("stream", sink=keep)
    @through
    async def stream() -> AsyncGenerator[int]:
        yield 1

    @app.job("rows", sink=keep)
    @through
    def rows() -> Iterator[int]:
        yield 2

    app.job("object")(Hello())
    async with running(app):
        values = [
            (await app.run_job(name, {"n": 7})).check().value for name in ("coroutine", "stream", "rows", "object")
        ]
    assert [7, None, None, "hello"] == values
    assert [1, 2] == written


@pytest.mark.parametrize("form", ["coroutine", "stream", "rows"])
async def test_what_a_thread_makes_after_its_cancel_does_not_begin(tmp_path: Path, form: str) -> None:
    app = make_app(tmp_path, cancel_grace=30.0)
    begun, go = asyncio.Event(), threading.Event()
    ran: list[str] = []
    loop = asyncio.get_running_loop()

    async def coroutine() -> None:
        ran.append("coroutine")

    async def stream() -> AsyncGenerator[str]:
        ran.append("stream")
        yield "item"

    def rows() -> Iterator[str]:
        ran.append("rows")
        yield "item"

    @app.job("slow")
    def slow() -> object:
        loop.call_soon_threadsafe(begun.set)
        go.wait(60)
        return {"coroutine": coroutine, "stream": stream, "rows": rows}[form]()

    async with running(app):
        waiting = asyncio.create_task(app.run_job("slow"))
        await begun.wait()
        (record,) = await app.runs(states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        go.set()
        assert RunState.CANCELLED is (await waiting).state
    assert [] == ran
