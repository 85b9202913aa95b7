"""Jobs, cursors, done-sets and waiting runs: what every job store promises."""

import pytest
from msgspec.structs import replace
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
    registration,
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    NEXT_GENERATION,
    NO_RUN,
    Advance,
    DoneRange,
    JobRow,
    JobStore,
    RunFilter,
    RunKind,
    SetSchedule,
)


async def only(store: JobStore) -> JobRow:
    (row,) = await store.jobs()
    return row


async def test_registering_again_keeps_the_stored_cursor(stores: StoreFactory) -> None:
    async with stores() as store:
        (row,) = await store.register([registration()])
        assert (row.version, row.cursor, row.next_fire_at, row.paused) == (1, 0, HOUR, False)
        (again,) = await store.register([registration(cursor=99)])
        assert again == row == await only(store)


async def test_a_changed_schedule_is_the_next_version(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        before = (await store.heartbeat(epoch)).version
        (row,) = await store.register([registration(schedule=b"{}", cursor=99)])
        assert (row.version, row.cursor, row.next_fire_at) == (2, 0, None)
        assert (await store.heartbeat(epoch)).version > before


async def test_a_renamed_job_keeps_all_it_has(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration("old")])
        await enqueue(store, interval_run(store, 0, "old"))
        ended = await store.finish(ending(await claim_one(store, epoch, "old")))
        await store.note_late("old", scheduled_before=0, ended=[ended.run_id])
        await store.note_refused("old", reason="unknown_job", error="E")
        await enqueue(store, interval_run(store, HOUR, "old"))
        (row,) = await store.register([registration("new", was=("never", "old"), cursor=5)])
        assert (row.job_id, row.cursor, row.version) == ("new", 0, 1)
        assert await only(store) == row
        assert await store.done("new", 0, HOUR) == [DoneRange(state="succeeded", start=0, end=HOUR)]
        assert {record.job_id for record in await store.runs(RunFilter())} == {"new"}
        events = [*await store.events(ended.run_id), *await store.events(NO_RUN)]
        assert ["new", "new"] == [event.job_id for event in events]
        assert len((await claim(store, epoch, "new")).runs) == 1
        await store.register([registration("new", was=("old",))])
        assert len(await store.jobs()) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_new_job_may_have_the_id_that_another_had(stores: StoreFactory, order: tuple[int, int]) -> None:
    """Whichever is declared first, in a store that is new and in one that knows the job that is renamed."""
    async with stores() as store:
        await store.register([registration("old")])
        for old, new, cursor in (("old", "new", 0), ("older", "newer", 7)):
            both = registration(old, cursor=5), registration(new, was=(old,), cursor=7)
            rows = await store.register([both[number] for number in order])
            assert [(new, cursor), (old, 5)] == sorted((row.job_id, row.cursor or 0) for row in rows)


async def test_a_renamed_job_is_joined_by_calls_of_its_new_name(stores: StoreFactory) -> None:
    """A guest that knows only the new name may have called it before the renamed job is registered."""
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration("old")])
        for job, start in (("old", 0), ("new", HOUR)):
            await enqueue(store, interval_run(store, start, job, kind=RunKind.MANUAL))
            await store.finish(ending(await claim_one(store, epoch, job)))
            await enqueue(store, new_run(store, job))
        (row,) = await store.register([registration("new", was=("old",))])
        assert row.job_id == "new"
        assert [DoneRange(state="succeeded", start=0, end=2 * HOUR)] == await store.done("new", 0, 2 * HOUR)
        assert [("new", "available", 2), ("new", "succeeded", 2)] == sorted(await store.job_counts())
        assert {record.job_id for record in await store.runs(RunFilter())} == {"new"}


