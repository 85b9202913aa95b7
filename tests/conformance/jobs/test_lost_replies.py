"""A write that was cut off is not done at all, and one whose reply was lost is done once, however often it is sent."""

from collections.abc import Awaitable, Callable

import pytest
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    backfill_of,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    registration,
)
from tests.conformance.jobs.support_trouble import WRITES

from mainspring.errors import StorageError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    NO_RUN,
    Advance,
    BackfillState,
    BackfillStep,
    ConfigRow,
    Enqueue,
    JobStore,
    Progress,
    Prune,
    Report,
    RunFilter,
    RunKind,
    SetSchedule,
    TakeLease,
)

Send = Callable[[], Awaitable[object]]
Prepare = Callable[[JobStore, int], Awaitable[Send]]

PREPARATIONS: dict[str, Prepare] = {}
"""By name, what prepares a store (with a live epoch) for a write, and returns what sends that."""

SENT = {"open_node", "claim", "heartbeat", "rescue", "stage", "let_go", "note_refused"}
"""The writes that are sent below; those of `test_trouble.py` to begin with, which need more than one look."""


def sends(method: str) -> Callable[[Prepare], Prepare]:
    def kept(prepare: Prepare) -> Prepare:
        SENT.add(method)
        PREPARATIONS[prepare.__name__] = prepare
        return prepare

    return kept


async def picture(store: JobStore) -> list[object]:
    """Return all that can be read of a store."""
    records = sorted(await store.runs(RunFilter(limit=1000)), key=lambda record: record.run_id)
    seen: list[object] = [records, await store.jobs(), await store.nodes(), await store.leases(), await store.queues()]
    seen += [await store.queue_counts(), await store.job_counts(), await store.watermarks()]
    seen += [await store.backfills(limit=1000), await store.stranded()]
    for run_id in [NO_RUN, *(record.run_id for record in records)]:
        seen += [await store.events(run_id), await store.logs(run_id)]
    seen += [await store.done("job", -(2**60), 2**60), await store.configs("job"), await store.schedules("job")]
    return seen


@sends("enqueue")
async def enqueue_one(store: JobStore, epoch: int) -> Send:
    command = Enqueue(run=new_run(store))
    return lambda: store.enqueue(command)


@sends("enqueue")
async def enqueue_claimed(store: JobStore, epoch: int) -> Send:
    command = Enqueue(run=new_run(store), claim_epoch=epoch)
    return lambda: store.enqueue(command)


@sends("enqueue_many")
async def enqueue_many(store: JobStore, epoch: int) -> Send:
    commands = [Enqueue(run=new_run(store)), Enqueue(run=interval_run(store, 0))]
    return lambda: store.enqueue_many(commands)


async def running(store: JobStore, epoch: int, **changes: object) -> Callable[..., Send]:
    """Have an interval run; return what makes a sender of one of its ends."""
    await enqueue(store, interval_run(store, 0, **changes))
    record = await claim_one(store, epoch)

    def ender(state: RunState, **said: object) -> Send:
        command = ending(record, state, **said)
        return lambda: store.finish(command)

    return ender


@sends("finish")
async def finish_well(store: JobStore, epoch: int) -> Send:
    return (await running(store, epoch))(RunState.SUCCEEDED, log=b"[]", value=b"1")


@sends("finish")
async def finish_to_retry(store: JobStore, epoch: int) -> Send:
    return (await running(store, epoch))(RunState.RETRYING, available_at=store.now() + HOUR, error_type="E")


@sends("finish")
async def hand_back(store: JobStore, epoch: int) -> Send:
    return (await running(store, epoch))(RunState.AVAILABLE)


@sends("report")
async def report(store: JobStore, epoch: int) -> Send:
    await enqueue(store, new_run(store))
    record = await claim_one(store, epoch)
    said = Report(
        run_id=record.run_id,
        fence=record.fence,
        attempt=1,
        log=b"[]",
        progress=Progress(done=1, total=2, at=3),
    )
    return lambda: store.report([said])


@sends("cancel")
async def cancel_waiting(store: JobStore, epoch: int) -> Send:
    run = new_run(store)
    await enqueue(store, run)
    return lambda: store.cancel(run.run_id)


@sends("cancel")
async def cancel_running(store: JobStore, epoch: int) -> Send:
    await enqueue(store, new_run(store))
    record = await claim_one(store, epoch)
    return lambda: store.cancel(record.run_id)


@sends("close_node")
async def close_node(store: JobStore, epoch: int) -> Send:
    await enqueue(store, new_run(store))
    await claim_one(store, epoch)
    return lambda: store.close_node(epoch)


@sends("register")
async def register(store: JobStore, epoch: int) -> Send:
    await store.register([registration("old")])
    wanted = [registration("job", was=("old",), schedule=b"{}"), registration("other")]
    return lambda: store.register(wanted)


