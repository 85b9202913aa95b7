"""Runs that nobody takes are told in the log, once, and when it is no matter of a restart."""

import logging
from collections.abc import Sequence

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.jobs import JobApp
from mainspring.jobs.stores import MemoryData, MemoryStore, StrandedRow
from mainspring.testing import VirtualClock


async def nothing() -> None: ...


def app_with(data: MemoryData, *jobs: str, queue: str = "default") -> JobApp:
    app = JobApp("strays", store=MemoryStore(data), poll_interval=5.0)
    for job in jobs:
        app.job(job, queue=queue)(nothing)
    return app


async def test_runs_of_a_job_that_is_gone_are_told_once(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    data = MemoryData()
    old, new = app_with(data, "kept", "gone"), app_with(data, "kept")
    await old.open(runner=False)
    run = await old.run_job("gone", wait=False)
    async with running(new):
        await virtual_clock.advance(30)
        assert "wait in queue" not in caplog.text, "programs may be being replaced"
        await virtual_clock.advance(300)
        assert 1 == caplog.text.count("runs of job 'gone' wait in queue 'default'")
        async with new.reading() as reader:
            assert [("gone", "default")] == [(row.job_id, row.queue) for row in await reader.stranded()]
        await old.close()
        async with running(old):
            await virtual_clock.advance(10)
            record = await old.run(run.run_id)
            assert record is not None
            assert record.state.terminal
            assert "gone" not in [row.job_id for row in await new.store.stranded()]


async def test_runs_of_a_queue_that_is_served_by_none_are_told(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with(MemoryData(), "heavy", queue="cpu")
    async with running(app):
        await app.run_job("heavy", wait=False)
        await virtual_clock.advance(200)
    assert 1 == caplog.text.count("runs of job 'heavy' wait in queue 'cpu'")


async def test_an_app_that_asks_its_store_once_a_day_does_not_look_more_often(virtual_clock: VirtualClock) -> None:
    looks: list[float] = []

    class Counting(MemoryStore):
        async def stranded(self) -> Sequence[StrandedRow]:
            looks.append(self.now())
            return await super().stranded()

    async with running(JobApp("seldom", store=Counting(MemoryData()), poll_interval=86_400)):
        await virtual_clock.advance(3 * 86_400)
    assert 1 <= len(looks) <= 5
