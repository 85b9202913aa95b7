"""Backfills: cursors that walk once, and counters that ends raise."""

from dataclasses import replace

import pytest
from msgspec import structs
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    backfill_of,
    claim,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
)

from mainspring.base import new_id
from mainspring.errors import UnknownBackfillError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    BackfillRow,
    BackfillState,
    BackfillStep,
    JobStore,
    RunFilter,
    RunKind,
    backfill_key,
    ran_in,
)


def step(store: JobStore, backfill_id: str, first: int, last: int, *, planned: bool = False) -> BackfillStep:
    runs = tuple(
        interval_run(store, hour * HOUR, kind=RunKind.BACKFILL, generation=0, backfill_id=backfill_id)
        for hour in range(first, last)
    )
    return BackfillStep(
        backfill_id=backfill_id, cursor_from=first * HOUR, cursor_to=last * HOUR, runs=runs, planned=planned
    )


async def test_a_backfill_walks_counts_and_finishes(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of()
        await store.create_backfill(row)
        await store.create_backfill(row)
        assert await store.backfill(row.backfill_id) == row
        first = step(store, row.backfill_id, 0, 2)
        after = await store.step_backfill(first)
        assert (after.cursor, after.created_count, after.live_count) == (2 * HOUR, 2, 2)
        assert await store.step_backfill(first) == after
        one, two = (await claim(store, epoch)).runs
        await store.finish(ending(one))
        await store.finish(ending(two, RunState.FAILED))
        half = await store.step_backfill(step(store, row.backfill_id, 2, 3, planned=True))
        assert (half.state, half.planned, half.live_count) == (BackfillState.RUNNING, True, 1)
        assert (half.succeeded_count, half.failed_count) == (1, 1)
        await store.finish(ending(await claim_one(store, epoch)))
        done = await store.backfill(row.backfill_id)
        assert done is not None
        assert (done.state, done.live_count, done.succeeded_count) == (BackfillState.FINISHED, 0, 2)
        assert done.finished_at is not None
        assert len(await store.runs(RunFilter(backfill_id=row.backfill_id))) == 3


@pytest.mark.parametrize(("reprocess", "made"), [("missing", 2), ("failed", 2), ("all", 3)])
async def test_what_has_succeeded_since_a_step_was_planned_runs_again_only_when_asked(
    stores: StoreFactory, reprocess: str, made: int
) -> None:
    """Two backfills over one range plan from the same done-set; the interval that the first ran is done."""
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of(reprocess=reprocess)
        await store.create_backfill(row)
        planned = step(store, row.backfill_id, 0, 3, planned=True)
        for hour, state in ((1, RunState.SUCCEEDED), (2, RunState.FAILED)):
            await enqueue(store, interval_run(store, hour * HOUR))
            await store.finish(ending(await claim_one(store, epoch), state))
        after = await store.step_backfill(planned)
        assert (made, made) == (after.created_count, after.live_count)
        again = {run.interval_start for run in (await claim(store, epoch)).runs}
        assert again == {0, 2 * HOUR} | ({HOUR} if reprocess == "all" else set())


async def test_a_backfill_with_nothing_to_do_finishes_with_its_last_step(stores: StoreFactory) -> None:
    async with stores() as store:
        row = backfill_of()
        await store.create_backfill(row)
        last = BackfillStep(backfill_id=row.backfill_id, cursor_from=0, cursor_to=10 * HOUR, planned=True)
        assert (await store.step_backfill(last)).state is BackfillState.FINISHED


async def test_the_first_failure_stops_when_asked_to(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of(on_failure="stop")
        await store.create_backfill(row)
        await store.step_backfill(step(store, row.backfill_id, 0, 4))
        await store.finish(ending(await claim_one(store, epoch), RunState.FAILED))
        stopped = await store.backfill(row.backfill_id)
        assert stopped is not None
        assert (stopped.state, stopped.failed_count) == (BackfillState.STOPPED, 1)
        assert (stopped.cancelled_count, stopped.live_count) == (3, 0)
        (last, *_) = await store.runs(RunFilter(states=frozenset({RunState.CANCELLED})))
        assert last.error_message == "its backfill was stopped"
        assert await store.step_backfill(step(store, row.backfill_id, 4, 5)) == stopped


async def test_a_joined_run_is_counted_by_the_backfill(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, interval_run(store, 0))
        row = backfill_of()
        await store.create_backfill(row)
        joined = await store.step_backfill(step(store, row.backfill_id, 0, 1, planned=True))
        assert (joined.created_count, joined.live_count) == (1, 1)
        await store.finish(ending(await claim_one(store, epoch)))
        done = await store.backfill(row.backfill_id)
        assert done is not None
        assert (done.state, done.succeeded_count) == (BackfillState.FINISHED, 1)


async def two_of_one_run(store: JobStore) -> tuple[str, str]:
    """Plan two backfills over the same single interval."""
    ids: list[str] = []
    for row in (backfill_of(), backfill_of()):
        await store.create_backfill(row)
        await store.step_backfill(step(store, row.backfill_id, 0, 1, planned=True))
        ids.append(row.backfill_id)
    return ids[0], ids[1]


async def stands(store: JobStore, backfill_id: str) -> tuple[BackfillState, int, int, int]:
    """Return (state, live, succeeded, cancelled)."""
    row = await store.backfill(backfill_id)
    assert row is not None
    return row.state, row.live_count, row.succeeded_count, row.cancelled_count


async def test_a_backfill_that_joined_another_ones_run_ends_with_that_run(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for backfill_id in await two_of_one_run(store):
            assert await stands(store, backfill_id) == (BackfillState.RUNNING, 1, 0, 0)
        one, two = await store.backfills()
        record = await claim_one(store, epoch)
        await store.finish(ending(record, RunState.RETRYING, available_at=0))
        assert await stands(store, two.backfill_id) == (BackfillState.RUNNING, 1, 0, 0)
        await store.finish(ending(await claim_one(store, epoch)))
        for row in (one, two):
            assert await stands(store, row.backfill_id) == (BackfillState.FINISHED, 0, 1, 0)


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("leaves", [0, 1])
async def test_cancelling_one_of_two_backfills_leaves_the_run_to_the_other(
    stores: StoreFactory, claimed: bool, leaves: int
) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        both = await two_of_one_run(store)
        record = await claim_one(store, epoch) if claimed else None
        left = await store.set_backfill_state(both[leaves], BackfillState.CANCELLED)
        assert (left.live_count, left.cancelled_count) == (0, 1)
        assert await stands(store, both[1 - leaves]) == (BackfillState.RUNNING, 1, 0, 0)
        record = record or await claim_one(store, epoch)
        assert (await store.finish(ending(record))).backfill_id == both[1 - leaves]
        assert await stands(store, both[1 - leaves]) == (BackfillState.FINISHED, 0, 1, 0)
        assert await stands(store, both[leaves]) == (BackfillState.CANCELLED, 0, 0, 1)


async def test_a_failure_stops_every_backfill_that_waits_for_the_run(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        one, two = backfill_of(), backfill_of(on_failure="stop")
        for row in (one, two):
            await store.create_backfill(row)
            await store.step_backfill(step(store, row.backfill_id, 0, 2, planned=True))
        await store.finish(ending(await claim_one(store, epoch), RunState.FAILED))
        assert await stands(store, two.backfill_id) == (BackfillState.STOPPED, 0, 0, 1)
        assert await stands(store, one.backfill_id) == (BackfillState.RUNNING, 1, 0, 0)
        await store.finish(ending(await claim_one(store, epoch)))
        assert await stands(store, one.backfill_id) == (BackfillState.FINISHED, 0, 1, 0)


async def test_a_fire_that_joined_a_backfills_run_outlives_the_backfill(stores: StoreFactory) -> None:
    """A live fire takes the run over: neither the backfill's end nor its `max_parallel` holds it up."""
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of()
        await store.create_backfill(row)
        limits = ((f"backfill:{row.backfill_id}", 1),)
        runs = tuple(structs.replace(run, limits=limits) for run in step(store, row.backfill_id, 0, 2).runs)
        await store.step_backfill(replace(step(store, row.backfill_id, 0, 2), runs=runs))
        assert len((await claim(store, epoch)).runs) == 1  # the other one is parked
        joined = await enqueue(store, interval_run(store, HOUR))
        assert joined.outcome == "joined"
        live = await claim_one(store, epoch)
        assert (live.run_id, live.kind) == (joined.run_id, RunKind.SCHEDULE)
        await store.finish(ending(live, RunState.RETRYING, available_at=0))
        ended = await store.set_backfill_state(row.backfill_id, BackfillState.CANCELLED)
        assert (ended.live_count, ended.cancelled_count) == (1, 1)
        assert (await claim_one(store, epoch)).run_id == joined.run_id


async def test_a_fire_that_joined_a_running_run_keeps_its_slot_counted(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of()
        await store.create_backfill(row)
        limits = ((f"backfill:{row.backfill_id}", 1),)
        runs = tuple(structs.replace(run, limits=limits) for run in step(store, row.backfill_id, 0, 2).runs)
        await store.step_backfill(replace(step(store, row.backfill_id, 0, 2), runs=runs))
        running = await claim_one(store, epoch)
        assert (await enqueue(store, interval_run(store, 0))).outcome == "joined"
        assert (await claim(store, epoch)).runs == ()
        await store.finish(ending(running))
        assert len((await claim(store, epoch)).runs) == 1


async def test_a_run_of_a_backfill_need_not_have_an_interval(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of()
        await store.create_backfill(row)
        run = new_run(store, kind=RunKind.BACKFILL, backfill_id=row.backfill_id)
        only = BackfillStep(backfill_id=row.backfill_id, cursor_from=0, cursor_to=HOUR, runs=(run,), planned=True)
        assert (await store.step_backfill(only)).live_count == 1
        await store.finish(ending(await claim_one(store, epoch)))
        assert await stands(store, row.backfill_id) == (BackfillState.FINISHED, 0, 1, 0)


async def test_pause_resume_and_cancel(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of()
        await store.create_backfill(row)
        await store.step_backfill(step(store, row.backfill_id, 0, 3))
        running = await claim_one(store, epoch)
        paused = await store.set_backfill_state(row.backfill_id, BackfillState.PAUSED)
        assert paused.state is BackfillState.PAUSED
        assert (await store.step_backfill(step(store, row.backfill_id, 3, 4))).cursor == 3 * HOUR
        resumed = await store.set_backfill_state(row.backfill_id, BackfillState.RUNNING)
        assert resumed.state is BackfillState.RUNNING
        cancelled = await store.set_backfill_state(row.backfill_id, BackfillState.CANCELLED)
        assert (cancelled.state, cancelled.cancelled_count, cancelled.live_count) == (
            BackfillState.CANCELLED,
            2,
            1,
        )
        await store.finish(ending(running))
        after = await store.set_backfill_state(row.backfill_id, BackfillState.RUNNING)
        assert after == replace(cancelled, live_count=0, succeeded_count=1)


def limited(store: JobStore, row: BackfillRow, last: int) -> BackfillStep:
    """Return the first step of a backfill, whose runs are bounded by `max_parallel`."""
    made = step(store, row.backfill_id, 0, last, planned=True)
    limits = ((backfill_key(row.backfill_id), row.max_parallel),)
    return replace(made, runs=tuple(structs.replace(run, limits=limits) for run in made.runs))


async def test_a_paused_backfill_starts_none_of_its_runs(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of(max_parallel=2)
        await store.create_backfill(row)
        await store.step_backfill(limited(store, row, 5))
        running = await claim_one(store, epoch)
        await store.set_backfill_state(row.backfill_id, BackfillState.PAUSED)
        assert () == (await claim(store, epoch)).runs
        await store.finish(ending(running, RunState.RETRYING, available_at=store.now()))
        assert () == (await claim(store, epoch)).runs
        await enqueue(store, interval_run(store, 4 * HOUR))
        assert 4 * HOUR == (await claim_one(store, epoch)).interval_start, "which a schedule wants too"
        await store.set_backfill_state(row.backfill_id, BackfillState.RUNNING)
        again = (await claim(store, epoch)).runs
        assert 2 == len(again)
        await store.finish(ending(again[0]))
        assert 1 == len((await claim(store, epoch)).runs)


async def test_cancelling_a_paused_backfill_lets_the_runs_of_another_go(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        one, two = backfill_of(), backfill_of()
        for row in (one, two):
            await store.create_backfill(row)
            await store.step_backfill(limited(store, row, 2))
        await store.set_backfill_state(one.backfill_id, BackfillState.PAUSED)
        assert () == (await claim(store, epoch)).runs
        await store.set_backfill_state(one.backfill_id, BackfillState.CANCELLED)
        assert [two.backfill_id] * 2 == [run.backfill_id for run in (await claim(store, epoch)).runs]


async def test_cancelling_a_backfill_leaves_scheduled_runs_alone(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, interval_run(store, 0))
        row = backfill_of()
        await store.create_backfill(row)
        await store.step_backfill(step(store, row.backfill_id, 0, 1))
        left = await store.set_backfill_state(row.backfill_id, BackfillState.CANCELLED)
        assert (left.live_count, left.cancelled_count) == (0, 1)
        assert (await claim_one(store, epoch)).backfill_id is None


async def test_cancelling_a_backfill_asks_its_running_handlers_to_stop(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        row = backfill_of()
        await store.create_backfill(row)
        await store.step_backfill(step(store, row.backfill_id, 0, 1))
        running = await claim_one(store, epoch)
        await store.set_backfill_state(row.backfill_id, BackfillState.CANCELLED)
        assert (await store.heartbeat(epoch)).cancelled == (running.run_id,)
        await store.finish(ending(running, RunState.CANCELLED))
        assert await stands(store, row.backfill_id) == (BackfillState.CANCELLED, 0, 0, 1)


async def test_backfills_are_listed_newest_first(stores: StoreFactory) -> None:
    async with stores() as store:
        old, new = backfill_of(created_at=1), backfill_of("other", created_at=2)
        for row in (old, new):
            await store.create_backfill(row)
        await store.set_backfill_state(old.backfill_id, BackfillState.PAUSED)
        listed = await store.backfills()
        assert [row.backfill_id for row in listed] == [new.backfill_id, old.backfill_id]
        assert [row.job_id for row in await store.backfills(job_id="other")] == ["other"]
        paused = await store.backfills(states=frozenset({BackfillState.PAUSED}), limit=5)
        assert [row.backfill_id for row in paused] == [old.backfill_id]
        assert await store.backfill(new_id()) is None
        with pytest.raises(UnknownBackfillError):
            await store.set_backfill_state(new_id(), BackfillState.PAUSED)
        with pytest.raises(UnknownBackfillError):
            await store.step_backfill(step(store, new_id(), 0, 1))


async def test_what_comes_after_knows_what_succeeded_before(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first = backfill_of(downstream=True)
        later = backfill_of("later", after=(first.backfill_id,))
        await store.create_backfill(first, downstream=[later])
        assert await store.backfill(later.backfill_id) == later
        await store.step_backfill(step(store, first.backfill_id, 0, 3, planned=True))
        one, two, three = (await claim(store, epoch)).runs
        await store.finish(ending(two, RunState.FAILED))
        await store.finish(ending(three))
        await store.finish(ending(one))
        ran = await store.done(ran_in(first.backfill_id), 0, 10 * HOUR)
        assert [(one.state, one.start, one.end) for one in ran] == [
            ("succeeded", 0, HOUR),
            ("succeeded", 2 * HOUR, 3 * HOUR),
        ]
        assert await store.done(ran_in(later.backfill_id), 0, 10 * HOUR) == []
        assert [row.job_id for row in await store.jobs()] == []


async def test_a_joined_run_too_is_known_to_what_comes_after(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first, other = backfill_of(downstream=True), backfill_of()
        await store.create_backfill(first, downstream=[backfill_of("later", after=(first.backfill_id,))])
        for row in (other, first):
            await store.create_backfill(row)
            await store.step_backfill(step(store, row.backfill_id, 0, 1, planned=True))
        await store.finish(ending(await claim_one(store, epoch)))
        assert len(await store.done(ran_in(first.backfill_id), 0, HOUR)) == 1
        assert await store.done(ran_in(other.backfill_id), 0, HOUR) == []


@pytest.mark.parametrize("state", [BackfillState.CANCELLED, BackfillState.STOPPED])
async def test_only_a_cancelled_backfill_takes_along_what_comes_after(
    stores: StoreFactory, state: BackfillState
) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first = backfill_of(downstream=True, on_failure="stop")
        second = backfill_of("second", downstream=True, after=(first.backfill_id,))
        third = backfill_of("third", after=(second.backfill_id, first.backfill_id))
        await store.create_backfill(first, downstream=[second, third])
        await store.step_backfill(step(store, first.backfill_id, 0, 1))
        if state is BackfillState.CANCELLED:
            await store.set_backfill_state(first.backfill_id, state)
        else:
            await store.finish(ending(await claim_one(store, epoch), RunState.FAILED))
        states = {row.job_id: row.state for row in await store.backfills()}
        left = BackfillState.CANCELLED if state is BackfillState.CANCELLED else BackfillState.RUNNING
        assert states == {"job": state, "second": left, "third": left}


@pytest.mark.parametrize("end", ["finished", "cancelled"])
async def test_what_ran_is_forgotten_with_the_last_that_waits_for_it(stores: StoreFactory, end: str) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first = backfill_of(downstream=True)
        later = [backfill_of(name, after=(first.backfill_id,)) for name in ("second", "third")]
        await store.create_backfill(first, downstream=later)
        await store.step_backfill(step(store, first.backfill_id, 0, 2, planned=True))
        one, two = (await claim(store, epoch)).runs
        await store.finish(ending(one))
        await store.finish(ending(two))
        for row in later:
            (ran,) = await store.done(ran_in(first.backfill_id), 0, 10 * HOUR)
            assert (0, 2 * HOUR) == (ran.start, ran.end)
            if end == "finished":
                command = BackfillStep(backfill_id=row.backfill_id, cursor_from=0, cursor_to=HOUR, planned=True)
                assert BackfillState.FINISHED is (await store.step_backfill(command)).state
            else:
                await store.set_backfill_state(row.backfill_id, BackfillState.CANCELLED)
        assert [] == await store.done(ran_in(first.backfill_id), 0, 10 * HOUR)
        assert [(0, 2 * HOUR)] == [(one.start, one.end) for one in await store.done("job", 0, 10 * HOUR)]


async def test_what_ends_when_nothing_waits_for_it_is_not_kept(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first = backfill_of(downstream=True)
        later = backfill_of("later", after=(first.backfill_id,))
        await store.create_backfill(first, downstream=[later])
        await store.step_backfill(step(store, first.backfill_id, 0, 1, planned=True))
        run = await claim_one(store, epoch)
        await store.set_backfill_state(later.backfill_id, BackfillState.CANCELLED)
        await store.finish(ending(run))
        assert [] == await store.done(ran_in(first.backfill_id), 0, HOUR)
        assert 1 == len(await store.done("job", 0, HOUR))
