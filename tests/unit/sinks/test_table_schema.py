"""A table that is there already: what it needs for a key is made, or what stands in the way is said."""

import sqlite3
from collections.abc import Iterator

import pytest
from tests.unit.sinks.support_tables import Database, call_of, run_of

from mainspring.errors import InvalidItemError, TableSchemaError
from mainspring.sinks import SqlTable, TransactionalBatch


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


def write(table: SqlTable, database: Database, *rows: object) -> None:
    run = run_of() if table.replaces else call_of()
    table.write(database, TransactionalBatch(run, rows, first=True))


@pytest.mark.parametrize("before", [SqlTable("t"), SqlTable("t", replace="interval")])
def test_a_table_of_rows_without_a_key_gets_one(database: Database, before: SqlTable) -> None:
    write(before, database, {"id": 1, "n": 1}, {"id": 2, "n": 1})
    for n in (2, 3):
        write(SqlTable("t", key=("ID",)), database, {"id": 2, "n": n})
    assert [(1, 1), (2, 3)] == database.execute("SELECT id, n FROM t ORDER BY id")


def test_a_row_that_got_a_key_is_no_intervals_any_more(database: Database) -> None:
    interval = SqlTable("t", replace="interval")
    write(interval, database, {"id": 1, "n": 1}, {"id": 2, "n": 1})
    write(SqlTable("t", key=("id",)), database, {"id": 2, "n": 2})
    write(interval, database, {"id": 3, "n": 3})
    assert [(2, 2), (3, 3)] == database.execute("SELECT id, n FROM t ORDER BY id")


@pytest.mark.parametrize(("before", "now"), [(("id",), ("id", "b")), (("id", "b"), ("id",))])
def test_another_key_says_which_index_is_to_go(
    database: Database, before: tuple[str, ...], now: tuple[str, ...]
) -> None:
    write(SqlTable("t", key=before), database, {"id": 1, "b": 1})
    table = SqlTable("T", key=now)
    with pytest.raises(TableSchemaError, match="index T_key of other columns than") as refused:
        write(table, database, {"id": 1, "b": 2})
    assert ", ".join(now) in str(refused.value)
    hint = str(refused.value.hint)
    assert hint.startswith('DROP INDEX "T_key"')
    database.execute(hint.partition(",")[0])
    write(table, database, {"id": 1, "b": 2})
    assert len(now) == len(database.execute("SELECT * FROM t"))


@pytest.mark.parametrize("key", [("id",), ("id", "b")])
def test_rows_with_the_same_key_are_shown(database: Database, key: tuple[str, ...]) -> None:
    rows = [
        {"id": None, "b": "x"},
        {"id": None, "b": "x"},
        {"id": 1, "b": "x"},
        {"id": 1, "b": "x"},
        {"id": 1, "b": "x"},
    ]
    write(SqlTable("t"), database, *rows)
    alike = ", ".join({"id": "id=1", "b": "b='x'"}[name] for name in key)
    with pytest.raises(TableSchemaError, match=f"rows with the same key: 3 with {alike}; ") as refused:
        write(SqlTable("t", key=key), database, {"id": 2, "b": "x"})
    assert "delete the rows" in str(refused.value.hint)
    assert refused.value.__cause__ is None  # a stage takes such a cause for the fault of a row


def test_a_name_that_another_index_has_is_said(database: Database) -> None:
    write(SqlTable("u"), database, {"id": 1})
    database.execute("CREATE INDEX t_key ON u(id)")
    with pytest.raises(TableSchemaError, match=r"index t_key of \(id\), and that is the name of another index"):
        write(SqlTable("t", key=("id",)), database, {"id": 1})
    database.execute("CREATE TABLE v_key(id)")
    with pytest.raises(TableSchemaError, match="name of another table") as refused:
        write(SqlTable("v", key=("id",)), database, {"id": 1})
    assert "rename the table" in str(refused.value.hint)


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n)",
        "CREATE TABLE t(ID TEXT PRIMARY KEY, n) WITHOUT ROWID",
        "CREATE TABLE t(id UNIQUE, n)",
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_a_unique_index_of_somebody_elses_will_do(database: Database, made: str, create: bool) -> None:
    database.execute(made)
    key = "a" if "TEXT" in made else 1
    for n in (1, 2):
        write(SqlTable("t", key=("id",), create=create), database, {"id": key, "n": n})
    assert [(key, 2)] == database.execute("SELECT id, n FROM t")
    assert [] == database.execute("SELECT name FROM sqlite_master WHERE name = 't_key'")


@pytest.mark.parametrize(
    "index",
    ["CREATE INDEX i ON t(id)", "CREATE UNIQUE INDEX i ON t(id) WHERE n > 0", "CREATE UNIQUE INDEX i ON t(abs(id))"],
)
def test_an_index_that_does_not_keep_keys_apart_will_not_do(database: Database, index: str) -> None:
    database.execute("CREATE TABLE t(id, n)")
    database.execute(index)
    with pytest.raises(TableSchemaError, match=r"has no unique index of \(id\)") as refused:
        write(SqlTable("t", key=("id",), create=False), database, {"id": 1, "n": 1})
    assert 'CREATE UNIQUE INDEX "t_key" ON "t" ("id")' in str(refused.value.hint)
    write(SqlTable("t", key=("id",)), database, {"id": 1, "n": 1}, {"id": 1, "n": 2})
    assert [(1, 2)] == database.execute("SELECT * FROM t")


@pytest.mark.parametrize("table", [SqlTable("t"), SqlTable("t", replace="interval"), SqlTable("t", key=("b",))])
def test_a_row_that_meets_another_beside_its_key_is_refused(database: Database, table: SqlTable) -> None:
    database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT)")
    write(table, database, {"id": 1, "b": "x"})
    database.execute("UPDATE t SET b = 'y'")
    with pytest.raises(TableSchemaError, match=r"where rows must differ: UNIQUE constraint failed: t\.id") as refused:
        table.write(database, TransactionalBatch(run_of(), [{"id": 1, "b": "x"}], first=False))
    assert "t_key" in str(refused.value.hint)


def test_what_else_a_table_demands_is_its_own_affair(database: Database) -> None:
    database.execute("CREATE TABLE t(n INTEGER NOT NULL)")
    with pytest.raises(sqlite3.IntegrityError, match=r"NOT NULL constraint failed: t\.n"):
        write(SqlTable("t"), database, {"n": None})


def test_any_means_any_type_in_a_strict_table_only(database: Database) -> None:
    if sqlite3.sqlite_version_info >= (3, 37):
        database.execute("CREATE TABLE strict(v ANY) STRICT")
        write(SqlTable("strict"), database, {"v": "0012"}, {"v": 12})
        assert [("0012",), (12,)] == database.execute("SELECT v FROM strict")
    database.execute("CREATE TABLE loose(v ANY)")
    with pytest.raises(InvalidItemError, match="has the type ANY"):
        write(SqlTable("loose"), database, {"v": "0012"})


def test_a_table_that_is_taken_over_by_intervals_keeps_rows_of_nobody(database: Database) -> None:
    write(SqlTable("t"), database, {"n": 1})
    for n in (2, 3):
        write(SqlTable("t", replace="interval"), database, {"n": n})
    assert [(1, None), (3, "load")] == database.execute("SELECT n, _job FROM t ORDER BY n")