async def test_a_renamed_job_takes_its_backfills_and_leaves_others_alone(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration("old"), registration("other")])
        mine, others = backfill_of("old"), backfill_of("other")
        for row in (mine, others):
            await store.create_backfill(row)
            await enqueue(store, interval_run(store, 0, row.job_id))
            await store.finish(ending(await claim_one(store, epoch, row.job_id), RunState.CANCELLED))
            await enqueue(store, new_run(store, row.job_id, limits=(("k", 1),)))
        assert len((await claim(store, epoch, "other")).runs) == 1
        assert (await claim(store, epoch, "old")).runs == ()
        await store.register([registration("new", was=("old",))])
        assert [row.job_id for row in await store.backfills(job_id="new")] == ["new"]
        assert [row.job_id for row in await store.backfills(job_id="other")] == ["other"]
        again = interval_run(store, 0, "new", generation=NEXT_GENERATION)
        await enqueue(store, again)
        record = await store.run(again.run_id)
        assert record is not None
        assert (record.generation, record.previous_run is not None) == (2, True)
        assert await store.job_counts() == [
            ("new", "available", 2),
            ("new", "cancelled", 1),
            ("other", "cancelled", 1),
            ("other", "running", 1),
        ]


async def skipped_spans(store: JobStore) -> list[tuple[int | None, int | None]]:
    records = await store.runs(RunFilter(states=frozenset({RunState.SKIPPED})))
    assert ("job", "skipped", len(records)) in [*await store.job_counts(), ("job", "skipped", 0)]
    return sorted((one.interval_start, one.interval_end) for one in records)


