"""The time of an attempt counts while its handler runs, and who does not stop then is told of."""

import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import eventually, running

from mainspring.base import from_us
from mainspring.jobs import JobApp, JobContext, RunState
from mainspring.testing import VirtualClock


class Slow(ThreadPoolExecutor):
    """A pool that begins with its calls when it is told to."""

    def __init__(self) -> None:
        super().__init__(1)
        self.calls: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future = Future[Any]()
        self.calls.append((future, fn))
        return future

    def begin(self) -> None:
        future, call = self.calls.pop()
        future.set_result(call())


async def test_a_handler_has_all_its_time_when_it_begins(virtual_clock: VirtualClock) -> None:
    app, pool = JobApp("test", store="memory"), Slow()

    @app.job("load", executor=pool, timeout=60.0)
    def load(ctx: JobContext) -> str:
        return "" if ctx.deadline_at is None else ctx.deadline_at.isoformat()

    async with running(app):
        call = asyncio.create_task(app.run_job(load))

        async def given() -> bool:
            return bool(pool.calls)

        await eventually(given)
        await virtual_clock.advance(3600)
        assert not call.done()
        begun_at = from_us(app.store.now())
        pool.begin()
        assert begun_at + timedelta(seconds=60) == datetime.fromisoformat((await call).check().value)


async def test_a_handler_that_does_not_stop_in_time_is_told_of(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = JobApp("test", store="memory", cancel_grace=5.0)
    go = asyncio.Event()

    @app.job("deaf", timeout=60.0)
    async def deaf() -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    async with running(app):
        call = asyncio.create_task(app.run_job(deaf))
        with caplog.at_level(logging.WARNING):
            await virtual_clock.advance(64)
            assert "does not stop" not in caplog.text
            await virtual_clock.advance(2)
            assert "does not stop: it had 60 s" in caplog.text
        go.set()
        assert RunState.FAILED is (await call).state
