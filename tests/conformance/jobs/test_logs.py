"""What attempts logged lives and goes with their run."""

import pytest
from tests.conformance.jobs.support_stores import StoreFactory, claim_one, ending, enqueue, new_run

from mainspring.errors import StaleFenceError
from mainspring.jobs.model import RunState


async def test_lines_come_with_the_end_of_their_attempt(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        run = new_run(store)
        await enqueue(store, run)
        first = await claim_one(store, epoch)
        await store.finish(ending(first, RunState.RETRYING, log=b"one", available_at=store.now()))
        second = await claim_one(store, epoch)
        assert [b"one"] == [one.log for one in await store.logs(run.run_id)]
        await store.finish(ending(second, log=b"two"))
        kept = await store.logs(run.run_id)
        assert [(first.fence, 1, b"one"), (second.fence, 2, b"two")] == [
            (one.fence, one.attempt, one.log) for one in kept
        ]
        assert [] == await store.logs("other")


async def test_a_stale_attempt_leaves_no_lines(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        run = new_run(store)
        await enqueue(store, run)
        first = await claim_one(store, epoch)
        await store.finish(ending(first, RunState.AVAILABLE))
        second = await claim_one(store, epoch)
        with pytest.raises(StaleFenceError):
            await store.finish(ending(first, log=b"late"))
        await store.finish(ending(second))
        assert [] == await store.logs(run.run_id)


async def test_the_lines_of_the_latest_attempts_are_kept(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        run = new_run(store)
        await enqueue(store, run)
        for _ in range(13):
            record = await claim_one(store, epoch)
            said = f"{record.attempt}".encode()
            await store.finish(ending(record, RunState.RETRYING, log=said, available_at=store.now()))
        assert list(range(4, 14)) == [one.attempt for one in await store.logs(run.run_id)]