async def test_what_is_done_is_in_no_record_of_a_skipped_range(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        states = {0: RunState.SUCCEEDED, 3: RunState.SUCCEEDED, 4: RunState.FAILED, 9: RunState.SUCCEEDED}
        for hour, state in states.items():
            await enqueue(store, interval_run(store, hour * HOUR))
            await store.finish(ending(await claim_one(store, epoch), state))
        step = Advance(
            job_id="job", version=1, cursor_from=0, cursor_to=8 * HOUR, next_fire_at=None, skipped=((0, 8 * HOUR),)
        )
        await store.advance([step])
        assert [(HOUR, 3 * HOUR), (5 * HOUR, 8 * HOUR)] == await skipped_spans(store)
        done = [(one.state, one.start // HOUR, one.end // HOUR) for one in await store.done("job", 0, 8 * HOUR)]
        assert [
            ("succeeded", 0, 1),
            ("skipped", 1, 3),
            ("succeeded", 3, 4),
            ("failed", 4, 5),
            ("skipped", 5, 8),
        ] == done
        on = replace(step, cursor_from=8 * HOUR, cursor_to=10 * HOUR, skipped=((9 * HOUR, 10 * HOUR),))
        assert (await store.advance([on]))[0].applied
        assert 2 == len(await skipped_spans(store))


async def test_a_range_with_very_many_parts_has_few_records(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        for hour in range(1, 41, 2):
            await enqueue(store, interval_run(store, hour * HOUR))
            await store.finish(ending(await claim_one(store, epoch)))
        skipped = ((0, 41 * HOUR),)
        await store.advance(
            [Advance(job_id="job", version=1, cursor_from=0, cursor_to=1, next_fire_at=None, skipped=skipped)]
        )
        spans = [(2 * part * HOUR, (2 * part + 1) * HOUR) for part in range(15)]
        assert [*spans, (30 * HOUR, 41 * HOUR)] == await skipped_spans(store)


async def test_advance_counts_a_run_that_is_there_already_once(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration()])
        run = interval_run(store, 0)
        await enqueue(store, run)
        step = Advance(job_id="job", version=1, cursor_from=0, cursor_to=HOUR, next_fire_at=None, runs=(run,))
        (answer,) = await store.advance([step])
        assert (answer.applied, answer.created_count) == (True, 0)
        assert await store.job_counts() == [("job", "available", 1)]


async def test_advance_moves_the_cursor_with_its_runs(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        runs = (interval_run(store, 2 * HOUR), interval_run(store, 3 * HOUR))
        step = Advance(
            job_id="job",
            version=1,
            cursor_from=0,
            cursor_to=4 * HOUR,
            next_fire_at=5 * HOUR,
            runs=runs,
            skipped=((0, 2 * HOUR),),
        )
        (answer,) = await store.advance([step])
        assert (answer.applied, answer.created_count) == (True, 2)
        row = await only(store)
        assert (answer.row, row.cursor, row.next_fire_at) == (row, 4 * HOUR, 5 * HOUR)
        assert await store.done("job", 0, HOUR) == [DoneRange(state="skipped", start=0, end=2 * HOUR)]
        assert sorted(await store.job_counts()) == [("job", "available", 2), ("job", "skipped", 1)]
        (late,) = await store.advance([replace(step, runs=(interval_run(store, 7 * HOUR),))])
        assert (late.applied, late.row) == (False, answer.row)
        assert len((await claim(store, epoch)).runs) == 2


async def test_advance_goes_on_without_a_job_that_was_deleted(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration()])
        steps = [
            Advance(job_id=job, version=1, cursor_from=0, cursor_to=HOUR, next_fire_at=None, runs=(run,))
            for job in ("gone", "job")
            for run in (interval_run(store, 0, job),)
        ]
        lost, moved = await store.advance(steps)
        assert (lost.applied, lost.row, moved.applied, moved.created_count) == (False, None, True, 1)
        assert (await only(store)).cursor == HOUR
        assert await store.job_counts() == [("job", "available", 1)]


async def test_advance_leaves_out_what_is_there(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        await enqueue(store, interval_run(store, 0))
        await store.finish(ending(await claim_one(store, epoch)))
        await enqueue(store, interval_run(store, HOUR))
        runs = tuple(interval_run(store, start) for start in (0, HOUR, 2 * HOUR))
        step = Advance(job_id="job", version=1, cursor_from=0, cursor_to=3 * HOUR, next_fire_at=None, runs=runs)
        (answer,) = await store.advance([step])
        assert answer.created_count == 1


async def test_a_paused_job_keeps_its_scheduled_runs(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        await enqueue(store, interval_run(store, 0))
        paused = await store.set_paused("job", True)
        assert paused is not None
        assert paused.paused
        await enqueue(store, interval_run(store, HOUR))
        manual = new_run(store)
        assert (await enqueue(store, manual, claim_epoch=epoch)).claimed is None
        assert [r.run_id for r in (await claim(store, epoch)).runs] == [manual.run_id]
        resumed = await store.set_paused("job", False)
        assert resumed is not None
        assert not resumed.paused
        assert len((await claim(store, epoch)).runs) == 2
        assert await store.set_paused("nobody", True) is None


async def test_done_ranges_are_merged_and_the_stronger_state_stays(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        ends = {2: "succeeded", 0: "succeeded", 1: "succeeded", 3: "failed", 4: "succeeded"}
        for hour, state in ends.items():
            await enqueue(store, interval_run(store, hour * HOUR))
            await store.finish(ending(await claim_one(store, epoch), RunState(state)))
        assert await store.done("job", 0, 9 * HOUR) == [
            DoneRange(state="succeeded", start=0, end=3 * HOUR),
            DoneRange(state="failed", start=3 * HOUR, end=4 * HOUR),
            DoneRange(state="succeeded", start=4 * HOUR, end=5 * HOUR),
        ]
        for hour, state in ((3, "succeeded"), (0, "failed")):
            await enqueue(store, interval_run(store, hour * HOUR, generation=0))
            await store.finish(ending(await claim_one(store, epoch), RunState(state)))
        whole = [DoneRange(state="succeeded", start=0, end=5 * HOUR)]
        assert await store.done("job", HOUR, 2 * HOUR) == whole
        assert await store.done("job", 5 * HOUR, 9 * HOUR) == []
        assert await store.done("other", 0, HOUR) == []


async def test_waiting_runs_say_why_and_are_released(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        late = interval_run(store, HOUR, state=RunState.WAITING)
        early = interval_run(store, 0, state=RunState.WAITING)
        await enqueue(store, late)
        await enqueue(store, early)
        await enqueue(store, interval_run(store, 0, "other", state=RunState.WAITING))
        assert (await claim(store, epoch)).runs == ()
        jobs = frozenset({"job"})
        assert [r.run_id for r in await store.waiting(jobs=jobs, limit=9)] == [early.run_id, late.run_id]
        (first,) = await store.waiting(jobs=jobs, limit=1)
        assert [r.run_id for r in await store.waiting(jobs=jobs, limit=9, after=first)] == [late.run_id]
        await store.settle_waiting(released=[early.run_id], blocked=[(late.run_id, "blocked by x")])
        await store.settle_waiting(released=[early.run_id, "gone"], blocked=[(early.run_id, "no"), ("gone", "no")])
        (left,) = await store.waiting(jobs=jobs, limit=9)
        assert left.blocked_by == "blocked by x"
        assert [r.run_id for r in (await claim(store, epoch)).runs] == [early.run_id]


async def test_a_schedule_put_over_that_of_the_code_is_the_next_version(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        before = (await store.heartbeat(epoch)).version
        wanted = SetSchedule(job_id="job", override=b'{"every": 60}', cursor=99)
        row = await store.set_schedule(wanted)
        assert row is not None
        assert (row.version, row.cursor, row.next_fire_at, row.override) == (2, 0, None, b'{"every": 60}')
        assert await only(store) == row == await store.set_schedule(wanted)  # sent again
        after = (await store.heartbeat(epoch)).version
        assert after > before
        (same,) = await store.register([registration(schedule=b"{}")])  # the code changes beneath it
        assert (same.version, same.schedule, same.override) == (2, b"{}", b'{"every": 60}')
        back = await store.set_schedule(SetSchedule(job_id="job", override=None))
        assert back is not None
        assert (back.version, back.cursor, back.override) == (3, 0, None)
        assert await store.set_schedule(SetSchedule(job_id="nobody", override=None)) is None
        made = [(one.version, one.schedule, one.since, one.origin) for one in await store.schedules("job")]
        assert made == [
            (3, b"{}", 0, "reset"),
            (2, b'{"every": 60}', 0, "override"),
            (1, b'{"every": 3600}', 0, "code"),
        ]
        assert [one.version for one in await store.schedules("job", limit=1)] == [3]
        assert [one.version for one in await store.schedules("job", before=3, limit=1)] == [2]
        assert await store.schedules("job", before=1) == []
        assert await store.schedules("nobody") == []


async def test_a_job_without_a_schedule_begins_where_it_is_given_one(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration(schedule=None, cursor=None, next_fire_at=None)])
        for cursor in (HOUR, 2 * HOUR):
            row = await store.set_schedule(SetSchedule(job_id="job", override=b"{}", cursor=cursor))
            assert row is not None
            assert row.cursor == cursor
            gone = await store.set_schedule(SetSchedule(job_id="job", override=None))
            assert gone is not None
            assert gone.cursor is None


async def test_a_job_begins_where_the_code_gives_it_its_first_schedule(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration(schedule=None, cursor=None, next_fire_at=None)])
        (row,) = await store.register([registration(cursor=HOUR)])
        assert (row.version, row.cursor, row.next_fire_at) == (2, HOUR, None)
        assert [HOUR, None] == [one.since for one in await store.schedules("job")]


async def test_a_first_schedule_of_the_code_beneath_another_one_moves_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration(schedule=None, cursor=None, next_fire_at=None)])
        row = await store.set_schedule(SetSchedule(job_id="job", override=b'{"every": 60}'))
        assert row is not None
        (after,) = await store.register([registration(cursor=0)])
        assert replace(row, schedule=after.schedule) == after == await only(store)


async def test_a_version_without_a_cursor_begins_where_it_gets_one(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration(schedule=None, cursor=None, next_fire_at=None)])
        await store.register([registration(cursor=None, next_fire_at=None)])
        for cursor in (HOUR, 2 * HOUR):
            before = None if cursor == HOUR else HOUR
            step = Advance(job_id="job", version=2, cursor_from=before, cursor_to=cursor, next_fire_at=None)
            assert (await store.advance([step]))[0].applied
            assert [HOUR, None] == [one.since for one in await store.schedules("job")]


async def test_a_renamed_job_keeps_its_schedules(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration("old")])
        await store.set_schedule(SetSchedule(job_id="old", override=b"{}"))
        (row,) = await store.register([registration("new", was=("old",))])
        assert row.override == b"{}"
        assert [(one.job_id, one.version) for one in await store.schedules("new")] == [("new", 2), ("new", 1)]
        (changed,) = await store.register([registration("new", schedule=b"2")])
        assert changed.version == 2


async def test_pausing_again_changes_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        await store.set_paused("job", True)
        before = (await store.heartbeat(epoch)).version
        await store.set_paused("job", True)
        assert (await store.heartbeat(epoch)).version == before
