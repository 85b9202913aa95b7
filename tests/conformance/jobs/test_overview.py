"""What tells how a whole store is: nodes, queues, watermarks; and lists that are read page by page."""

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
from mainspring.jobs.stores import Enqueue, JobStore, NodeTakes, RunFilter


async def test_living_nodes_are_listed_with_what_they_run(stores: StoreFactory) -> None:
    async with stores() as store:
        first, second = await store.open_node("host:1"), await store.open_node("host:2")
        for _ in range(3):
            await enqueue(store, new_run(store))
        await claim(store, first, limit=2)
        rows = await store.nodes()
        assert [(second, "host:2", True, 0), (first, "host:1", True, 2)] == [
            (one.epoch, one.name, one.alive, one.running_count) for one in rows
        ]
        assert all(one.started_at > 0 and one.ended_at is None for one in rows)
        assert [second] == [one.epoch for one in await store.nodes(limit=1)]
        assert [first] == [one.epoch for one in await store.nodes(before=second)]
        await store.close_node(second)
        assert [first] == [one.epoch for one in await store.nodes() if one.alive]


async def test_a_queue_is_as_old_as_its_oldest_run_that_could_be_claimed(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        now = store.now()
        for job, age, queue, priority in (
            ("b", 10, "default", 0),
            ("a", 5, "default", 0),
            ("a", 30, "default", 0),
            ("c", 20, "default", -9),
            ("a", 7, "slow", 3),
        ):
            run = new_run(store, job, available_at=now - age * HOUR, queue=queue, priority=priority)
            await enqueue(store, run)
        await enqueue(store, new_run(store, available_at=now + HOUR, state=RunState.SCHEDULED, queue="later"))
        await enqueue(store, new_run(store, available_at=now - 1, state=RunState.SCHEDULED, queue="due"))
        found = {one.queue: now - one.oldest_at for one in await store.queues()}
        assert {"default": 30 * HOUR, "slow": 7 * HOUR, "due": 1} == found
        await claim(store, epoch, "a", "b", "c", "job", queues=("default", "slow", "due"))
        assert [] == await store.queues()


async def finish_hour(store: JobStore, epoch: int, hour: int, state: RunState, job: str = "job") -> None:
    await enqueue(store, interval_run(store, hour * HOUR, job))
    await store.finish(ending(await claim_one(store, epoch, job), state))


async def test_a_watermark_stops_at_the_first_gap_or_failure(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration(name) for name in ("job", "gap", "failed", "never")])
        for hour in (1, 2, 3):
            await finish_hour(store, epoch, hour, RunState.SKIPPED if hour == 2 else RunState.SUCCEEDED)
        for hour in (1, 3):
            await finish_hour(store, epoch, hour, RunState.SUCCEEDED, "gap")
        await finish_hour(store, epoch, 1, RunState.FAILED, "failed")
        assert [("failed", HOUR), ("gap", 2 * HOUR), ("job", 4 * HOUR)] == await store.watermarks()
        assert [("job", 4 * HOUR), ("gap", 2 * HOUR)] == await store.watermarks(["job", "never", "gap", "unknown"])


async def test_runs_of_several_states_are_listed_newest_first(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        ids: dict[RunState, list[str]] = {}
        for state in (RunState.FAILED, RunState.SUCCEEDED, RunState.CANCELLED) * 3:
            run = new_run(store)
            await enqueue(store, run)
            await store.finish(ending(await claim_one(store, epoch), state))
            ids.setdefault(state, []).append(run.run_id)
        waiting = new_run(store)
        await enqueue(store, waiting)
        wanted = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.AVAILABLE})
        newest = sorted([*ids[RunState.FAILED], *ids[RunState.CANCELLED], waiting.run_id], reverse=True)
        first = await store.runs(RunFilter(states=wanted, limit=4))
        assert newest[:4] == [one.run_id for one in first]
        rest = await store.runs(RunFilter(states=wanted, before=first[-1].run_id, limit=4))
        assert newest[4:] == [one.run_id for one in rest]
        succeeded = await store.runs(RunFilter(states=frozenset({RunState.SUCCEEDED}), job_id="job"))
        assert sorted(ids[RunState.SUCCEEDED], reverse=True) == [one.run_id for one in succeeded]


