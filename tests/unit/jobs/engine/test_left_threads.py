"""A thread that nothing can stop keeps its slot and its place in the limits until it ends, and holds up no close."""

import asyncio
import threading
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, running
from tests.unit.jobs.engine.support_trouble import busy, troubled

from mainspring.base import Backoff
from mainspring.jobs import JobApp, RunRecord, RunState
from mainspring.jobs.engine._handler import THREAD_LEFT


class Deaf:
    """A handler in a thread that notices no cancel: it ends when it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.now = self.most = 0
        self._lock = threading.Lock()

    def handle(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.go.wait(60)
        with self._lock:
            self.now -= 1

    async def is_left(self, app: JobApp) -> RunRecord:
        """Cancel the run in whose handler this is, and return its record, which says that the thread goes on."""

        async def begun() -> bool:
            return self.now == 1

        await eventually(begun)
        (record,) = await app.runs("deaf", states=[RunState.RUNNING])
        await app.cancel(record.run_id)
        ended = await app.wait_for_run(record.run_id)
        assert (RunState.CANCELLED, f"cancelled on request; {THREAD_LEFT}") == (ended.state, ended.error)
        return ended


async def test_a_thread_keeps_its_slot_until_it_has_ended(tmp_path: Path) -> None:
    app = make_app(tmp_path, slots=1, cancel_grace=0.01)
    deaf = Deaf()
    order: list[str] = []
    app.job("deaf")(deaf.handle)

    @app.job("next")
    async def after() -> None:
        order.append("in time" if deaf.go.is_set() else "too early")

    async with running(app):
        await app.run_job("deaf", wait=False)
        await deaf.is_left(app)
        assert 1 == app.running_count
        waiting = asyncio.create_task(app.run_job("next"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert [] == order
        deaf.go.set()
        assert (await waiting).ok
        assert 0 == app.running_count
    assert ["in time"] == order


async def test_the_next_attempt_waits_for_the_thread_of_the_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And for the store, which does not take at once that it has ended."""
    app, store = troubled(tmp_path, cancel_grace=0.01, schedule=False)
    store.failures = {"let_go": [busy(), busy()]}
    deaf = Deaf()
    retry = Backoff.constant(0.0, max_tries=100_000)  # however slow threads are to begin, and to end
    app.job("deaf", cron="0 * * * *", start_at=at(5), timeout=0.05, retry=retry)(deaf.handle)
    async with running(app):
        backfill = await app.backfill("deaf", START, at(2), max_parallel=1)

        async def left() -> bool:
            return deaf.now == 1 and bool(await app.runs("deaf", states=[RunState.RETRYING]))

        await eventually(left)
        looks = app.metrics.claim_calls

        async def looked_again() -> bool:
            return app.metrics.claim_calls >= looks + 2

        await eventually(looked_again)
        assert [] == await app.runs("deaf", states=[RunState.RUNNING])
        assert [] == await store.check()
        deaf.go.set()
        assert 2 == (await backfill.wait()).succeeded
    assert (1, []) == (deaf.most, store.failures["let_go"])
    assert "has ended after its run" in caplog.text


async def test_what_a_thread_that_was_left_raises_is_told_with_its_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the secrets of its config, as in the record of a run."""
    app = make_app(tmp_path, cancel_grace=0.01)
    deaf = Deaf()

    @app.job("deaf")
    def handle(config: dict[str, str]) -> None:
        deaf.handle()
        raise OSError(f"no line for {config['token']}")

    async def ended() -> bool:
        return "has ended after its run" in caplog.text

    async with running(app):
        await app.run_job("deaf", {"token": "hunter2hunter2"}, wait=False)
        left = await deaf.is_left(app)
        deaf.go.set()
        await eventually(ended)
    told = f"the thread of run {left.run_id} of deaf has ended after its run, and raised OSError('no line for ***')"
    assert told in caplog.text


async def test_scheduled_runs_are_skipped_while_a_thread_has_the_place(tmp_path: Path) -> None:
    app = make_app(tmp_path, cancel_grace=0.01)
    deaf = Deaf()
    app.job("deaf", every=0.05, overlap="skip")(deaf.handle)
    async with running(app):
        cancelled = await deaf.is_left(app)

        async def skipped() -> bool:
            later = await app.runs("deaf", states=[RunState.SKIPPED])
            return any((one.scheduled_at or 0) > (cancelled.finished_at or 0) for one in later)

        await eventually(skipped)
        deaf.go.set()

        async def succeeded() -> bool:
            return bool(await app.runs("deaf", states=[RunState.SUCCEEDED]))

        await eventually(succeeded)
    assert 1 == deaf.most


async def test_an_answer_that_nobody_understands_leaves_the_place_to_the_end_of_the_node(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, store = troubled(tmp_path, cancel_grace=0.01)
    store.failures = {"let_go": [RuntimeError("out of the blue")]}
    deaf = Deaf()
    app.job("deaf")(deaf.handle)

    async def told() -> bool:
        return "a place in the limits is kept until the node ends" in caplog.text

    async with running(app):
        await app.run_job("deaf", wait=False)
        await deaf.is_left(app)
        deaf.go.set()
        await eventually(told)
        assert 0 == app.running_count


async def test_a_close_waits_for_no_thread_that_was_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(tmp_path, cancel_grace=0.01, drain_timeout=600.0, schedule=False)
    deaf = Deaf()
    app.job("deaf", cron="0 * * * *", start_at=at(5))(deaf.handle)
    async with asyncio.timeout(60), running(app):
        backfill = await app.backfill("deaf", START, at(1), max_parallel=1)
        await deaf.is_left(app)
        assert 1 == (await backfill.wait()).cancelled
        assert 1 == app.running_count
    assert "still runs; left behind" in caplog.text
    async with running(make_app(tmp_path)) as later:
        assert [] == await later.store.check(), "the end of the node let its place go"
    deaf.go.set()

    async def ended() -> bool:
        return "has ended after its run" in caplog.text

    await eventually(ended)


async def test_a_close_gives_up_on_the_store(tmp_path: Path) -> None:
    app, store = troubled(tmp_path, cancel_grace=0.01)
    store.failures = {"let_go": [busy() for _ in range(1000)]}
    deaf = Deaf()
    app.job("deaf")(deaf.handle)

    async def asked() -> bool:
        return len(store.failures["let_go"]) < 1000

    async with asyncio.timeout(60), running(app):
        await app.run_job("deaf", wait=False)
        await deaf.is_left(app)
        deaf.go.set()
        await eventually(asked)
