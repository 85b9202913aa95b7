"""What befalls a run is kept with it, in the transaction in which it happens."""

from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    registration,
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import NO_RUN, Advance, EventKind, JobStore, RunFilter, RunKind, happened


async def kinds(store: JobStore, run_id: str) -> list[EventKind]:
    return [event.kind for event in await store.events(run_id)]


async def test_a_failed_attempt_that_is_tried_again_leaves_a_row(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        trouble = {"error_type": "OSError", "error_message": "no " * 1000}
        again = ending(record, RunState.RETRYING, available_at=1_000_000, **trouble)
        await store.finish(again)
        await store.finish(again)  # sent again: it happened once
        (event,) = await store.events(record.run_id)
        assert (event.kind, event.job_id, event.run_id) == (EventKind.RETRIED, "job", record.run_id)
        assert event.happened_at == again.finished_at
        assert event.detail["attempt"] == 1
        assert str(event.detail["error"]).startswith("OSError: no no")
        assert len(str(event.detail["error"])) == 500
        assert event.detail["again_at"] == "1970-01-01T00:00:01Z"
        await store.finish(ending(await claim_one(store, epoch)))
        assert await kinds(store, record.run_id) == [EventKind.RETRIED]


async def test_a_cancelled_retry_is_none(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        await store.cancel(record.run_id)
        await store.finish(ending(record, RunState.RETRYING, available_at=0))
        assert await kinds(store, record.run_id) == []


async def test_a_dead_node_leaves_a_row_and_one_that_left_does_not(stores: StoreFactory) -> None:
    async with stores() as store:
        async with stores() as dying:
            epoch = await dying.open_node("dying")
            run = new_run(dying)
            await enqueue(dying, run)
            await claim_one(dying, epoch)
        await store.rescue()
        (event,) = await store.events(run.run_id)
        assert (event.kind, event.detail) == (EventKind.LEASE_LOST, {"epoch": epoch, "rescues": 1})
        own = await store.open_node("own")
        await claim_one(store, own)
        await store.close_node(own)
        assert await kinds(store, run.run_id) == [EventKind.LEASE_LOST]


async def test_a_finish_brings_events_of_its_own_and_only_once(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        end = ending(record, events=(happened(EventKind.SINK_FAILED, sink="rows", spooled=3),))
        await store.finish(end)
        await store.finish(end)
        (event,) = await store.events(record.run_id)
        assert (event.kind, event.detail) == (EventKind.SINK_FAILED, {"sink": "rows", "spooled": 3})


async def test_a_skipped_range_says_why(stores: StoreFactory) -> None:
    async with stores() as store:
        (row,) = await store.register([registration()])
        advance = Advance(
            job_id="job",
            version=row.version,
            cursor_from=0,
            cursor_to=5 * HOUR,
            next_fire_at=6 * HOUR,
            skipped=((0, 5 * HOUR),),
            why="missed='latest'",
        )
        await store.advance([advance])
        (skipped,) = await store.runs(RunFilter())
        (event,) = await store.events(skipped.run_id)
        assert (event.kind, event.detail) == (EventKind.SKIPPED, {"why": "missed='latest'"})


async def test_the_newest_events_of_a_run_are_kept(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        for _ in range(103):
            await store.finish(ending(await claim_one(store, epoch), RunState.RETRYING, available_at=0))
        record = await claim_one(store, epoch)
        events = await store.events(record.run_id)
        assert [event.detail["attempt"] for event in events] == list(range(4, 104))


async def test_a_run_is_late_once(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for hour in range(3):
            await enqueue(store, interval_run(store, hour * HOUR, scheduled_at=(hour + 1) * HOUR))
        await enqueue(store, interval_run(store, 0, "other", scheduled_at=HOUR))
        await enqueue(store, interval_run(store, 5 * HOUR, kind=RunKind.BACKFILL, scheduled_at=HOUR, generation=0))
        ended = await claim_one(store, epoch)
        await store.finish(ending(ended))
        late = await store.note_late("job", scheduled_before=2 * HOUR, ended=[ended.run_id])
        assert {record.scheduled_at for record in late} == {HOUR, 2 * HOUR}
        assert await store.note_late("job", scheduled_before=2 * HOUR, ended=[ended.run_id]) == []
        assert len(await store.note_late("job", scheduled_before=9 * HOUR)) == 1
        assert await kinds(store, ended.run_id) == [EventKind.LATE]
        assert await store.note_late("nobody", scheduled_before=9 * HOUR, ended=["gone"]) == []


async def test_a_run_without_a_fire_time_is_not_late_while_it_lives(stores: StoreFactory) -> None:
    async with stores() as store:
        await enqueue(store, interval_run(store, 0))
        assert [] == await store.note_late("job", scheduled_before=9 * HOUR)


async def test_a_run_is_stranded_once_and_while_it_lives(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        runs = [await enqueue(store, new_run(store)) for _ in range(2)]
        ids = [run.run_id for run in runs]
        (first,) = await store.note_stranded([ids[0], "gone"])
        assert (ids[0], RunState.AVAILABLE) == (first.run_id, first.state)
        assert [ids[1]] == [record.run_id for record in await store.note_stranded(ids)]
        assert await store.note_stranded(ids) == []
        assert await kinds(store, ids[0]) == [EventKind.STRANDED]
        late = await enqueue(store, new_run(store))
        for _ in range(3):
            await store.finish(ending(await claim_one(store, epoch)))
        assert await store.note_stranded([late.run_id]) == [], "it has ended"


async def test_of_calls_that_made_no_run_the_newest_are_kept(stores: StoreFactory) -> None:
    async with stores() as store:
        for number in range(103):
            await store.note_refused("nobody", reason="unknown_job", error=f"{number}" + " " * 1000)
        rows = await store.events(NO_RUN)
        assert [str(number) for number in range(3, 103)] == [str(row.detail["error"]).strip() for row in rows]
        assert ("nobody", NO_RUN, EventKind.REFUSED) == (rows[0].job_id, rows[0].run_id, rows[0].kind)
        assert ("unknown_job", 500) == (rows[0].detail["reason"], len(str(rows[0].detail["error"])))
        assert [] == await store.check()
