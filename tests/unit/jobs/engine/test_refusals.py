"""A call never lies: what came in its way shows in what it returns or raises, in a record, and in a metric."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running
from tests.unit.jobs.engine.support_trouble import busy, troubled

from mainspring.errors import ClosedError, IdempotencyError, MisuseError, StoreBusyError, UnknownJobError
from mainspring.jobs import EventKind, JobApp, RunState
from mainspring.jobs.stores import Finish, MemoryData, MemoryStore, RunRecord
from mainspring.testing import VirtualClock, eventually


async def quick() -> None: ...


def not_registered() -> None: ...


async def refusals(app: JobApp) -> list[tuple[str, str]]:
    """Return (job, reason) of all rows."""
    async with app.reading() as reader:
        rows = await reader.refused_calls()
    assert all(row.kind is EventKind.REFUSED and row.run_id == "" for row in rows)
    return [(row.job_id, str(row.detail["reason"])) for row in rows]


async def test_a_call_for_an_unknown_job_raises_is_counted_and_has_a_row(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("quick")(quick)
    with pytest.raises(UnknownJobError):
        await app.run_job("qick")
    assert not app.is_open, "a call that cannot be right opens nothing"
    assert {"unknown_job": 1} == app.metrics.refused_calls
    async with running(app):
        for job in ("x" * 500, not_registered):
            with pytest.raises(UnknownJobError):
                await app.run_job(job, wait=False)
        app.job("late")(quick)
        with pytest.raises(MisuseError, match="declared after"):
            await app.run_job("late")
        expected = [("x" * 200, "unknown_job"), ("not_registered", "unknown_job"), ("late", "unknown_job")]
        await eventually_refused(app, expected)
        async with app.reading() as reader:
            assert "there is no job 'not_registered'" in str((await reader.refused_calls())[1].detail["error"])
    assert {"unknown_job": 4} == app.metrics.refused_calls


async def eventually_refused(app: JobApp, expected: list[tuple[str, str]]) -> None:
    async with asyncio.timeout(30):
        while await refusals(app) != expected:  # noqa: ASYNC110  # what is awaited is a commit that nobody waits for
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("wait", [True, False])
async def test_other_arguments_for_a_key_raise_are_counted_and_have_a_row(tmp_path: Path, wait: bool) -> None:
    app = make_app(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        first = await app.run_job("quick", idempotency_key="k")
        with pytest.raises(IdempotencyError, match=first.run_id):
            await app.run_job("quick", {"other": 1}, idempotency_key="k", wait=wait)
        assert first == await app.run_job("quick", idempotency_key="k"), "and the first run is as it was"
        await eventually_refused(app, [("quick", "other_arguments")])
    assert {"other_arguments": 1} == app.metrics.refused_calls


async def test_a_store_that_does_not_take_a_run_raises_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        with monkeypatch.context() as patch:
            patch.setattr(type(store), "enqueue", _refuses)
            for wait in (True, False):
                with pytest.raises(StoreBusyError):
                    await app.run_job("quick", wait=wait)
        assert [] == await refusals(app), "it is not asked for more"
        assert [] == await app.runs()
    assert {"store": 2} == app.metrics.refused_calls
    assert {"enqueue": 2} == app.metrics.store_errors


async def _refuses(*_: object) -> None:
    raise busy()


async def test_a_call_whose_run_was_made_is_none_that_made_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        with monkeypatch.context() as patch:
            patch.setattr(type(store), "run", _refuses)
            with pytest.raises(StoreBusyError):
                await app.run_job("quick", wait=False)
        assert ["quick"] == [run.job_id for run in await app.runs()]
    assert {} == app.metrics.refused_calls


async def test_a_store_that_cannot_keep_the_row_hides_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(quick)

    def at_once(*_: object, **__: object) -> None:
        raise busy()

    async def later(*_: object, **__: object) -> None:
        raise busy()

    async with running(app):
        for broken in (at_once, later):
            monkeypatch.setattr(type(store), "note_refused", broken)
            with pytest.raises(UnknownJobError):
                await app.run_job("nobody")
    assert {"unknown_job": 2} == app.metrics.refused_calls


class Slow(MemoryStore):
    """A store that keeps rows of refused calls when it is let, and counts those that it is given before."""

    def __init__(self) -> None:
        super().__init__()
        self.lets, self.asked = asyncio.Event(), asyncio.Event()
        self.open_count = self.most_open = 0

    async def note_refused(self, job_id: str, *, reason: str, error: str) -> None:
        self.open_count += 1
        self.most_open = max(self.most_open, self.open_count)
        self.asked.set()
        try:
            await self.lets.wait()
            await super().note_refused(job_id, reason=reason, error=error)
        finally:
            self.open_count -= 1


async def refuse(app: JobApp, first: int, end: int) -> None:
    for number in range(first, end):
        with pytest.raises(UnknownJobError):
            await app.run_job(f"nobody{number}")


async def test_refused_calls_write_one_row_at_a_time_and_keep_the_newest_hundred() -> None:
    store = Slow()
    app = JobApp("app", store=store)
    app.job("quick")(quick)
    async with running(app):
        await refuse(app, 0, 1)
        await store.asked.wait()
        await refuse(app, 1, 500)
        assert (await app.run_job("quick")).state is RunState.SUCCEEDED, "no row is in its way"
        store.lets.set()
        await eventually_refused(app, [(f"nobody{number}", "unknown_job") for number in range(400, 500)])
    assert 1 == store.most_open
    assert {"unknown_job": 500} == app.metrics.refused_calls
    assert "mainspring-refusals" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_rows_that_wait_when_the_app_closes_are_written(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        await refuse(app, 0, 150)
    again = make_app(tmp_path)
    async with running(again):
        assert [f"nobody{number}" for number in range(50, 150)] == [job for job, _ in await refusals(again)]


def test_a_bare_loop_that_ends_with_the_refusal_has_its_row(tmp_path: Path) -> None:
    """`asyncio.run` cancels every task before it lets the app close itself."""

    async def main() -> None:
        app = make_app(tmp_path)
        app.job("quick")(quick)
        await app.open()
        await refuse(app, 0, 1)

    async def look() -> None:
        async with make_app(tmp_path).reading() as reader:
            assert ["nobody0"] == [row.job_id for row in await reader.refused_calls()]

    asyncio.run(asyncio.wait_for(main(), 20))
    asyncio.run(asyncio.wait_for(look(), 20))


async def test_a_store_that_keeps_no_row_does_not_hold_up_the_end(virtual_clock: VirtualClock) -> None:
    store = Slow()
    app = JobApp("app", store=store)
    app.job("quick")(quick)
    async with running(app):
        await refuse(app, 0, 1)
        await store.asked.wait()
        await refuse(app, 1, 5)
        opened, started = await app.open(), virtual_clock.monotonic()
    assert virtual_clock.monotonic() - started < 20
    opened.refusals.put("late", reason="unknown_job", error="")
    assert "mainspring-refusals" not in {task.get_name() for task in asyncio.all_tasks()}
    assert 0 == store.open_count


async def test_a_cancelled_handler_shows_in_result_record_and_metric(tmp_path: Path) -> None:
    app, begun = make_app(tmp_path), asyncio.Event()

    @app.job("endless")
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with running(app):
        call = asyncio.create_task(app.run_job(endless))
        await begun.wait()
        (run,) = await app.runs()
        await app.cancel(run.run_id)
        result = await call
        record = await app.run(run.run_id)
        await eventually(lambda: bool(app.metrics.jobs))
    assert record is not None
    assert (RunState.CANCELLED, "cancelled on request") == (result.state, result.error)
    assert (result.state, result.error) == (record.state, record.error)
    assert {RunState.CANCELLED: 1} == app.metrics.jobs["endless"].ends


async def test_a_store_that_fails_at_the_end_shows_in_metric_and_log_until_the_record_is_true(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        store.failures = {"finish": [busy(), busy()]}
        result = await app.run_job("quick")
        record = await app.run(result.run_id)
    assert record is not None
    assert (RunState.SUCCEEDED, RunState.SUCCEEDED) == (result.state, record.state)
    assert {"finish": 2} == app.metrics.store_errors
    assert {RunState.SUCCEEDED: 1} == app.metrics.jobs["quick"].ends
    assert 2 == caplog.text.count("cannot be recorded yet")


async def test_a_claim_that_the_store_does_not_answer_is_counted(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        store.failures = {"claim": [busy()]}
        await app.run_job("quick", wait=False)
        await eventually(lambda: app.metrics.ended_count == 1)
    assert {"claim": 1} == app.metrics.store_errors


class Deaf(MemoryStore):
    """A store that takes no end."""

    def finish(self, command: Finish) -> Awaitable[RunRecord]:
        raise busy()


async def test_a_call_whose_end_is_never_taken_says_that_the_app_closed_and_the_run_is_done_again(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    data = MemoryData()
    app, again = JobApp("app", store=Deaf(data)), JobApp("app", store=MemoryStore(data))
    for one in (app, again):
        one.job("quick")(quick)
    async with running(app):
        call = asyncio.create_task(app.run_job("quick"))
        await virtual_clock.advance(60)
        (run,) = await app.runs()
        assert run.state is RunState.RUNNING
        assert app.metrics.store_errors["finish"] > 5
    with pytest.raises(ClosedError):
        await call
    assert 1 == caplog.text.count("was not recorded: it will run again")
    assert "left behind" not in caplog.text
    async with running(again):
        assert (await again.wait_for_run(run.run_id)).state is RunState.SUCCEEDED
