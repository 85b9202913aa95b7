"""Places under limits that outlive an attempt: part of it goes on, until its node says otherwise, or ends."""

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
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import JobStore

ONE, TWO = (("k", 1),), (("k", 2), ("wide", 9))


async def claimed_ids(store: JobStore, epoch: int, *jobs: str) -> list[str]:
    return [record.run_id for record in (await claim(store, epoch, *jobs)).runs]


@pytest.mark.parametrize("state", [RunState.CANCELLED, RunState.FAILED])
async def test_a_kept_place_is_taken_until_it_is_let_go(stores: StoreFactory, state: RunState) -> None:
    async with stores() as store, stores() as other:
        epochs = [await store.open_node("a"), await other.open_node("b")]
        await enqueue(store, new_run(store, limits=ONE))
        held = await claim_one(store, epochs[0])
        waits, later = new_run(store, limits=ONE), new_run(store, limits=ONE)
        await enqueue(store, waits)
        assert [] == await claimed_ids(store, epochs[0])
        ended = await store.finish(ending(held, state, keeps_limits=True))
        assert (state, ended) == (ended.state, await store.run(held.run_id))
        await enqueue(store, later)
        for one, epoch in zip((store, other), epochs, strict=True):
            assert [] == await claimed_ids(one, epoch)
        await store.let_go(held.run_id, fence=held.fence)
        assert [waits.run_id] == await claimed_ids(other, epochs[1]), "whoever waited first, on any node"


async def test_a_place_is_let_go_once(stores: StoreFactory) -> None:
    """The command may be sent again, and so may the end that kept the place."""
    async with stores() as store:
        epoch = await store.open_node("a")
        for _ in range(3):
            await enqueue(store, new_run(store, limits=TWO))
        first, second = (await claim(store, epoch)).runs
        end = ending(first, RunState.FAILED, keeps_limits=True)
        assert await store.finish(end) == await store.finish(end)
        assert [] == await claimed_ids(store, epoch)
        for _ in range(2):
            await store.let_go(first.run_id, fence=first.fence)
        assert 1 == len(await claimed_ids(store, epoch))
        await enqueue(store, new_run(store, limits=TWO))
        assert [] == await claimed_ids(store, epoch)
        await store.finish(ending(second))
        assert 1 == len(await claimed_ids(store, epoch))


@pytest.mark.parametrize("state", [RunState.RETRYING, RunState.AVAILABLE])
async def test_the_next_attempt_of_a_run_waits_for_the_last(stores: StoreFactory, state: RunState) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store, limits=ONE))
        first = await claim_one(store, epoch)
        back = await store.finish(ending(first, state, available_at=0, keeps_limits=True))
        assert (first.run_id, state) == (back.run_id, back.state)
        assert [] == await claimed_ids(store, epoch)
        await store.let_go(first.run_id, fence=first.fence)
        again = await claim_one(store, epoch)
        assert first.run_id == again.run_id
        await enqueue(store, new_run(store, limits=ONE))
        await store.let_go(first.run_id, fence=first.fence)
        await store.let_go(again.run_id, fence=again.fence)
        assert [] == await claimed_ids(store, epoch), "a running attempt lets nothing go"


async def test_a_cancel_of_the_next_attempt_lets_nothing_go(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store, limits=ONE))
        first = await claim_one(store, epoch)
        await store.finish(ending(first, RunState.RETRYING, available_at=0, keeps_limits=True))
        await store.cancel(first.run_id)
        await enqueue(store, new_run(store, limits=ONE))
        assert [] == await claimed_ids(store, epoch)


@pytest.mark.parametrize("end", ["closed", "died"])
async def test_what_an_epoch_keeps_ends_with_it(stores: StoreFactory, end: str) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        waits = new_run(store, limits=TWO)
        async with stores() as other:
            gone = await other.open_node("b")
            for _ in range(2):
                await enqueue(store, new_run(store, limits=TWO))
            kept = (await claim(other, gone)).runs
            assert 2 == len(kept)
            for record in kept:
                await other.finish(ending(record, RunState.FAILED, keeps_limits=True))
            await enqueue(store, waits)
            assert [] == await claimed_ids(store, epoch)
            if end == "closed":
                await other.close_node(gone)
        assert [] == await store.rescue(), "its runs had ended"
        assert [waits.run_id] == await claimed_ids(store, epoch)
        await store.let_go(kept[0].run_id, fence=kept[0].fence)
        await enqueue(store, new_run(store, limits=ONE))
        assert [] == await claimed_ids(store, epoch), "a late word of the old node changes nothing"


async def test_what_one_epoch_keeps_outlives_another(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store, limits=ONE))
        await store.finish(ending(await claim_one(store, epoch), RunState.FAILED, keeps_limits=True))
        async with stores() as other:
            await other.open_node("b")
        await store.rescue()
        await enqueue(store, new_run(store, limits=ONE))
        assert [] == await claimed_ids(store, epoch)


async def test_other_limits_and_runs_without_any_are_not_touched(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store, limits=ONE))
        await store.finish(ending(await claim_one(store, epoch), RunState.FAILED, keeps_limits=True))
        await enqueue(store, new_run(store))
        free = await claim_one(store, epoch)
        await store.finish(ending(free, RunState.FAILED, keeps_limits=True))
        await store.let_go(free.run_id, fence=free.fence)
        await store.let_go("nobody", fence=1)
        wanted = [new_run(store), new_run(store, "other", limits=(("other", 1),))]
        for run in (*wanted, new_run(store, limits=ONE)):
            await enqueue(store, run)
        assert {run.run_id for run in wanted} == set(await claimed_ids(store, epoch, "job", "other"))


async def test_a_run_that_skips_ends_at_a_kept_place(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, interval_run(store, 0, limits=ONE))
        await store.finish(ending(await claim_one(store, epoch), RunState.FAILED, keeps_limits=True))
        await enqueue(store, interval_run(store, HOUR, limits=ONE, skips=True))
        (skipped,) = (await claim(store, epoch)).skipped
        assert "skipped: the only slot of k was taken" == skipped.error_message