async def test_runs_are_listed_by_when_they_were_made(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        runs = [new_run(store) for _ in range(4)]
        for run in runs:
            await enqueue(store, run)
        await store.finish(ending(await claim_one(store, epoch)))
        made = {one.run_id: one.created_at for one in await store.runs(RunFilter())}
        assert {run.run_id for run in runs} == made.keys()
        for begin, end in ((min(made.values()), max(made.values())), (0, min(made.values())), (None, 1), (2**60, None)):
            found = await store.runs(RunFilter(created_from=begin, created_to=end))
            expected = {
                run_id for run_id, at in made.items() if (begin is None or begin <= at) and (end is None or at < end)
            }
            assert expected == {one.run_id for one in found}


async def test_backfills_are_listed_page_by_page(stores: StoreFactory) -> None:
    async with stores() as store:
        rows = [backfill_of(created_at=number // 2) for number in range(5)]
        for row in rows:
            await store.create_backfill(row)
        newest_first = [row.backfill_id for row in reversed(rows)]
        page = await store.backfills(limit=2)
        assert newest_first[:2] == [one.backfill_id for one in page]
        rest = await store.backfills(before=page[-1].backfill_id)
        assert newest_first[2:] == [one.backfill_id for one in rest]
        assert [] == await store.backfills(before="unknown")


async def test_runs_are_counted_in_every_state_they_come_through(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")

        async def counts(job: str = "job") -> dict[str, int]:
            return {state: count for one, state, count in await store.job_counts() if one == job}

        hot = await enqueue(store, new_run(store), claim_epoch=epoch)
        assert hot.claimed is not None
        await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(3)])
        soon = new_run(store, state=RunState.SCHEDULED, available_at=store.now() + 1)
        await enqueue(store, soon)
        await enqueue(store, new_run(store, state=RunState.SCHEDULED, available_at=store.now() + HOUR))
        waiting = interval_run(store, 0, state=RunState.WAITING)
        await enqueue(store, waiting)
        await enqueue(store, new_run(store, "other"))
        assert {"available": 1} == await counts("other")
        assert {"running": 1, "available": 3, "scheduled": 2, "waiting": 1} == await counts()
        await store.settle_waiting(released=[waiting.run_id])
        await store.finish(ending(hot.claimed))
        first, second, *_ = (await claim(store, epoch, limit=10)).runs
        found = await counts()
        assert 1 == found["succeeded"]
        assert 6 == sum(count for state, count in found.items() if state != "succeeded")
        await store.finish(ending(first, RunState.RETRYING, available_at=store.now() + HOUR))
        await store.finish(ending(second, RunState.FAILED))
        await store.cancel(soon.run_id)
        found = await counts()
        assert (1, 1) == (found["retrying"], found["failed"])
        await store.close_node(epoch)
        found = await counts()
        assert "running" not in found
        assert 8 - 1 == sum(found.values()), "none is lost"


async def test_runs_behind_a_full_limit_are_counted_in_their_queue(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for queue in ("default", "default", "default", "slow"):
            await enqueue(store, new_run(store, queue=queue, limits=(("k", 1),)))
        await claim(store, epoch)
        assert [("job", "default", 2), ("job", "slow", 1)] == await store.queue_counts()
        await store.close_node(epoch)
        assert [("job", "default", 3), ("job", "slow", 1)] == await store.queue_counts()


async def test_runs_that_no_living_node_takes_are_listed(stores: StoreFactory) -> None:
    async with stores() as store:
        now = store.now()
        for job, queue, age in (
            ("gone", "default", 3),
            ("gone", "default", 9),
            ("job", "default", 5),
            ("job", "slow", 7),
        ):
            await enqueue(store, new_run(store, job, queue=queue, available_at=now - age * HOUR))
        later = new_run(store, "gone", queue="later", available_at=now + HOUR, state=RunState.SCHEDULED)
        await enqueue(store, later)
        assert [] == await store.stranded(), "nobody is there to take anything"
        guest = await store.open_node("guest", takes=NodeTakes(jobs=frozenset(), queues=frozenset({"default"})))
        assert [] == await store.stranded(), "nor is a guest"
        assert [("gone", "default", 2), ("job", "default", 1), ("job", "slow", 1)] == await store.queue_counts()
        takes = NodeTakes(jobs=frozenset({"job"}), queues=frozenset({"default"}))
        epoch = await store.open_node("a", takes=takes)
        assert [("gone", "default", 9), ("job", "slow", 7)] == [
            (row.job_id, row.queue, (now - row.oldest_at) // HOUR) for row in await store.stranded()
        ]
        oldest = [await store.run(row.oldest_run) for row in await store.stranded()]
        assert [("gone", 9), ("job", 7)] == [(one.job_id, (now - one.available_at) // HOUR) for one in oldest if one]
        both = NodeTakes(jobs=frozenset({"job", "gone"}), queues=frozenset({"default", "slow"}))
        other = await store.open_node("b", takes=both)
        assert [] == await store.stranded()
        await store.close_node(other)
        assert 2 == len(await store.stranded())
        await store.open_node("of another version")
        assert [] == await store.stranded(), "who does not say may take them"
        await store.close_node(epoch)
        await store.close_node(guest)
