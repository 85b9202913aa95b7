"""Claims over many runs and many jobs: bounded work, nobody left out."""

from msgspec import structs
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Claim, ClaimAnswer, Enqueue, RunKind


async def test_runs_behind_many_that_must_wait_are_reached(stores: StoreFactory) -> None:
    """A claim parks a bounded number of runs, and then asks to be called again at once."""
    async with stores() as store:
        epoch = await store.open_node("a")
        limited = [new_run(store, available_at=number, limits=(("k", 1),)) for number in range(60)]
        await store.enqueue_many([Enqueue(run=run) for run in limited])
        await enqueue(store, new_run(store, available_at=99))
        first = await claim_one(store, epoch)
        answers: list[ClaimAnswer] = [await claim(store, epoch, limit=1)]
        while not answers[-1].runs:
            assert answers[-1].next_available_at is not None
            answers.append(await claim(store, epoch, limit=1))
        assert answers[-1].runs[0].available_at == 99
        assert len(answers) > 1
        await store.finish(ending(first))
        assert [r.available_at for r in (await claim(store, epoch, limit=1)).runs] == [1]


async def test_many_jobs_that_this_node_does_not_know_hide_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        jobs = [f"job-{number:03}" for number in range(600)]
        await store.enqueue_many([Enqueue(run=new_run(store, job)) for job in jobs])
        served: list[str] = []
        for _ in range(4):
            answer = await claim(store, epoch, *jobs[590:], limit=3)
            served += [record.job_id for record in answer.runs]
        assert served == jobs[590:]


async def test_many_runs_whose_time_has_come_are_all_claimed(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        count = 2500
        due = [new_run(store, available_at=1, state=RunState.SCHEDULED) for _ in range(count)]
        await store.enqueue_many([Enqueue(run=run) for run in due])
        await enqueue(store, new_run(store, available_at=store.now() + HOUR, state=RunState.SCHEDULED))
        claimed = 0
        while runs := (await claim(store, epoch, limit=500)).runs:
            claimed += len(runs)
        assert claimed == count


async def test_a_run_that_skips_ends_at_a_full_limit(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first, second, third = [
            interval_run(store, hour * HOUR, limits=(("wide", 9), ("k", 1)), skips=hour > 0) for hour in range(3)
        ]
        for run in (first, second):
            await enqueue(store, run)
        answer = await claim(store, epoch)
        (held,) = answer.runs
        (skipped,) = answer.skipped
        assert (held.run_id, skipped.run_id) == (first.run_id, second.run_id)
        assert await store.run(second.run_id) == skipped
        assert (skipped.state, skipped.attempt) == (RunState.SKIPPED, 0)
        assert skipped.error_message == "skipped: the only slot of k was taken"
        (done,) = await store.done("job", 0, 10 * HOUR)
        assert (done.state, done.start, done.end) == ("skipped", HOUR, 2 * HOUR)
        await store.finish(ending(held))
        await enqueue(store, third)
        answer = await claim(store, epoch)
        assert ([third.run_id], ()) == ([run.run_id for run in answer.runs], answer.skipped)


async def test_a_run_that_has_begun_is_not_skipped_but_waits(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        run = interval_run(store, 0, limits=(("k", 1),), skips=True)
        await enqueue(store, run)
        await store.finish(ending(await claim_one(store, epoch), RunState.RETRYING, available_at=0))
        await enqueue(store, interval_run(store, HOUR, "other", limits=(("k", 1),)))
        other = await claim_one(store, epoch, "other")
        answer = await claim(store, epoch)
        assert ((), ()) == (answer.runs, answer.skipped)
        await store.finish(ending(other))
        assert (await claim_one(store, epoch)).run_id == run.run_id


async def test_a_skip_lets_others_that_wait_for_its_limits_go(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store, limits=(("k", 1),)))
        held = await claim_one(store, epoch)
        waits = new_run(store, limits=(("k", 1),))
        await enqueue(store, waits)
        await enqueue(store, interval_run(store, HOUR, limits=(("k", 1),), skips=True))
        assert len((await claim(store, epoch)).skipped) == 1
        await store.finish(ending(held))
        assert (await claim_one(store, epoch)).run_id == waits.run_id


async def test_live_work_passes_backfills_beyond_their_share(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        made = [new_run(store, kind=RunKind.BACKFILL, available_at=number, priority=5) for number in range(30)]
        await store.enqueue_many([Enqueue(run=run) for run in made])
        await enqueue(store, new_run(store, available_at=99, priority=5))
        await enqueue(store, new_run(store, "other", available_at=100, priority=5))
        await enqueue(store, new_run(store, available_at=101))
        command = Claim(epoch=epoch, limit=6, jobs=frozenset({"job", "other"}), backfills=2)
        taken = (await store.claim(command)).runs
        assert {99, 100, 101, 0, 1} == {one.available_at for one in taken}
        assert [101] == [one.available_at for one in taken[-1:]], "a higher priority comes first, whoever made it"
        none = await store.claim(structs.replace(command, backfills=0))
        assert ((), None) == (none.runs, none.next_available_at), "nothing to come back for at once"
        assert [2, 3] == [one.available_at for one in (await store.claim(structs.replace(command, limit=2))).runs]


async def test_backfills_take_turns_whatever_live_work_runs_between(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        made = [new_run(store, job, kind=RunKind.BACKFILL) for job in ("a", "b") for _ in range(2)]
        await store.enqueue_many([Enqueue(run=run) for run in made])
        command = Claim(epoch=epoch, limit=2, jobs=frozenset({"a", "b", "c"}), backfills=1)
        for turn in ("a", "b", "a"):
            await enqueue(store, new_run(store, "c"))
            assert ["c", turn] == [one.job_id for one in (await store.claim(command)).runs]


async def test_what_a_schedule_joined_is_no_backfill(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, interval_run(store, 0, kind=RunKind.BACKFILL))
        await enqueue(store, interval_run(store, 0))
        command = Claim(epoch=epoch, limit=1, jobs=frozenset({"job"}), backfills=0)
        assert 1 == len((await store.claim(command)).runs)
