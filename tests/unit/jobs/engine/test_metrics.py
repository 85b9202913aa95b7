"""What an app counts: every end once, with how long it took and how late it was."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running

from mainspring.jobs import JobContext, RunState
from mainspring.jobs.engine._metrics import Histogram
from mainspring.resilience import Backoff
from mainspring.testing import eventually


def test_a_value_is_counted_below_the_bound_that_holds_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (-1.0, 0.1, 0.5, 7.0):
        histogram.observe(seconds)
    assert ([2, 1, 1], 4) == (histogram.counts, histogram.count)
    assert 7.6 == pytest.approx(histogram.total)


async def test_runs_are_counted_by_job_and_state(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    async def sink(batch: list[int]) -> None:
        pass

    @app.job("good", sink=sink)
    async def good(ctx: JobContext) -> None:
        await ctx.emit(1)
        await ctx.emit(2)

    @app.job("bad", retry=Backoff.constant(0.001, max_tries=2))
    async def bad() -> None:
        raise ValueError("no")

    async with running(app):
        await asyncio.gather(*(app.run_job(good) for _ in range(3)), app.run_job(bad))
        await app.run_job(good, wait=False)  # claimed by the loop, not by its call
        await eventually(lambda: app.metrics.ended_count == 6)
    metrics = app.metrics
    fine, failed = metrics.jobs["good"], metrics.jobs["bad"]
    assert {RunState.SUCCEEDED: 4} == fine.ends
    assert {RunState.RETRYING: 1, RunState.FAILED: 1} == failed.ends
    assert (4, 4, 8) == (fine.durations.count, fine.lags.count, fine.items)
    assert (1, 0) == (failed.durations.count, failed.items)
    assert 6 == metrics.claim_count == metrics.store["finish"].count
    assert metrics.claim_calls > 0
    assert {"claim", "finish", "heartbeat"} >= metrics.store.keys()
