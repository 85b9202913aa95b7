"""A node claims what it has slots for, and lives through trouble of its store."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, ran_by, running
from tests.unit.jobs.engine.support_trouble import busy, troubled

from mainspring.base import new_id
from mainspring.errors import MisuseError, StaleFenceError, StoreBusyError
from mainspring.jobs import Alert, Every, JobApp, JobContext, RunState
from mainspring.jobs.stores import (
    Enqueue,
    JobRow,
    NewRun,
    RunKind,
    RunRecord,
)


@pytest.mark.parametrize("kind", [busy, lambda: sqlite3.OperationalError("out of the blue")])
async def test_store_trouble_on_every_path_is_lived_through(tmp_path: Path, kind: Callable[[], Exception]) -> None:
    app, store = troubled(tmp_path)
    seen: list[int] = []

    @app.job("tick", every=0.02, missed="all")
    async def tick() -> None:
        seen.append(1)

    @app.job("after", every=0.02, missed="all", needs=("tick",))
    async def after() -> None: ...

    paths = ("claim", "finish", "heartbeat", "advance", "waiting", "backfills")
    async with running(app):
        store.failures = {call: [kind()] for call in paths}

        async def through() -> bool:
            return not any(store.failures.values()) and len(seen) > 3

        await eventually(through)


@pytest.mark.parametrize("call", ["claim", "enqueue"])
async def test_a_run_of_a_lost_answer_begins_once(call: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The store holds it for this node, which would never hear of it."""
    app, store = troubled(tmp_path)
    begun: list[str] = []

    @app.job("work")
    async def work(ctx: JobContext) -> None:
        begun.append(ctx.run_id)

    async def told() -> bool:
        return "the answer that gave it was lost" in caplog.text and len(begun) == 2

    async with running(app):
        store.lost = {call: 1}
        if call == "claim":
            await store.enqueue(
                Enqueue(run=NewRun(run_id=new_id(), job_id="work", kind=RunKind.MANUAL, available_at=0))
            )
        else:
            with pytest.raises(StoreBusyError):
                await app.run_job("work")
        assert (await app.run_job("work")).ok
        await eventually(told)
    assert len(set(begun)) == 2


async def test_a_finish_that_was_fenced_out_is_not_recorded_twice(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)

    @app.job("once")
    async def once() -> None: ...

    async with running(app):
        store.failures = {"finish": [StaleFenceError(run_id="x", fence=1)]}
        result = await app.run_job("once", wait=False)

        async def gone() -> bool:
            return not store.failures["finish"]

        await eventually(gone)
        record = await app.run(result.run_id)
    assert record is not None


@pytest.mark.parametrize("wait", [True, False])
async def test_a_job_that_is_declared_too_late_is_refused(tmp_path: Path, wait: bool) -> None:
    app = make_app(tmp_path)
    app.job("early")(says_hello)
    async with running(app):
        app.job("late")(says_hello)
        with pytest.raises(MisuseError, match="'late' was declared after the app was opened"):
            await asyncio.wait_for(app.run_job("late", wait=wait), 10)
        assert (await app.run_job("early")).ok


async def test_slots_bound_what_runs_at_once(tmp_path: Path) -> None:
    app = make_app(tmp_path, slots=2)
    now, most = 0, 0

    @app.job("narrow")
    async def narrow() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1

    async with running(app):
        results = await asyncio.gather(*(app.run_job("narrow") for _ in range(40)))
    assert all(result.ok for result in results)
    assert most == 2


async def test_ends_of_calls_ask_for_no_other_runs_while_none_wait_for_a_slot(tmp_path: Path) -> None:
    app = make_app(tmp_path, poll_interval=600)
    app.job("quick")(says_hello)

    async def has_looked() -> bool:
        return app.metrics.claim_calls > 0

    async with running(app):
        await eventually(has_looked)
        looks = app.metrics.claim_calls
        for _ in range(3):
            await asyncio.gather(*(app.run_job("quick") for _ in range(10)))
        assert looks == app.metrics.claim_calls


async def test_runs_that_wait_for_a_slot_begin_when_others_end(tmp_path: Path) -> None:
    app = make_app(tmp_path, poll_interval=600, slots=3)
    app.job("quick")(says_hello)
    async with running(app):
        results = await asyncio.gather(*(app.run_job("quick") for _ in range(40)))
    assert all(result.ok for result in results)


