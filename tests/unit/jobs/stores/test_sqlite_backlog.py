"""How the runs of a long backlog in SQLite come under new limits: in parts, and only when there is something to do."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import HOUR, enqueue, interval_run, registration, sqlite_factory

from mainspring.jobs.stores import JobRegistration
from mainspring.jobs.stores import _sqlite_backlog as backlog
from mainspring.jobs.stores._sqlite_catalog import register, renew

OLD, NEW = (("job:job", 1),), (("job:job", 4),)
RUNS = 7


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """Return a store with a job under `OLD` and its runs, which nobody has open."""
    async with sqlite_factory(tmp_path)() as store:
        await store.register([registration(limits=OLD)])
        for hour in range(RUNS):
            await enqueue(store, interval_run(store, hour * HOUR, limits=OLD))
    return tmp_path / "jobs.db"


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        yield opened


def numbers(connection: sqlite3.Connection) -> list[int]:
    """Return the limits of the runs, the oldest first."""
    rows = connection.execute("SELECT json_extract(limits, '$[0][1]') FROM run ORDER BY interval_start")
    return [number for (number,) in rows]


def said(**changes: object) -> list[JobRegistration]:
    return [registration(limits=NEW, **changes)]


def test_a_part_is_bounded_and_the_next_one_goes_on_where_it_came_to(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "RENEWED_AT_ONCE", 3)
    _, is_behind = register(connection, said(), 0)
    renewed = [numbers(connection).count(4)]
    while is_behind:
        is_behind = renew(connection, 0)
        renewed.append(numbers(connection).count(4))
    assert [3, 6, 7] == renewed
    before = connection.total_changes
    assert not renew(connection, 0)
    assert before == connection.total_changes


def test_parts_end_where_the_runs_do(connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "RENEWED_AT_ONCE", RUNS)
    assert register(connection, said(), 0)[1]
    assert not renew(connection, 0)
    assert [4] * RUNS == numbers(connection)


async def test_a_store_does_all_parts_and_goes_on_where_another_one_died(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "RENEWED_AT_ONCE", 2)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        assert register(connection, said(), 0)[1]
        assert [4, 4] == [number for number in numbers(connection) if number == 4]
        async with sqlite_factory(tmp_path)() as store:
            await enqueue(store, interval_run(store, RUNS * HOUR, limits=OLD))
            assert [1, 4] == numbers(connection)[-2:], "what is new has them already"
            await store.register(said())
        assert [4] * (RUNS + 1) == numbers(connection)


def test_other_numbers_in_the_middle_hold_for_all(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "RENEWED_AT_ONCE", 4)
    assert register(connection, said(), 0)[1]
    assert register(connection, [registration(limits=OLD)], 0)[1]
    assert not renew(connection, 0)
    assert [1] * RUNS == numbers(connection)


def test_a_start_without_a_change_reads_no_runs_and_writes_nothing(connection: sqlite3.Connection) -> None:
    steps = Counter[str]()

    def register_again() -> int:
        """Return how many instructions of the database that took."""
        steps.clear()
        connection.set_progress_handler(lambda: steps.update(["one"]), 1)
        register(connection, said(priority=2), 0)
        connection.set_progress_handler(None, 0)
        return steps.total()

    assert not register(connection, said(priority=2), 0)[1]
    before = connection.total_changes
    taken = register_again()
    assert before == connection.total_changes
    connection.execute("DELETE FROM run")
    assert taken == register_again() > 0, "as many as without any run"
