"""Claims over many runs and many jobs: bounded work, nobody left out."""

from tests.conformance.jobs.support_stores import HOUR, StoreFactory, claim, claim_one, ending, enqueue, new_run

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import ClaimAnswer, Enqueue


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
