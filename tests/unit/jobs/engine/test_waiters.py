"""Waiters are woken by this node or by the store, and never left behind."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.errors import ClosedError, StoreBusyError, UnknownRunError
from mainspring.jobs import JobApp
from mainspring.jobs.engine._calls import new_call
from mainspring.jobs.engine._waiters import Waiters
from mainspring.jobs.stores import Enqueue, RunRecord


async def _ended_run(app: JobApp) -> str:
    return (await app.run_job("quick")).run_id


def _app(path: Path) -> JobApp:
    app = make_app(path)

    @app.job("quick")
    async def quick() -> None: ...

    @app.job("elsewhere", queue="elsewhere")
    async def elsewhere() -> None: ...

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
        never = [new_call(app.jobs["elsewhere"], None, None, key=None, now=app.store.now()) for _ in range(1200)]
        await asyncio.gather(*(app.store.enqueue(Enqueue(run=run)) for run in never))
        others = [asyncio.create_task(waiters.wait(run.run_id)) for run in never]
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
        never = (await app.run_job("elsewhere", wait=False)).run_id
        waiters = Waiters(app.store, poll_interval=600)
        for _ in range(2):  # before the first look, and between two of them
            other = asyncio.create_task(waiters.wait(never))
            asked = asyncio.create_task(waiters.wait(run_id, look=True))
            assert (await asked).run_id == run_id
            other.cancel()
        await waiters.close()


async def test_nobody_waits_for_a_run_that_there_is_not(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app, asyncio.timeout(30):
        waiters = Waiters(app.store, poll_interval=600)
        both = [asyncio.create_task(waiters.wait("unknown", look=True)) for _ in range(2)]
        for one in both:
            with pytest.raises(UnknownRunError, match="there is no run 'unknown'"):
                await one
        with pytest.raises(UnknownRunError):
            await app.wait_for_run("unknown")
        await waiters.close()


async def test_a_run_on_its_way_to_the_store_is_waited_for(tmp_path: Path) -> None:
    async with running(_app(tmp_path)) as app:
        waiters = Waiters(app.store, poll_interval=0.01)
        coming: asyncio.Future[RunRecord] = asyncio.get_running_loop().create_future()
        waiters.enter("coming", coming)
        for _ in range(3):  # each of which looks after all
            with pytest.raises(UnknownRunError):
                await waiters.wait("unknown", look=True)
        assert not coming.done()
        waiters.entered("coming")
        with pytest.raises(UnknownRunError):
            await asyncio.wait_for(coming, 30)
        await waiters.close()


async def test_a_call_whose_row_is_deleted_by_hand_is_told(tmp_path: Path) -> None:
    """Be it waiting or running."""
    app = _app(tmp_path)
    begun, go = asyncio.Event(), asyncio.Event()

    @app.job("slow")
    async def slow() -> None:
        begun.set()
        await go.wait()

    async with running(app):
        calls = [asyncio.create_task(app.run_job(job)) for job in ("slow", "elsewhere")]
        await begun.wait()

        async def both_are_there() -> bool:
            return 2 == len(await app.runs())

        await eventually(both_are_there)
        with closing(sqlite3.connect(tmp_path / "state.db", timeout=30)) as by_hand, by_hand:
            by_hand.execute("DELETE FROM run")
        go.set()
        for call in calls:
            with pytest.raises(UnknownRunError):
                await asyncio.wait_for(call, 30)


@pytest.mark.parametrize("wait", [True, False])
async def test_a_key_whose_record_is_gone_is_told(tmp_path: Path, wait: bool) -> None:
    async with running(_app(tmp_path)) as app:
        first = await app.run_job("quick", idempotency_key="k")
        with closing(sqlite3.connect(tmp_path / "state.db", timeout=30)) as by_hand, by_hand:
            by_hand.execute("DELETE FROM history")
        with pytest.raises(UnknownRunError, match=first.run_id):
            await asyncio.wait_for(app.run_job("quick", idempotency_key="k", wait=wait), 30)