async def test_a_run_of_another_queue_is_left_to_its_node_and_seen_by_its_waiter(tmp_path: Path) -> None:
    first, second = make_app(tmp_path, queues=("other",)), make_app(tmp_path)
    first.job("shared")(ran_by("first"))
    second.job("shared")(ran_by("second"))
    async with running(first), running(second):
        result = await first.run_job("shared")
    assert result.value == "second"


async def test_a_run_that_is_stopped_before_its_first_step_is_recorded(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("quick")(ran_by("here"))
    async with running(app):
        opened = await app.open()
        begin = opened.node.begin

        def begin_and_stop(record: RunRecord) -> None:
            begin(record)
            opened.node.stop_run(record.run_id)

        opened.node.begin = begin_and_stop  # type: ignore[method-assign]  # the request comes in the same turn
        result = await app.run_job("quick")
        assert (result.state, result.error) == (RunState.CANCELLED, "cancelled on request")
        assert opened.node.running_count == 0


async def test_a_run_outlives_a_caller_that_is_cancelled_while_it_is_enqueued(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("quick")(ran_by("here"))
    async with running(app):
        caller = asyncio.create_task(app.run_job("quick"))
        await asyncio.sleep(0)  # the command is on its way
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

        async def succeeded() -> bool:
            return bool(await app.runs("quick", states=[RunState.SUCCEEDED]))

        await eventually(succeeded)


async def test_a_pause_made_elsewhere_is_noticed(tmp_path: Path) -> None:
    app, other = make_app(tmp_path), make_app(tmp_path, schedule=False)
    for one in (app, other):

        @one.job("hourly", cron="0 * * * *")
        async def hourly() -> None: ...

    async with running(app), running(other):
        row = await other.store.set_paused("hourly", True)
        assert isinstance(row, JobRow)
        scheduler = (await app.open()).scheduler

        async def noticed() -> bool:
            return scheduler._rows["hourly"].paused

        await eventually(noticed)
        backfill = await other.backfill("hourly", START, at(3))
        assert (await backfill.wait()).succeeded == 3


async def test_a_guest_runs_what_is_asked_for_there_and_nothing_else(tmp_path: Path) -> None:
    def make() -> JobApp:
        app = make_app(tmp_path)

        @app.job("asked")
        async def asked(ctx: JobContext) -> str:
            return str((await (await ctx.spawn("spawned")).wait()).value)

        app.job("spawned")(says_hello)
        app.job("other", every=3600)(says_hello)
        return app

    owner = make()
    await owner.open(runner=False)
    left = await owner.run_job("other", wait=False)
    guest = make()
    await guest.open(guest=True)
    result = await guest.run_job("asked")
    assert ("hello", RunState.SUCCEEDED) == (result.value, result.state)
    retried = await guest.retry(result.run_id)
    assert RunState.SUCCEEDED is (await guest.wait_for_run(retried.run_id)).state
    record = await guest.run(left.run_id)
    assert record is not None
    assert RunState.AVAILABLE is record.state, "it is left to the nodes of the store"
    backfill = await guest.backfill("other", at(0), at(2))
    assert 2 == (await backfill.wait()).succeeded
    await guest.close()
    await owner.close()


async def says_hello() -> str:
    return "hello"


async def test_a_guest_leaves_the_schedules_of_the_store_as_they_are(tmp_path: Path) -> None:
    def make(every: float) -> JobApp:
        app = make_app(tmp_path)
        app.job("load", every=every)(says_hello)
        return app

    owner, guest = make(60), make(90)
    guest.job("new")(says_hello)
    async with running(owner):
        await guest.open(guest=True)
        assert (await guest.run_job("new")).ok
        (version,) = await owner.schedule_history("load")
        assert Every(60) == version.schedule
        await guest.close()


async def test_a_guest_does_not_take_the_alerts_of_late_runs(tmp_path: Path) -> None:
    told: list[Alert] = []

    def make() -> JobApp:
        app = make_app(tmp_path, schedule=False)
        app.job("late", every=1, start_at=START, max_lookback=3600.0, sla=0.001, alert=told.append)(says_hello)
        app.job("call")(says_hello)
        return app

    owner, guest = make(), make()
    await owner.open(runner=False)
    now = owner.store.now()
    run = NewRun(
        run_id=new_id(), job_id="late", kind=RunKind.SCHEDULE, available_at=now + 10**12, scheduled_at=now - 10**7
    )
    await owner.store.enqueue(Enqueue(run=run))
    await guest.open(guest=True)
    assert (await guest.run_job("call")).ok
    await guest.close()
    assert [] == told
    assert [run.run_id] == [one.run_id for one in await owner.store.note_late("late", scheduled_before=now)]
    await owner.close()
