"""A table that is there already: its declared types count."""

import sqlite3
from collections.abc import Iterator

import pytest
from tests.unit.sinks.support_tables import Database, call_of, run_of

from mainspring.errors import InvalidItemError
from mainspring.sinks import SqlTable, TransactionalBatch


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


def write(table: SqlTable, database: Database, *rows: object) -> None:
    run = run_of() if table.replaces else call_of()
    table.write(database, TransactionalBatch(run, rows, first=True))


def test_any_means_any_type_in_a_strict_table_only(database: Database) -> None:
    if sqlite3.sqlite_version_info >= (3, 37):
        database.execute("CREATE TABLE strict(v ANY) STRICT")
        write(SqlTable("strict"), database, {"v": "0012"}, {"v": 12})
        assert [("0012",), (12,)] == database.execute("SELECT v FROM strict")
    database.execute("CREATE TABLE loose(v ANY)")
    with pytest.raises(InvalidItemError, match="has the type ANY"):
        write(SqlTable("loose"), database, {"v": "0012"})
