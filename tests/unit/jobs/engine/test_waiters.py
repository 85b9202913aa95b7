"""Waiters are woken by this node or by the store, and never left behind."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running

from mainspring.jobs import JobApp
from mainspring.jobs.engine._waiters import Waiters


async def _ended_run(app: JobApp) -> str:
    return (await app.run_job("quick")).run_id


def _app(path: Path) -> JobApp:
    app = make_app(path)

    @app.job("quick")
    async def quick() -> None: ...

    return app


async def test_the_store_is_looked_at_when_nobody_tells(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        run_id = await _ended_run(app)
        waiters = Waiters(app.store, poll_interval=0.01)
        record = await waiters.wait(run_id)
        await waiters.close()
    assert record.run_id == run_id


async def test_closing_cancels_those_who_wait(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        waiters = Waiters(app.store, poll_interval=60)
        waiting = [asyncio.create_task(waiters.wait(name)) for name in ("a", "a", "b")]
        await asyncio.sleep(0)
        await waiters.close()
        for task in waiting:
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_one_of_two_waiters_may_give_up(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        record = await app.run(await _ended_run(app))
        assert record is not None
        waiters = Waiters(app.store, poll_interval=60)
        first, second = (asyncio.create_task(waiters.wait(record.run_id)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        waiters.ended(record)
        assert await second == record
        await waiters.close()
