"""Waiters are woken by this node or by the store, and never left behind."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running

from mainspring.errors import ClosedError, StoreBusyError
from mainspring.jobs import JobApp
from mainspring.jobs.engine._waiters import Waiters
from mainspring.jobs.stores import RunRecord


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


async def test_closing_tells_those_who_wait(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        waiters = Waiters(app.store, poll_interval=60)
        waiting = [asyncio.create_task(waiters.wait(name)) for name in ("a", "a", "b")]
        await asyncio.sleep(0)
        await waiters.close()
        for task in waiting:
            with pytest.raises(ClosedError, match="the app"):
                await task


async def test_trouble_of_the_store_leaves_nobody_behind(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        run_id = await _ended_run(app)
        store, look = app.store, app.store.ended
        trouble: list[Exception] = [StoreBusyError(store="s", reason="held"), OSError("out of the blue")]

        async def ended(run_ids: Sequence[str]) -> Sequence[RunRecord]:
            if trouble:
                raise trouble.pop()
            return await look(run_ids)

        store.ended = ended  # type: ignore[method-assign]  # two looks fail
        waiters = Waiters(store, poll_interval=0.01)
        assert (await waiters.wait(run_id)).run_id == run_id
        await waiters.close()


async def test_many_who_wait_long_do_not_hide_one_that_has_ended(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        waiters = Waiters(app.store, poll_interval=0.01)
        others = [asyncio.create_task(waiters.wait(f"never-{n}")) for n in range(1200)]
        await asyncio.sleep(0)
        run_id = await _ended_run(app)
        assert (await waiters.wait(run_id)).run_id == run_id
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await waiters.close()


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


async def test_who_asks_for_a_look_gets_one_at_once_beside_others_who_do_not(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        run_id = await _ended_run(app)
        waiters = Waiters(app.store, poll_interval=600)
        for _ in range(2):  # before the first look, and between two of them
            other = asyncio.create_task(waiters.wait("never"))
            asked = asyncio.create_task(waiters.wait(run_id, look=True))
            assert (await asked).run_id == run_id
            other.cancel()
        await waiters.close()
