"""Leases, rescue and staging: what every job store promises about nodes that die."""

import math

import pytest
from tests.conformance.jobs.support_clock import Ahead
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

from mainspring.base import use_clock
from mainspring.errors import LeaseLostError, StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import RunFilter


async def test_epochs_grow_and_are_never_used_again(stores: StoreFactory) -> None:
    async with stores() as store:
        first = await store.open_node("a")
        await store.close_node(first)
        second = await store.open_node("a")
        async with stores() as other:
            third = await other.open_node("b")
        assert first < second < third


async def test_a_lease_is_known_to_hold_from_when_its_renewal_was_sent(stores: StoreFactory) -> None:
    """So a node can stop before its end, though nobody answers it any more."""
    clock = Ahead()
    with use_clock(clock):
        async with stores(lease=1000.0) as store:
            assert store.lease_end(1) == -math.inf
            epoch = await store.open_node("a")
            began = clock.monotonic()
            assert began + 890 < store.lease_end(epoch) <= began + 1000
            clock.ahead = 500.0
            assert store.lease_end(epoch) <= began + 1000
            assert (await store.heartbeat(epoch)).alive
            assert began + 1390 < store.lease_end(epoch) <= clock.monotonic() + 1000
            await store.close_node(epoch)
            assert not (await store.heartbeat(epoch)).alive
            assert store.lease_end(epoch) == -math.inf


async def test_runs_of_a_node_that_is_gone_are_rescued_at_once(stores: StoreFactory) -> None:
    """No lease is waited for: the first look of another node finds them."""
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        async with stores() as other:
            dead = await other.open_node("b")
            record = await claim_one(other, dead)
            assert await store.rescue() == []
        (freed,) = await store.rescue()
        assert (freed.run_id, freed.state, freed.rescues) == (record.run_id, RunState.AVAILABLE, 1)
        assert (freed.attempt, freed.epoch) == (0, None)
        with pytest.raises(StaleFenceError):
            await store.finish(ending(record))
        again = await claim_one(store, epoch)
        assert (again.attempt, again.rescues) == (1, 1)
        assert again.fence > record.fence


async def test_a_node_that_dies_three_times_fails_its_run(stores: StoreFactory) -> None:
    async with stores() as store:
        await enqueue(store, interval_run(store, 0))
        states: list[RunState] = []
        for _ in range(3):
            async with stores() as other:
                await claim_one(other, await other.open_node("b"))
            (freed,) = await store.rescue()
            states.append(freed.state)
        assert states == [RunState.AVAILABLE, RunState.AVAILABLE, RunState.FAILED]
        (record,) = await store.runs(RunFilter())
        assert record.error_message == "its node died 3 times"
        assert [r.state for r in await store.done("job", 0, HOUR)] == ["failed"]


async def test_a_rescue_gives_slots_back_and_keeps_cancels(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first = new_run(store, limits=(("k", 1),))
        await enqueue(store, first)
        await enqueue(store, new_run(store, limits=(("k", 1),)))
        async with stores() as other:
            taken = await claim(other, await other.open_node("b"))
            assert [r.run_id for r in taken.runs] == [first.run_id]
            await store.cancel(first.run_id)
        (freed,) = await store.rescue()
        assert freed.state is RunState.CANCELLED
        assert len((await claim(store, epoch)).runs) == 1


async def test_a_lease_that_runs_out_kills_the_epoch_for_ever(stores: StoreFactory) -> None:
    clock = Ahead()
    with use_clock(clock):
        async with stores() as store, stores(lease=5.0) as other:
            epoch = await other.open_node("b")
            await enqueue(store, new_run(store))
            record = await claim_one(other, epoch)
            clock.ahead = 4.0
            assert (await other.heartbeat(epoch)).alive
            clock.ahead = 8.0
            assert await store.rescue() == []
            clock.ahead = 10.0
            assert len(await store.rescue()) == 1
            assert not (await other.heartbeat(epoch)).alive
            with pytest.raises(StaleFenceError):
                await other.finish(ending(record))
            with pytest.raises(LeaseLostError):
                await claim(other, epoch)


async def test_heartbeats_carry_the_version(stores: StoreFactory) -> None:
    async with stores() as store, stores() as other:
        epoch = await other.open_node("b")
        first = await other.heartbeat(epoch)
        await store.register([])
        assert (await other.heartbeat(epoch)).version == first.version
        assert first.now <= store.now()
