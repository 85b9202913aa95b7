"""The jobs of the simulated world."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime

from mainspring.base import Backoff, current_random, to_us
from mainspring.errors import StoreBusyError
from mainspring.jobs import DataInterval, JobApp, JobContext
from mainspring.jobs.stores import JobStore
from mainspring.sinks import SqlTable

START = datetime(2024, 1, 1, tzinfo=UTC)
STEPS = {"grid": 20_000_000, "chain": 10_000_000, "hasty": 10_000_000}
"""Microseconds between the fires of those jobs whose every interval must come to a record."""
DELAY = 12.0  # of the job "grid"


def leave_a_thread(ctx: JobContext) -> None:
    """Let the attempt go on behind its end, as a thread does that notices no cancel."""
    loop = asyncio.get_running_loop()
    ctx.thread_left = loop.create_future()
    loop.call_later(current_random().uniform(0.0, 8.0), ctx.thread_left.set_result, None)


def make_app(store: JobStore, *, schedule: bool) -> JobApp:
    app = JobApp("node", store=store, poll_interval=1.0, drain_timeout=2.0, slots=6, schedule=schedule)
    retry = Backoff.constant(0.5, max_tries=2)

    @app.job(
        "grid",
        every=20,
        start_at=START,
        delay=DELAY,
        missed="all",
        retry=retry,
        max_instances=2,
        sink=SqlTable("rows", replace="interval"),
    )
    async def grid(ctx: JobContext, data_interval: DataInterval) -> None:
        ctx.progress(0, 1)  # goes to the store beside the heartbeat
        await asyncio.sleep(current_random().uniform(0.0, 6.0))
        if current_random().random() < 0.35:
            if current_random().random() < 0.4:
                leave_a_thread(ctx)
            raise ValueError("by chance")
        await ctx.emit({"run": ctx.run_id, "start": to_us(data_interval.start), "fence": ctx.fence})

    @app.job("sum", every=40, start_at=START, missed="all", needs=["grid"])
    async def total() -> None:
        await asyncio.sleep(current_random().uniform(0.0, 1.0))

    @app.job("chain", every=10, start_at=START, missed="all", depends_on_past=True, retry=retry)
    async def chain() -> None:
        await asyncio.sleep(current_random().uniform(0.0, 4.0))
        if current_random().random() < 0.35:
            raise ValueError("by chance")

    @app.job("hasty", every=10, start_at=START, overlap="skip", max_instances=2)
    async def hasty() -> None:
        await asyncio.sleep(current_random().uniform(0.0, 25.0))

    @app.job("call")
    async def call(ctx: JobContext) -> object:
        await asyncio.sleep(current_random().uniform(0.0, 3.0))
        if current_random().random() < 0.4:
            await (await ctx.spawn("leaf", key="only")).wait()
            await asyncio.sleep(current_random().uniform(0.0, 3.0))
        return ctx.config.get("token")

    @app.job("leaf")
    async def leaf() -> None:
        while True:
            try:
                async with app.lease("only one"):
                    with getattr(store, "alone", nullcontext)():
                        await asyncio.sleep(current_random().uniform(0.0, 1.0))
                return
            except StoreBusyError:
                await asyncio.sleep(0.1)

    return app
