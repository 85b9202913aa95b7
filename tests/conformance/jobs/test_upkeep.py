"""Looking after a store: what contradicts itself is named, and a copy is a store."""

from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    registration,
)

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.stores import SqliteStore


async def test_a_store_with_work_in_it_contradicts_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        await enqueue(store, interval_run(store, 0, limits=(("k", 1),)))
        await enqueue(store, interval_run(store, HOUR, limits=(("k", 1),)))
        record = await claim_one(store, epoch)
        assert await store.check() == []
        assert await store.reader().check() == []
        await store.finish(ending(record))
        assert await store.check() == []


async def test_the_schema_of_an_open_store_is_ours(stores: StoreFactory) -> None:
    async with stores() as store:
        found, latest = await store.schema()
        assert found == latest


async def test_a_copy_is_a_store_of_that_moment(stores: StoreFactory, tmp_path: Path) -> None:
    async with stores() as store:
        run = new_run(store)
        await enqueue(store, run)
        target = tmp_path / "copies" / "copy.db"
        if store.kind == "memory":
            with pytest.raises(InvalidArgumentError, match="expected a file, to be copied"):
                await store.backup(target)
            return
        with pytest.raises(InvalidArgumentError, match="a file in a folder that exists"):
            await store.backup(target)
        target.parent.mkdir()
        assert await store.backup(target) == target.stat().st_size
        await enqueue(store, new_run(store))
        with pytest.raises(InvalidArgumentError, match="a file that does not exist yet"):
            await store.backup(target)
    copy = SqliteStore(target)
    await copy.open()
    epoch = await copy.open_node("a")
    assert (await claim_one(copy, epoch)).run_id == run.run_id
    assert await copy.job_counts() == [("job", "running", 1)]
    await copy.close()
