"""What a column does not keep as it is, is refused; see tests/property/test_sqlite_columns.py for all the rest."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.unit.sinks.support_tables import Database, call_of

from mainspring.errors import InvalidItemError
from mainspring.jobs import JobApp
from mainspring.sinks import SqlTable, TransactionalBatch


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


def write(database: Database, *values: object, table: str = "t") -> None:
    batch = TransactionalBatch(call_of(), [{"Value": value} for value in values], first=True)
    SqlTable(table).write(database, batch)


@pytest.mark.parametrize(
    ("first", "later", "declared"),
    [
        (12, "0012", "INTEGER"),
        (12, "1e3", "INTEGER"),
        (1.5, 2**60 + 1, "REAL"),
        (1.5, 2**53 + 1, "REAL"),
        (1.5, 2**63 - 1, "REAL"),
        (1.5, " 7 ", "REAL"),
        ("x", 7, "TEXT"),
        ("x", 0.5, "TEXT"),
        ("x", True, "TEXT"),
    ],
)
def test_a_value_that_the_column_would_change_is_refused(
    database: Database, first: object, later: object, declared: str
) -> None:
    write(database, first)
    with pytest.raises(InvalidItemError, match="silently change") as refused:
        write(database, first, later)
    assert f"column 'Value' of table 't' has the type {declared}" in str(refused.value)
    assert repr(later) in str(refused.value)
    assert "make the table yourself" in str(refused.value.hint)
    assert [(first,)] == database.execute("SELECT value FROM t")


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (12, [0.5, True, None, "twelve", "0x12", b"12", 2.0]),
        (1.5, [2**53, -(2**60), False, None, "one", b"1"]),
        ("x", ["12", None, b"12"]),
        (b"x", ["12", 12, 0.5]),
        (None, ["12", 12, 0.5]),
    ],
)
def test_what_the_column_keeps_is_taken(database: Database, first: object, later: list[object]) -> None:
    write(database, first)
    write(database, *later)
    assert [first, *later] == [value for [value] in database.execute("SELECT value FROM t")]


def test_what_is_no_number_is_null(database: Database) -> None:
    for table, first in (("a", "x"), ("b", 1), ("c", 1.5)):
        write(database, first, float("nan"), table=table)
        assert [(first,), (None,)] == database.execute(f"SELECT value FROM {table}")


def test_a_table_without_types_takes_mixed_values(database: Database) -> None:
    database.execute("CREATE TABLE t(value)")
    values = [12, "0012", 1.5, 2**60 + 1, "x", 7, b"7"]
    write(database, *values)
    assert [(value,) for value in values] == database.execute("SELECT value FROM t")


async def test_a_run_whose_values_would_be_changed_fails_and_writes_nothing(tmp_path: Path) -> None:
    app = JobApp(store=tmp_path / "jobs.db")

    @app.job("load", sink=SqlTable("t"))
    async def load(config: dict[str, list[object]]) -> AsyncIterator[dict[str, object]]:
        for value in config["values"]:
            yield {"v": value}

    assert (await app.run_job(load, {"values": [12]})).ok
    outcome = await app.run_job(load, {"values": [13, "0014"]})
    await app.close()
    assert not outcome.ok
    assert "column 'v' of table 't' has the type INTEGER" in str(outcome.error)
    connection = sqlite3.connect(tmp_path / "jobs.db")
    assert [(12,)] == connection.execute("SELECT v FROM t").fetchall()
    connection.close()
