"""What contradicts itself in a file that somebody edited is named."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import (
    HOUR,
    backfill_of,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    registration,
    sqlite_factory,
)

from mainspring.errors import InvalidArgumentError, StoreCorruptError
from mainspring.jobs.stores import ConfigRow, SqliteStore, ran_in
from mainspring.jobs.stores._sqlite_reader import APPLICATION, migrations
from mainspring.jobs.stores._sqlite_rows import backfill_values
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_upkeep import file_version
from mainspring.storage import InlineRunner
from mainspring.storage._sqlite_migrate import migrate


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A store with a bit of everything, closed."""
    async with sqlite_factory(tmp_path)() as store:
        epoch = await store.open_node("a")
        await store.register([registration()])
        for hour in (0, 2):
            await enqueue(store, interval_run(store, hour * HOUR))
            await store.finish(ending(await claim_one(store, epoch)))
        await enqueue(store, new_run(store, limits=(("k", 1),)))
        await claim_one(store, epoch)
        await store.create_backfill(backfill_of(backfill_id="b"))
        await store.put_config(ConfigRow(job_id="job", version=1, value=b"{}", effective_from=0, created_at=0))
    return tmp_path / "jobs.db"


async def problems(file: Path) -> list[str]:
    return list(await SqliteStore(file).reader().check())


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            "UPDATE tally SET count = 7 WHERE state = 'live'",
            "job job has 1 runs that have not ended, and 7 are counted",
        ),
        (
            "UPDATE tally SET count = 7 WHERE state = 'succeeded'",
            "job job has 2 runs that ended as succeeded, and 7 are counted",
        ),
        ("DELETE FROM tally WHERE state <> 'live'", "job job has 2 runs that ended as succeeded, and 0 are counted"),
        ("UPDATE counter SET held = 3", "1 runs hold the limit k, and 3 are counted"),
        ("INSERT INTO counter VALUES ('other', 1)", "0 runs hold the limit other, and 1 are counted"),
        (
            f'UPDATE done SET "end" = {3 * HOUR} WHERE start = 0',
            "the done-set of job job has ranges that overlap or are empty at 1970-01-01T02:00:00Z",
        ),
        ("UPDATE backfill SET live_count = 2", "backfill b has 0 live runs, and 2 are counted"),
        ("UPDATE config SET value = '[]'", "version 1 of the config of job job is no JSON object"),
        ("UPDATE config SET value = 'x'", "version 1 of the config of job job is no JSON object"),
    ],
)
async def test_a_contradiction_is_named(file: Path, edit: str, said: str) -> None:
    assert await problems(file) == []
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(edit)
    assert await problems(file) == [said]


async def test_a_run_that_is_live_and_ended_is_named(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        (run_id,) = connection.execute("SELECT run_id FROM run").fetchone()
        connection.execute("UPDATE history SET run_id = ? WHERE interval_start = 0", (run_id,))
        connection.execute("UPDATE run SET fence = 0")
    assert await problems(file) == [
        f"run {run_id} is live and ended at the same time",
        f"run {run_id} is running, and nobody ever held it",
    ]


async def test_damage_of_the_file_is_named(file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'run_id)', 'state)') WHERE name = 'history_job'"
        )
    assert any("history_job" in one for one in await problems(file))
    nothing = tmp_path / "nothing.db"
    nothing.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreCorruptError):
        await problems(nothing)


async def test_versions_are_read_without_changing_anything(file: Path, tmp_path: Path) -> None:
    found, latest = await SqliteStore(file).schema()
    assert found == latest
    assert file_version(tmp_path / "missing.db") is None
    assert not (tmp_path / "missing.db").exists()


async def test_a_store_in_memory_is_checked_and_not_copied(tmp_path: Path) -> None:
    store = SqliteStore(":memory:", runner=InlineRunner())
    await store.open()
    assert await store.check() == []
    with pytest.raises(InvalidArgumentError, match="to be copied"):
        await store.backup(tmp_path / "copy.db")
    await store.close()


async def test_a_store_of_the_first_version_is_brought_up_to_date_with_all_it_has(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        migrate(connection, migrations()[:1], application=APPLICATION, store="old.db")
        connection.execute("INSERT INTO job VALUES ('job', '{}', 4, 5, 6, 0, 7)")
        connection.execute("INSERT INTO config VALUES ('job', 1, '{\"rows\": 1}', 2, 3, NULL)")
        connection.execute("COMMIT")
    store = SqliteStore(file)
    assert (await store.schema())[0] == 1
    await store.open()
    (row,) = await store.jobs()
    assert (row.job_id, row.schedule, row.version, row.override) == ("job", b"{}", 4, None)
    (config,) = await store.configs("job")
    assert (config.value, config.effective_from, config.comment) == (b'{"rows": 1}', 2, "")
    assert [(one.version, one.origin) for one in await store.schedules("job")] == [(4, "code")]
    assert await store.check() == []
    found, latest = await store.schema()
    assert found == latest
    await store.close()


async def test_what_ran_in_backfills_that_nothing_waits_for_goes_with_the_update(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    over, awaited = backfill_of(downstream=True), backfill_of(downstream=True)
    rows = [over, awaited, backfill_of("later", after=(awaited.backfill_id,))]
    names = [ran_in(over.backfill_id), ran_in(awaited.backfill_id), "backfill daily"]
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        migrate(connection, migrations()[:8], application=APPLICATION, store="old.db")
        connection.executemany(statements("catalog")["insert_backfill"], [backfill_values(row) for row in rows])
        connection.executemany("INSERT INTO done VALUES (?, 0, 1, 'succeeded')", [(name,) for name in names])
        connection.execute("COMMIT")
    store = SqliteStore(file)
    await store.open()
    assert [0, 1, 1] == [len(await store.done(name, 0, 1)) for name in names], "a job may have such a name"
    await store.close()
