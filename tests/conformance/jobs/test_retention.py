"""Retention: the oldest ended runs go, a few at a time, with all that belongs to them but the done-set."""

from dataclasses import replace

from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import NEXT_GENERATION, JobStore, Prune, Pruned, RunFilter


def pruning(store: JobStore, state: RunState = RunState.SUCCEEDED) -> Prune:
    return Prune(job_id="job", state=state, ended_before=store.now() + HOUR, limit=100)


async def gone(store: JobStore, command: Prune) -> int:
    return (await store.prune(command)).gone


async def end_runs(
    store: JobStore, *ended_at: int, job: str = "job", state: RunState = RunState.SUCCEEDED
) -> list[str]:
    """End a run at each instant; return their ids."""
    epoch = await store.open_node("a")
    ids: list[str] = []
    for instant in ended_at:
        await enqueue(store, new_run(store, job))
        record = await claim_one(store, epoch, job)
        await store.finish(ending(record, state, finished_at=instant))
        ids.append(record.run_id)
    await store.close_node(epoch)
    return ids


async def left(store: JobStore, job: str = "job") -> list[str]:
    return [run.run_id for run in await store.runs(RunFilter(job_id=job))][::-1]


async def test_the_oldest_beyond_a_count_go_in_batches(stores: StoreFactory) -> None:
    async with stores() as store:
        now = store.now()
        ids = await end_runs(store, *[now] * 7)
        others = await end_runs(store, now, state=RunState.FAILED)
        await end_runs(store, now, job="other")
        command = replace(pruning(store), count=2, limit=3)
        assert [await gone(store, command) for _ in range(3)] == [3, 2, 0]
        assert await left(store) == [*ids[5:], *others]
        assert await store.job_counts() == [("job", "failed", 1), ("job", "succeeded", 2), ("other", "succeeded", 1)]
        assert await store.prune(replace(command, job_id="nobody")) == Pruned(gone=0, spared=0, last=None)


async def test_those_that_ended_before_an_instant_go(stores: StoreFactory) -> None:
    async with stores() as store:
        now = store.now()
        ids = await end_runs(store, now + 3 * HOUR, now + HOUR, now + 2 * HOUR)
        command = replace(pruning(store), ended_before=now + 3 * HOUR, limit=1)
        assert [await gone(store, command) for _ in range(3)] == [1, 1, 0]
        assert await left(store) == ids[:1]


async def test_both_bounds_together_remove_no_more_than_each_asks_for(stores: StoreFactory) -> None:
    async with stores() as store:
        now = store.now()
        ids = await end_runs(store, now + 3 * HOUR, now + HOUR, now + 3 * HOUR, now + 3 * HOUR)
        command = replace(pruning(store), count=3, ended_before=now + 2 * HOUR)
        assert await gone(store, command) == 1
        assert await left(store) == [ids[0], *ids[2:]]
        assert await gone(store, command) == 0


async def test_what_a_key_names_stays_as_long_as_the_key_and_hides_no_others(stores: StoreFactory) -> None:
    async with stores() as store:
        now = store.now()
        epoch = await store.open_node("a")
        ids: list[str] = []
        for key, expires_at in ((None, None), ("a", now + HOUR), ("b", now + HOUR), ("past", now), (None, None)):
            run = new_run(store, idempotency_key=key, key_expires_at=expires_at)
            await enqueue(store, run)
            await store.finish(ending(await claim_one(store, epoch), finished_at=now))
            ids.append(run.run_id)
        command = replace(pruning(store), count=1, limit=2)
        first = await store.prune(command)
        assert first == Pruned(gone=1, spared=1, last=ids[1])
        second = await store.prune(replace(command, after=ids[1], count=2))
        assert second == Pruned(gone=1, spared=1, last=ids[3])
        assert await left(store) == [ids[1], ids[2], ids[4]]
        again = new_run(store, idempotency_key="b", key_expires_at=now + HOUR)
        answer = await enqueue(store, again)
        assert answer.record is not None
        assert ids[2] == answer.record.run_id


async def test_logs_go_and_the_done_set_stays(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, interval_run(store, 0))
        record = await claim_one(store, epoch)
        await store.finish(ending(record, RunState.FAILED, log=b"{}"))
        assert len(await store.logs(record.run_id)) == 1
        before = await store.done("job", 0, HOUR)
        assert await gone(store, pruning(store, RunState.FAILED)) == 1
        assert await store.logs(record.run_id) == []
        assert await store.done("job", 0, HOUR) == before
        assert [one.state for one in before] == ["failed"]
        assert await store.run(record.run_id) is None


async def test_an_occurrence_whose_runs_are_gone_can_be_run_again(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, interval_run(store, 0))
        await store.finish(ending(await claim_one(store, epoch)))
        await enqueue(store, interval_run(store, 0, generation=NEXT_GENERATION))
        await store.finish(ending(await claim_one(store, epoch)))
        for generation in (3, 1):
            assert await gone(store, replace(pruning(store), count=1 if generation == 3 else 0)) > 0
            await enqueue(store, interval_run(store, 0, generation=NEXT_GENERATION))
            record = await claim_one(store, epoch)
            assert record.generation == generation
            await store.finish(ending(record))
