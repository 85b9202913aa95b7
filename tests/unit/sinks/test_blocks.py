"""Rows of one batch: each counts as if it were alone, however its neighbours' columns are called."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sinks.support_tables import Database, call_of, run_of

from mainspring.errors import InvalidItemError, TableSchemaError
from mainspring.sinks import SinkSet, SqlTable, TransactionalBatch

_CELLS = st.one_of(st.none(), st.integers(0, 9))
_NAMES = st.sampled_from("AB")
_ROWS = st.lists(
    st.fixed_dictionaries({"name": _NAMES}, optional={"x": _CELLS, "y": _CELLS})
    | st.fixed_dictionaries({"Name": _NAMES}, optional={"X": _CELLS}),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


def write(table: SqlTable, database: Database, *rows: object) -> None:
    run = run_of() if table.replaces else call_of()
    table.write(database, TransactionalBatch(run, [table.shape(row, None, run) for row in rows], first=True))


def rows_of(database: Database, sql: str = "SELECT name, x, y FROM t ORDER BY rowid") -> list[tuple[object, ...]]:
    return database.execute(sql)


def in_batches(create: str, table: SqlTable, *batches: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    database = Database()
    with closing(database.connection):
        database.execute(create)
        for batch in batches:
            write(table, database, *batch)
        return rows_of(database)


@given(
    rows=_ROWS, default=st.sampled_from(["", "DEFAULT 7"]), create=st.booleans(), key=st.sampled_from([(), ("NAME",)])
)
def test_a_row_counts_the_same_alone_and_among_others(
    rows: list[dict[str, Any]], default: str, create: bool, key: tuple[str, ...]
) -> None:
    table = SqlTable("t", key=key, create=create)
    made = f"CREATE TABLE t(name TEXT, x INTEGER {default}, y INTEGER{', UNIQUE(name)' if key else ''})"
    together = in_batches(made, table, rows)
    assert together == in_batches(made, table, *([row] for row in rows))
    assert len(together) == len({row.get("name", row.get("Name")) for row in rows} if key else rows)


def test_a_row_replaces_all_of_the_older_one_whatever_shares_its_batch(database: Database) -> None:
    table = SqlTable("t", key=("name",))
    write(table, database, {"name": "A", "x": 1, "y": "note"}, {"name": "B", "x": 1, "y": "note"})
    write(table, database, {"name": "A", "x": 2})
    write(table, database, {"name": "B", "x": 2}, {"name": "C", "x": 3, "y": "z"})
    assert [("A", 2, None), ("B", 2, None), ("C", 3, "z")] == rows_of(database)
    write(table, database, {"name": "C"})
    assert ("C", None, None) == rows_of(database)[2]


def test_a_row_for_somebody_elses_table_changes_the_columns_that_it_has(database: Database) -> None:
    database.execute("CREATE TABLE t(name TEXT PRIMARY KEY, x INTEGER DEFAULT 7, y TEXT)")
    table = SqlTable("t", key=("name",), create=False)
    write(table, database, {"name": "A", "x": 1, "y": "note"}, {"name": "B", "y": "note"})
    write(table, database, {"name": "B", "x": 2}, {"name": "A", "y": None}, {"name": "C", "y": "z"})
    assert [("A", 1, None), ("B", 2, "note"), ("C", 7, "z")] == rows_of(database)
    write(table, database, {"name": "C"})
    assert ("C", 7, "z") == rows_of(database)[2]


def test_a_primary_key_that_the_row_does_not_say_stays(database: Database) -> None:
    database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, x INTEGER DEFAULT 7, y TEXT)")
    table = SqlTable("t", key=("name",))
    write(table, database, {"name": "A", "x": 1, "y": "note"}, {"name": "B", "x": 2})
    write(table, database, {"name": "A"})
    assert [(1, "A", 7, None), (2, "B", 2, None)] == rows_of(database, "SELECT * FROM t")


def test_columns_are_compared_without_case(database: Database) -> None:
    database.execute("CREATE TABLE t(ID INTEGER PRIMARY KEY, Name TEXT)")
    table = SqlTable("t", key=("Id",))
    write(table, database, {"id": 1, "name": "a"})
    write(table, database, {"ID": 1, "NAME": "b", "New": 1}, {"iD": 2, "new": 2, "naME": "c"})
    write(SqlTable("t", key=("id",), create=False), database, {"Id": 2, "NEW": 3})
    assert [(1, "b", 1), (2, "c", 3)] == rows_of(database, "SELECT * FROM t")


@pytest.mark.parametrize("neighbours", [[], [{"other": 1}]])
def test_columns_of_one_row_that_differ_in_case_only_are_refused(
    database: Database, neighbours: list[dict[str, int]]
) -> None:
    with pytest.raises(InvalidItemError, match="'Name' and 'name' differ in case only"):
        write(SqlTable("t"), database, *neighbours, {"Name": 1, "name": 2})


def test_a_column_of_ours_is_not_taken_in_another_case(database: Database) -> None:
    with pytest.raises(TableSchemaError, match="cannot have a column '_Job'"):
        write(SqlTable("t", replace="interval"), database, {"_Job": 1})
    with pytest.raises(TableSchemaError, match="cannot have a column '\N{KELVIN SIGN}'"):  # in lower case it is a k
        write(SqlTable("t"), database, {"k": 1}, {"\N{KELVIN SIGN}": 2})


@pytest.mark.parametrize("column", [1, None, b"a", ("a",)])
async def test_a_column_without_a_name_is_refused(database: Database, column: object) -> None:
    expected = re.escape(f"columns have names, and {column!r} is a {type(column).__name__}")
    for rows in ([{column: 1}], [{"a": 1}, {column: 1}]):
        with pytest.raises(InvalidItemError, match=expected):
            write(SqlTable("t"), database, *rows)
    sinks = SinkSet()
    await sinks.open(database)
    with pytest.raises(InvalidItemError, match=expected):
        await sinks.session(call_of(), default=SqlTable("t")).emit({column: 1})


def test_rows_without_columns_are_rows_of_nulls_where_there_is_a_table(database: Database) -> None:
    with pytest.raises(TableSchemaError, match="cannot be made: its first rows have no columns") as refused:
        write(SqlTable("t"), database, {})
    assert "name its columns" in str(refused.value.hint)
    write(SqlTable("t"), database, {}, {"a": 1})
    write(SqlTable("t"), database, {}, {})
    write(SqlTable("u", replace="interval"), database, {})
    assert [(None,), (1,), (None,), (None,)] == rows_of(database, "SELECT a FROM t")
    assert [("load",)] == rows_of(database, "SELECT _job FROM u")


@pytest.mark.parametrize("declared", ["INTEGER", "REAL"])
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64 - 1, 2**64, 2**2000])
async def test_a_whole_number_of_more_than_64_bits_is_refused_with_its_column(
    database: Database, value: int, declared: str
) -> None:
    async def emit(number: int) -> None:
        session = sinks.session(call_of(), default=SqlTable("t"))
        await session.emit({"name": "A", "size": number})
        for write in await session.finish():
            write.apply(database)

    database.execute(f"CREATE TABLE t(name TEXT, size {declared})")
    sinks = SinkSet()
    await sinks.open(database)
    for number in (2**62, -(2**63)):
        await emit(number)
    with pytest.raises(InvalidItemError, match=r"column 'size' has .*more than the 64 bits") as refused:
        await emit(value)
    assert "as a text" in str(refused.value.hint)
    assert [(2**62,), (-(2**63),)] == database.execute("SELECT size FROM t")


class Vast(Database):
    """A database to which every row is too large."""

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        raise OverflowError("BLOB longer than INT_MAX bytes")


def test_what_else_is_too_large_for_the_driver_is_said_in_its_own_words() -> None:
    vast = Vast()
    with closing(vast.connection), pytest.raises(OverflowError, match="longer than INT_MAX"):
        write(SqlTable("t"), vast, {"text": "x", "n": 1})


class Level(IntEnum):
    LOW = 1


async def test_the_type_of_a_column_is_that_of_what_is_written(database: Database) -> None:
    write(SqlTable("t"), database, {"level": Level.LOW, "ratio": float("nan")}, {"level": 2, "ratio": "none"})
    write(SqlTable("t"), database, {"level": 3, "ratio": None})
    assert [(1, None), (2, "none"), (3, None)] == rows_of(database, "SELECT level, ratio FROM t")
    types = rows_of(database, "SELECT type FROM pragma_table_info('t')")
    assert [("INTEGER",), ("TEXT",)] == types