@sends("advance")
async def advance(store: JobStore, epoch: int) -> Send:
    await store.register([registration()])
    step = Advance(
        job_id="job",
        version=1,
        cursor_from=0,
        cursor_to=3 * HOUR,
        next_fire_at=4 * HOUR,
        runs=(interval_run(store, 2 * HOUR),),
        skipped=((0, 2 * HOUR),),
    )
    return lambda: store.advance([step])


@sends("set_paused")
async def set_paused(store: JobStore, epoch: int) -> Send:
    await store.register([registration()])
    return lambda: store.set_paused("job", True)


@sends("set_schedule")
async def set_schedule(store: JobStore, epoch: int) -> Send:
    await store.register([registration()])
    return lambda: store.set_schedule(SetSchedule(job_id="job", override=b"{}"))


@sends("put_config")
async def put_config(store: JobStore, epoch: int) -> Send:
    row = ConfigRow(job_id="job", version=1, value=b"{}", effective_from=0, created_at=1)
    return lambda: store.put_config(row)


@sends("take_lease")
async def take_lease(store: JobStore, epoch: int) -> Send:
    command = TakeLease(lease="one", holder="a", epoch=epoch)
    return lambda: store.take_lease(command)


@sends("drop_lease")
async def drop_lease(store: JobStore, epoch: int) -> Send:
    await store.take_lease(TakeLease(lease="one", holder="a", epoch=epoch))
    return lambda: store.drop_lease("one", "a")


@sends("create_backfill")
async def create_backfill(store: JobStore, epoch: int) -> Send:
    first = backfill_of()
    after = backfill_of("other", after=(first.backfill_id,))
    return lambda: store.create_backfill(first, downstream=[after])


@sends("step_backfill")
async def step_backfill(store: JobStore, epoch: int) -> Send:
    row = backfill_of()
    await store.create_backfill(row)
    run = interval_run(store, 0, kind=RunKind.BACKFILL, generation=0, backfill_id=row.backfill_id)
    step = BackfillStep(backfill_id=row.backfill_id, cursor_from=0, cursor_to=HOUR, runs=(run,), planned=False)
    return lambda: store.step_backfill(step)


@sends("set_backfill_state")
async def cancel_backfill(store: JobStore, epoch: int) -> Send:
    row = backfill_of()
    await store.create_backfill(row)
    run = interval_run(store, 0, kind=RunKind.BACKFILL, generation=0, backfill_id=row.backfill_id)
    await store.step_backfill(
        BackfillStep(backfill_id=row.backfill_id, cursor_from=0, cursor_to=HOUR, runs=(run,), planned=False)
    )
    return lambda: store.set_backfill_state(row.backfill_id, BackfillState.CANCELLED)


@sends("prune")
async def prune(store: JobStore, epoch: int) -> Send:
    for _ in range(2):
        await enqueue(store, new_run(store))
        await store.finish(ending(await claim_one(store, epoch), finished_at=5))
    command = Prune(job_id="job", state=RunState.SUCCEEDED, count=1, ended_before=store.now() + HOUR, limit=9)
    return lambda: store.prune(command)


@sends("settle_waiting")
async def settle_waiting(store: JobStore, epoch: int) -> Send:
    free, blocked = (interval_run(store, hour * HOUR, state=RunState.WAITING) for hour in range(2))
    await store.enqueue_many([Enqueue(run=free), Enqueue(run=blocked)])
    return lambda: store.settle_waiting(released=[free.run_id], blocked=[(blocked.run_id, "blocked by x")])


@sends("note_late")
async def note_late(store: JobStore, epoch: int) -> Send:
    await enqueue(store, interval_run(store, 0, scheduled_at=HOUR))
    return lambda: store.note_late("job", scheduled_before=2 * HOUR)


@sends("note_stranded")
async def note_stranded(store: JobStore, epoch: int) -> Send:
    run = new_run(store)
    await enqueue(store, run)
    return lambda: store.note_stranded([run.run_id])


@pytest.mark.parametrize("name", PREPARATIONS)
async def test_a_write_is_done_once_whatever_becomes_of_its_reply(stores: StoreFactory, name: str) -> None:
    async with stores() as store:
        send = await PREPARATIONS[name](store, await store.open_node("a"))
        before = await picture(store)
        with stores.cut(store), pytest.raises(StorageError):
            await send()
        assert before == await picture(store)
        with stores.lose_replies(store), pytest.raises(StorageError):
            await send()
        done = await picture(store)
        assert before != done
        await send()
        assert done == await picture(store)


def test_no_write_of_the_protocols_is_left_out() -> None:
    assert WRITES == SENT
