"""Leases by name: one living node has each, under a fence that grows."""

import pytest
from tests.conformance.jobs.support_stores import StoreFactory, claim_one, enqueue, new_run

from mainspring.errors import LeaseLostError
from mainspring.jobs.stores import JobStore, LeaseRow, TakeLease


async def take(store: JobStore, epoch: int, holder: str, lease: str = "one") -> LeaseRow:
    return await store.take_lease(TakeLease(lease=lease, holder=holder, epoch=epoch))


async def test_one_has_a_lease_until_it_is_given_back(stores: StoreFactory) -> None:
    async with stores() as store, stores() as other:
        first, second = await store.open_node("host:1"), await other.open_node("host:2")
        mine = await take(store, first, "a")
        assert ("one", "a", first, "host:1") == (mine.lease, mine.holder, mine.epoch, mine.node)
        assert mine == await take(store, first, "a"), "a call that is sent again gets the same answer"
        assert mine == await take(other, second, "b")
        assert mine == await take(store, first, "c"), "nor has another task of the same node"
        assert "b" == (await take(other, second, "b", "two")).holder
        assert ["one", "two"] == [row.lease for row in await other.leases()]
        await other.drop_lease("one", "b")
        assert mine == await take(other, second, "b")
        await store.drop_lease("one", "a")
        later = await take(other, second, "b")
        assert ("b", True) == (later.holder, later.fence > mine.fence)
        await enqueue(store, new_run(store))
        assert later.fence < (await claim_one(store, first)).fence, "and than that of every claim before"


async def test_a_lease_ends_with_its_node(stores: StoreFactory) -> None:
    async with stores() as survivor:
        epoch = await survivor.open_node("survivor")
        async with stores() as store:
            closed, killed = await store.open_node("closed"), await store.open_node("killed")
            await take(store, closed, "a")
            await take(store, killed, "b", "two")
            await store.close_node(closed)
            assert "c" == (await take(survivor, epoch, "c")).holder
            assert "b" == (await take(survivor, epoch, "c", "two")).holder
        await survivor.rescue()
        assert ["one"] == [row.lease for row in await survivor.leases()]
        assert "c" == (await take(survivor, epoch, "c", "two")).holder
        with pytest.raises(LeaseLostError):
            await take(survivor, closed, "late", "three")
