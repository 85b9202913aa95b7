"""Schedules that are edited by hand in the SQLite file: triggers do what the store's own statements do."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import claim, enqueue, interval_run, registration, sqlite_factory

from mainspring.jobs.stores import JobStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[JobStore]:
    async with sqlite_factory(tmp_path)() as store:
        yield store


def edit(tmp_path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.db", timeout=10)) as connection, connection:
        connection.execute(statement, values)


async def test_a_pause_by_hand_holds_and_frees_runs_and_tells_the_nodes(store: JobStore, tmp_path: Path) -> None:
    epoch = await store.open_node("a")
    await store.register([registration()])
    await enqueue(store, interval_run(store, 0))
    for paused, claimed in ((1, 0), (0, 1)):
        before = (await store.heartbeat(epoch)).version
        edit(tmp_path, "UPDATE job SET paused = ?", paused)
        assert (await store.heartbeat(epoch)).version > before
        assert len((await claim(store, epoch)).runs) == claimed


async def test_a_schedule_by_hand_is_a_version_and_tells_the_nodes(store: JobStore, tmp_path: Path) -> None:
    epoch = await store.open_node("a")
    await store.register([registration()])
    before = (await store.heartbeat(epoch)).version
    edit(tmp_path, "UPDATE job SET override = ?", '{"every": 60}')
    (row,) = await store.jobs()
    assert (row.version, row.next_fire_at, row.override) == (2, None, b'{"every": 60}')
    assert (await store.heartbeat(epoch)).version > before
    edit(tmp_path, "UPDATE job SET override = override, schedule = '{}'")  # what is in force stays
    assert [(one.version, one.schedule, one.origin) for one in await store.schedules("job")] == [
        (2, b'{"every": 60}', "sql"),
        (1, b'{"every": 3600}', "code"),
    ]
