"""Executions: however a handler ends or is stopped, its end is what is recorded."""

import asyncio
import logging
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.base import Backoff
from mainspring.errors import (
    RunFailedError,
)
from mainspring.jobs import JobApp, JobContext, RunState
from mainspring.jobs.engine._execution import Execution
from mainspring.jobs.engine._handler import THREAD_LEFT
from mainspring.jobs.stores import RunRecord


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


async def cancel_me_soon() -> None:
    """As a watchdog by hand does it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.Event().wait()


async def cancel_me_in_vain() -> None:
    """Swallow a cancellation and forget to say so, then await what somebody else has cancelled."""
    with suppress(asyncio.CancelledError):
        await cancel_me_soon()
    other = asyncio.get_running_loop().create_future()
    other.cancel()
    await other


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("body", [cancel_me_soon, cancel_me_in_vain])
async def test_a_handler_whose_task_somebody_cancels_has_failed(
    tmp_path: Path, store: str, body: Callable[[], Awaitable[None]]
) -> None:
    """Only the engine hands runs back: else this one would begin again for ever, with no pause and no new attempt."""
    app = JobApp("test", store="memory") if store == "memory" else make_app(tmp_path)
    attempts: list[tuple[str, int]] = []

    @app.job("bare")
    async def bare() -> None:
        attempts.append(("bare", 1))
        await body()

    @app.job("again", retry=Backoff.constant(0.0, max_tries=2), timeout=3600.0)
    async def again(ctx: JobContext) -> None:
        attempts.append(("again", ctx.attempt))
        await body()

    async with running(app):
        results = [await asyncio.wait_for(app.run_job(job), 30) for job in (bare, again)]
    assert [("bare", 1), ("again", 1), ("again", 2)] == attempts
    assert [(RunState.FAILED, 1), (RunState.FAILED, 2)] == [(result.state, result.attempt) for result in results]
    assert {"CancelledError: the handler's task was cancelled, and not by the engine"} == {one.error for one in results}


async def test_a_handler_that_heeds_no_stranger_is_out_of_time_all_the_same(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("deaf", timeout=0.02)
    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await cancel_me_soon()
        await asyncio.Event().wait()

    @app.job("quick", timeout=3600.0)
    async def quick() -> None:
        await cancel_me_soon()

    async with running(app):
        errors = [(await app.run_job(job)).error or "" for job in (deaf, quick)]
    assert ["JobTimeoutError", "CancelledError"] == [error.partition(":")[0] for error in errors]


async def test_a_task_that_somebody_cancels_before_its_first_step_has_failed(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("quick")
    async def quick() -> None: ...

    async with running(app):
        node = (await app.open()).node
        begin = node.begin

        def begin_and_cancel(record: RunRecord) -> None:
            begin(record)
            (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "job-quick")
            task.cancel()

        node.begin = begin_and_cancel  # type: ignore[method-assign]  # a third party that goes through all tasks
        result = await asyncio.wait_for(app.run_job(quick), 30)
        assert node.running_count == 0
    assert RunState.FAILED is result.state
    assert "CancelledError: the handler's task was cancelled, and not by the engine" == result.error


async def test_a_thread_whose_task_somebody_cancels_is_told_of_in_the_record(tmp_path: Path) -> None:
    app = make_app(tmp_path, cancel_grace=0.01)
    loop, begun, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    @app.job("deaf")
    def deaf() -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(60)

    async with running(app):
        waiting = asyncio.create_task(app.run_job(deaf))
        await begun.wait()
        (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "job-deaf")
        task.cancel()
        result = await asyncio.wait_for(waiting, 30)
        go.set()

        async def left_no_more() -> bool:
            return app.running_count == 0

        await eventually(left_no_more)
    assert RunState.FAILED is result.state
    assert THREAD_LEFT in (result.error or "")


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


class Unanswered(Exception):
    """An error that fails itself when it is asked for how long to wait."""

    @property
    def retry_after(self) -> float:
        raise OSError("no answer")


class Untellable(Exception):
    """An error that cannot be described, and neither can what comes of it."""

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]  # as odd code has it
        raise Untellable

    def __str__(self) -> str:
        raise Untellable


async def test_an_attempt_whose_end_cannot_be_made_has_failed(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("unanswered", retry=Backoff.constant(3600.0, max_tries=2))
    async def unanswered() -> None:
        raise Unanswered("the first")

    @app.job("untellable")
    async def untellable() -> None:
        raise Untellable

    async with running(app):
        untold = await app.run_job("untellable")
        waiting = await app.run_job("unanswered", wait=False)

        async def retrying() -> bool:
            record = await app.run(waiting.run_id)
            return record is not None and record.state is RunState.RETRYING

        await eventually(retrying)
        record = await app.run(waiting.run_id)
    assert (RunState.FAILED, "Untellable: it cannot be described") == (untold.state, untold.error)
    assert record is not None
    assert "OSError: no answer" == record.error
    assert "Unanswered: the first" in (record.error_detail or "")


class Panic(BaseException):
    """No Exception, as the panics of extensions written in Rust are."""


def several(text: str) -> BaseException:
    """As a TaskGroup makes of them."""
    return BaseExceptionGroup(text, [Panic()])


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("made", [Panic, SystemExit, several])
async def test_whatever_a_handler_raises_ends_its_run(
    tmp_path: Path, store: str, made: Callable[[str], BaseException]
) -> None:
    app = JobApp("test", store="memory") if store == "memory" else make_app(tmp_path)

    @app.job("bare")
    async def bare() -> None:
        raise made("so be it")

    @app.job("loop")
    async def loop(ctx: JobContext) -> None:
        raise made("so be it")

    @app.job("thread")
    def thread() -> None:
        raise made("so be it")

    async with running(app):
        for name in ("bare", "loop", "thread"):
            result = await app.run_job(name)
            assert RunState.FAILED is result.state
            assert f"{type(made('x')).__name__}: so be it" in (result.error or "")


@pytest.mark.parametrize("pause", [1e13, 1e300])
async def test_a_retry_lies_within_the_calendar(tmp_path: Path, pause: float) -> None:
    app = make_app(tmp_path)

    @app.job("patient", retry=Backoff.constant(pause, max_tries=2))
    async def patient() -> None:
        raise OSError

    async with running(app):
        result = await app.run_job("patient", wait=False)

        async def retrying() -> bool:
            record = await app.run(result.run_id)
            return record is not None and record.state is RunState.RETRYING

        await eventually(retrying)


async def test_an_end_without_lines_is_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the attempt ended: with a value, or stopped."""
    app = make_app(tmp_path)
    started = asyncio.Event()

    def broken(self: Execution) -> bytes:
        raise RuntimeError("no lines")

    @app.job("quick")
    async def quick() -> str:
        return "done"

    @app.job("hang", retry=5)
    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Execution, "lines", broken)
    async with running(app):
        result = await app.run_job("quick")
        waiting = asyncio.create_task(app.run_job("hang"))
        await started.wait()
        (record,) = await app.runs(states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        cancelled = await waiting
    assert (RunState.FAILED, "RuntimeError: no lines") == (result.state, result.error)
    assert RunState.CANCELLED is cancelled.state
    assert "no lines" in (cancelled.error or "")
