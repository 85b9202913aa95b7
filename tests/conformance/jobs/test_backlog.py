"""Runs that wait when other code registers their job: they come under its limits and its priority."""

import pytest
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    registration,
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Advance, JobStore, NewRun, RunKind, job_key

Limits = tuple[tuple[str, int], ...]

ONE: Limits = (("job:job", 1),)
FOUR: Limits = (("job:job", 4),)


async def backlog(store: JobStore, count: int, limits: Limits, **changes: object) -> list[str]:
    """Create runs of consecutive hours, the oldest first."""
    runs = [interval_run(store, hour * HOUR, available_at=hour, limits=limits, **changes) for hour in range(count)]
    for run in runs:
        await enqueue(store, run)
    return [run.run_id for run in runs]


def hour_of_another(store: JobStore, hour: int, limits: Limits) -> NewRun:
    return interval_run(store, hour * HOUR, available_at=hour, limits=limits)


async def claimed(store: JobStore, epoch: int) -> list[str]:
    return [record.run_id for record in (await claim(store, epoch)).runs]


async def test_a_raised_limit_holds_for_what_waits_already_oldest_first(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=ONE)])
        ids = await backlog(store, 6, ONE)
        assert ids[:1] == await claimed(store, epoch)  # the others are parked
        before = (await store.heartbeat(epoch)).version
        await store.register([registration(limits=FOUR)])
        assert (await store.heartbeat(epoch)).version > before, "other nodes look again"
        newer = hour_of_another(store, 9, FOUR)
        await enqueue(store, newer)
        assert ids[1:4] == await claimed(store, epoch), "three more, and before what came later"
        assert [] == await claimed(store, epoch)


async def test_a_lowered_limit_holds_for_what_does_not_run_yet(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=FOUR)])
        ids = await backlog(store, 6, FOUR)
        running = [await claim_one(store, epoch) for _ in range(2)]
        await store.register([registration(limits=ONE)])
        assert [] == await claimed(store, epoch)
        await store.finish(ending(running[0]))
        assert [] == await claimed(store, epoch), "one still runs"
        await store.finish(ending(running[1], RunState.RETRYING, available_at=0))
        assert [ids[1]] == await claimed(store, epoch), "a retry comes under it too"


async def test_another_key_holds_for_what_waits_and_what_runs_keeps_its_own(stores: StoreFactory) -> None:
    a: Limits = (("job:job", 2), ("key:a", 2))
    b: Limits = (("job:job", 2), ("key:b", 2))
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=a), registration("other")])
        ids = await backlog(store, 5, a)
        first = await claim_one(store, epoch)
        await store.register([registration(limits=b)])
        others = [new_run(store, "other", available_at=number, limits=(("key:a", 2),)) for number in range(2)]
        for run in others:
            await enqueue(store, run)
        assert others[0].run_id == (await claim_one(store, epoch, "other")).run_id, "one place is the running one's"
        assert () == (await claim(store, epoch, "other")).runs
        assert [ids[1]] == await claimed(store, epoch)
        await store.finish(ending(first))
        assert others[1].run_id == (await claim_one(store, epoch, "other")).run_id
        assert [ids[2]] == await claimed(store, epoch)


async def test_limits_come_and_go_with_the_code(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=())])
        ids = await backlog(store, 4, ())
        await store.register([registration(limits=ONE)])
        assert ids[:1] == await claimed(store, epoch)
        await store.register([registration(limits=())])
        assert ids[1:] == await claimed(store, epoch)


@pytest.mark.parametrize("kind", [RunKind.BACKFILL, RunKind.SPAWN])
async def test_what_others_wait_for_keeps_its_own_limits(stores: StoreFactory, kind: RunKind) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        ids = await backlog(store, 3, (("mine", 2),), kind=kind)
        await enqueue(store, call := new_run(store))
        await store.register([registration(limits=ONE, priority=3)])
        records = (await claim(store, epoch)).runs
        assert sorted([*ids[:2], call.run_id]) == sorted(record.run_id for record in records)
        assert {0} == {record.priority for record in records}


async def test_code_that_does_not_say_leaves_limits_alone(stores: StoreFactory) -> None:
    """As code without a schedule: somebody has given the job one in the store."""
    async with stores() as store:
        epoch = await store.open_node("a")
        ids = await backlog(store, 3, ONE, priority=2)
        await store.register([registration()])
        assert ids[:1] == await claimed(store, epoch)


async def test_runs_come_under_the_priority_that_their_job_has_now(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        waiting = await backlog(store, 3, ())
        running = await claim_one(store, epoch)
        await store.register([registration(limits=(), priority=5)])
        await enqueue(store, interval_run(store, 9 * HOUR, priority=5))
        await store.finish(ending(running, RunState.RETRYING, available_at=0))
        records = (await claim(store, epoch)).runs
        assert waiting == [record.run_id for record in records][:3]
        assert {5} == {record.priority for record in records}


async def test_runs_that_may_not_start_yet_come_under_the_limit_too(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=FOUR)])
        waits = interval_run(store, 0, state=RunState.WAITING, limits=FOUR)
        later = interval_run(store, HOUR, state=RunState.SCHEDULED, available_at=store.now() + HOUR, limits=FOUR)
        held = interval_run(store, 2 * HOUR, limits=FOUR)
        for run in (waits, later):
            await enqueue(store, run)
        await store.set_paused("job", True)
        await enqueue(store, held)
        await store.register([registration(limits=ONE)])
        assert [] == await claimed(store, epoch)
        await store.set_paused("job", False)
        await store.settle_waiting(released=[waits.run_id], blocked=[])
        assert 1 == len(await claimed(store, epoch)), "of two that may start"


