"""Configs: versions that are only added to, and the one that a run keeps."""

from dataclasses import replace

from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    backfill_of,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    registration,
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import BackfillStep, ConfigRow, JobStore, RunKind


def config(version: int, job: str = "job", /, *, since: int = 0) -> ConfigRow:
    return ConfigRow(
        job_id=job, version=version, value=b'{"page": %d}' % version, effective_from=since, created_at=1, comment="why"
    )


async def version_of(store: JobStore, run_id: str) -> int | None:
    record = await store.run(run_id)
    assert record is not None
    return record.config_version


async def test_versions_are_added_once_and_listed_newest_first(stores: StoreFactory) -> None:
    async with stores() as store:
        rows = [config(1), config(2), replace(config(3), rollback_of=1)]
        for row in rows:
            assert await store.put_config(row) == row
            assert await store.put_config(row) == row  # sent again
        assert await store.put_config(config(2, since=5)) == rows[1]  # the number is taken
        await store.put_config(config(1, "other"))
        assert await store.configs("job") == rows[::-1]
        assert await store.configs("job", limit=2) == rows[:0:-1]
        assert await store.configs("job", before=2) == rows[:1]
        assert await store.configs("nobody") == []
        async with stores() as again:
            assert await again.configs("job") == rows[::-1]


async def test_every_change_is_told_to_the_nodes(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        before = (await store.heartbeat(epoch)).version
        await store.put_config(config(1))
        after = (await store.heartbeat(epoch)).version
        assert after > before
        await store.put_config(config(1))
        assert (await store.heartbeat(epoch)).version == after


async def test_a_run_takes_the_highest_number_that_is_effective(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        now = store.now()
        for row in (config(1, since=now - HOUR), config(2), config(3, since=now + HOUR), config(1, "other")):
            await store.put_config(row)
        await enqueue(store, new_run(store))
        assert (await claim_one(store, epoch)).config_version == 2
        hot = await enqueue(store, new_run(store), claim_epoch=epoch)
        assert hot.claimed is not None
        assert hot.claimed.config_version == await version_of(store, hot.run_id) == 2
        assert (await store.finish(ending(hot.claimed))).config_version == await version_of(store, hot.run_id) == 2


async def test_a_run_keeps_the_version_of_its_first_start(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        without = await enqueue(store, new_run(store))
        none = await claim_one(store, epoch)
        assert none.config_version is None
        await store.put_config(config(1))
        await enqueue(store, new_run(store))
        first = await claim_one(store, epoch)
        await store.put_config(config(2))
        for record, version in ((none, None), (first, 1)):
            await store.finish(ending(record, RunState.RETRYING, available_at=0))
            again = await claim_one(store, epoch)
            assert (again.run_id, again.attempt, again.config_version) == (record.run_id, 2, version)
            assert await version_of(store, record.run_id) == version
        assert await version_of(store, without.run_id) is None


async def test_a_run_may_be_given_its_version(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for number in (1, 2):
            await store.put_config(config(number))
        for version in (1, 0):
            await enqueue(store, new_run(store, config_version=version))
            assert (await claim_one(store, epoch)).config_version == version
            hot = await enqueue(store, new_run(store, config_version=version), claim_epoch=epoch)
            assert hot.claimed is not None
            assert hot.claimed.config_version == version


async def test_a_run_may_want_the_version_of_another_instant(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for row in (config(1, since=HOUR), config(2, since=2 * HOUR)):
            await store.put_config(row)
        for as_of, version in ((0, None), (HOUR, 1), (2 * HOUR, 2), (None, 2)):
            await enqueue(store, new_run(store, config_as_of=as_of))
            assert (await claim_one(store, epoch)).config_version == version
            hot = await enqueue(store, new_run(store, config_as_of=as_of), claim_epoch=epoch)
            assert hot.claimed is not None
            assert hot.claimed.config_version == version


async def test_a_fire_that_takes_over_a_backfills_run_gives_it_todays_version(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for row in (config(1, since=0), config(2, since=2 * HOUR)):
            await store.put_config(row)
        backfill = backfill_of(config_at="interval")
        await store.create_backfill(backfill)
        assert await store.backfill(backfill.backfill_id) == backfill
        runs = tuple(
            interval_run(store, hour * HOUR, kind=RunKind.BACKFILL, backfill_id=backfill.backfill_id, config_as_of=0)
            for hour in (0, 1)
        )
        step = BackfillStep(backfill_id=backfill.backfill_id, cursor_from=0, cursor_to=2 * HOUR, runs=runs)
        await store.step_backfill(step)
        await enqueue(store, interval_run(store, HOUR))
        versions = [(await claim_one(store, epoch)).config_version for _ in runs]
        assert sorted(version or 0 for version in versions) == [1, 2]


async def test_a_renamed_job_keeps_its_configs(stores: StoreFactory) -> None:
    async with stores() as store:
        await store.register([registration("old")])
        await store.put_config(config(1, "old"))
        await store.register([registration("new", was=("old",))])
        assert await store.configs("new") == [config(1, "new")]
        assert await store.configs("old") == []
