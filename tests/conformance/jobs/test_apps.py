"""A store belongs to one app: the one that opens it first."""

import asyncio

import pytest
from tests.conformance.jobs.support_stores import StoreFactory, registration

from mainspring.errors import StoreTakenError
from mainspring.jobs.stores import AppName

FLIGHTS, SALES = AppName("flights"), AppName("sales")


async def test_a_store_belongs_to_the_app_that_opens_it_first(stores: StoreFactory) -> None:
    async with stores() as nobodys:
        assert await nobodys.owner_label() is None
    async with stores(app=FLIGHTS) as store:
        assert "flights" == await store.owner_label()
        jobs = await store.register([registration("load")])
        with pytest.raises(StoreTakenError) as refused:
            async with stores(app=SALES):
                pass
        assert ("flights", "sales", store.location) == (refused.value.owner, refused.value.app, refused.value.store)
        assert "flights" == await store.owner_label()
        assert list(jobs) == list(await store.jobs())


async def test_what_an_app_opened_is_its_own_when_it_is_closed(stores: StoreFactory) -> None:
    async with stores(app=FLIGHTS):
        pass
    with pytest.raises(StoreTakenError):
        async with stores(app=SALES):
            pass
    async with stores(app=FLIGHTS) as first, stores(app=FLIGHTS) as second:
        assert ["flights"] * 2 == [await first.owner_label(), await second.owner_label()]


async def test_who_names_no_app_may_open_every_store_and_gives_it_to_none(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration("load")])
        assert await store.owner_label() is None
    async with stores(app=FLIGHTS):
        pass
    async with stores() as store:
        assert "flights" == await store.owner_label()
        assert ["load"] == [job.job_id for job in await store.jobs()]


async def test_an_app_that_was_renamed_takes_its_store_along(stores: StoreFactory) -> None:
    async with stores(app=FLIGHTS) as store:
        await store.register([registration("load")])
    with pytest.raises(StoreTakenError):
        async with stores(app=AppName("departures", was=("trains", "ferries"))):
            pass
    async with stores(app=AppName("departures", was=("trains", "flights"))) as store:
        assert "departures" == await store.owner_label()
        assert ["load"] == [job.job_id for job in await store.jobs()]
        async with stores(app=AppName("departures", was=("trains", "flights"))), stores(app=AppName("departures")):
            assert "departures" == await store.owner_label()
    with pytest.raises(StoreTakenError):
        async with stores(app=FLIGHTS):
            pass


async def test_labels_are_kept_as_they_are(stores: StoreFactory) -> None:
    odd = AppName("007 'né'", was=("7",))
    async with stores(app=odd) as store:
        assert odd.label == await store.owner_label()
    with pytest.raises(StoreTakenError):
        async with stores(app=AppName("7")):
            pass


async def test_of_two_apps_that_come_together_one_is_refused(stores: StoreFactory) -> None:
    async def come(app: AppName) -> str:
        try:
            async with stores(app=app) as store:
                return f"{app.label} in a store of {await store.owner_label()}"
        except StoreTakenError as refused:
            return f"{app.label} refused by {refused.owner}"

    said = await asyncio.gather(*(come(app) for app in (FLIGHTS, SALES)))
    assert sorted(said) in (
        ["flights in a store of flights", "sales refused by flights"],
        ["flights refused by sales", "sales in a store of sales"],
    )


async def test_nodes_of_one_app_that_come_together_are_all_let_in(stores: StoreFactory) -> None:
    async def come() -> str | None:
        async with stores(app=FLIGHTS) as store:
            return await store.owner_label()

    assert ["flights"] * 4 == await asyncio.gather(*(come() for _ in range(4)))


async def test_an_object_that_is_refused_to_an_app_goes_on_for_the_other(stores: StoreFactory) -> None:
    async with stores(app=FLIGHTS) as store:
        with pytest.raises(StoreTakenError):
            await store.open(app=SALES)
        await store.register([registration("load")])
        assert ["load"] == [job.job_id for job in await store.jobs()]


async def test_a_reader_tells_whose_the_store_is(stores: StoreFactory) -> None:
    async with stores(app=FLIGHTS) as store:
        reader = store.reader()
        await reader.open()
        try:
            assert "flights" == await reader.owner_label()
        finally:
            await reader.close()