async def test_registering_the_same_again_changes_nothing(stores: StoreFactory) -> None:
    """Also where the text of a limit has to be escaped; every start asks."""
    limits: Limits = (("job:job", 2), ('key:"né"\n\\', 2))
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=limits, priority=1)])
        await backlog(store, 4, limits, priority=1)
        await claim_one(store, epoch)
        before = (await store.heartbeat(epoch)).version
        await store.register([registration(limits=limits, priority=1)])
        assert before == (await store.heartbeat(epoch)).version


ODD = 'né "old\\" \n'
"""The name of a job that has to be escaped."""


@pytest.mark.parametrize("old", ["old", ODD])
async def test_a_renamed_job_takes_along_what_its_runs_hold_and_wait_for(stores: StoreFactory, old: str) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        before = ((job_key(old), 1), ("key:a", 9))
        after = ((job_key("new"), 1), ("key:a", 9))
        await store.register([registration(old, limits=before)])
        runs = [interval_run(store, hour * HOUR, old, available_at=hour, limits=before) for hour in range(3)]
        for run in runs:
            await enqueue(store, run)
        first = await claim_one(store, epoch, old)
        assert () == (await claim(store, epoch, old)).runs
        await store.register([registration("new", was=(old,), limits=after)])
        newer = interval_run(store, 9 * HOUR, "new", limits=after)
        await enqueue(store, newer)
        assert () == (await claim(store, epoch, "new")).runs, "the running one is counted"
        await store.finish(ending(first))
        for run in (*runs[1:], newer):
            record = await claim_one(store, epoch, "new")
            assert run.run_id == record.run_id
            assert () == (await claim(store, epoch, "new")).runs
            await store.finish(ending(record))


async def test_a_renamed_job_takes_along_what_ended_attempts_keep(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        before, after = (((job_key(name), 1),) for name in ("old", "new"))
        others = ((job_key("old and more"), 1), (job_key("ol"), 1))
        await store.register([registration("old", limits=before), registration("other", limits=others)])
        await enqueue(store, interval_run(store, 0, "other", limits=others))
        await claim_one(store, epoch, "other")
        await enqueue(store, interval_run(store, 0, "old", limits=before))
        held = await claim_one(store, epoch, "old")
        await store.finish(ending(held, RunState.FAILED, keeps_limits=True))
        await store.register([registration("new", was=("old",), limits=after), registration("other", limits=others)])
        waits = interval_run(store, HOUR, "new", limits=after)
        await enqueue(store, waits)
        assert () == (await claim(store, epoch, "new")).runs
        await store.let_go(held.run_id, fence=held.fence)
        assert waits.run_id == (await claim_one(store, epoch, "new")).run_id


async def test_a_program_with_other_code_makes_runs_under_what_was_registered_last(stores: StoreFactory) -> None:
    """As in a rolling deploy: the older one still makes runs after the newer one has come."""
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=ONE)])
        await store.register([registration(limits=FOUR, priority=2)])
        ids = await backlog(store, 3, ONE, kind=RunKind.SCHEDULE)
        moved = Advance(
            job_id="job",
            version=1,
            cursor_from=0,
            cursor_to=5 * HOUR,
            next_fire_at=None,
            runs=tuple(interval_run(store, hour * HOUR, available_at=hour, limits=ONE) for hour in (3, 4)),
        )
        await store.advance([moved])
        records = (await claim(store, epoch)).runs
        assert [*ids, moved.runs[0].run_id] == [record.run_id for record in records], "four of them at once"
        assert {2} == {record.priority for record in records}
        await store.finish(ending(records[0]))
        assert [moved.runs[1].run_id] == await claimed(store, epoch)


@pytest.mark.parametrize("ends", ["rescue", "close", "retry"])
async def test_what_ran_comes_under_the_limit_when_it_is_free_again(stores: StoreFactory, ends: str) -> None:
    """Also where it held no place under the earlier code, which may have died before the newer one came."""
    async with stores() as store:
        async with stores() as earlier:
            epoch = await earlier.open_node("a")
            await earlier.register([registration(limits=())])
            ids = await backlog(earlier, 3, ())
            running = (await claim(earlier, epoch)).runs
            assert 3 == len(running)
            await store.register([registration(limits=ONE)])
            if ends == "retry":
                for record in running:
                    await earlier.finish(ending(record, RunState.RETRYING, available_at=0))
            elif ends == "close":
                await earlier.close_node(epoch)
        later = await store.open_node("b")
        freed = await store.rescue()
        assert (3 if ends == "rescue" else 0) == len(freed)
        assert ids[:1] == await claimed(store, later)
        assert [] == await claimed(store, later)
        assert [] == await store.check()


async def test_code_that_does_not_say_any_more_gives_its_runs_what_they_bring(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=ONE)])
        await store.register([registration()])
        await backlog(store, 3, FOUR)
        assert 3 == len(await claimed(store, epoch))


async def test_a_job_with_the_id_that_another_had_has_its_own_limits(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=ONE)])
        await store.register([registration("new", was=("job",), limits=(("job:new", 1),)), registration("job")])
        await backlog(store, 3, FOUR)
        assert 3 == len((await claim(store, epoch, "job")).runs)


async def test_a_rename_without_other_limits_leaves_a_raised_priority(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(limits=())])
        await backlog(store, 1, ())
        assert "joined" == (await enqueue(store, interval_run(store, 0, kind=RunKind.MANUAL, priority=7))).outcome
        await store.register([registration("new", was=("job",), limits=())])
        assert 7 == (await claim_one(store, epoch, "new")).priority
