"""SqlTable: an interval's rows count exactly once, whatever is repeated, late or broken."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.unit.sinks.support_tables import START, Database, call_of, run_of

from mainspring.base import new_id
from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    InvalidItemError,
    SinkWriteError,
    StaleFenceError,
    TableSchemaError,
)
from mainspring.sinks import SinkRun, SinkSet, SqlTable, SqlTransaction, TransactionalBatch


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


async def _write(table: SqlTable, database: Database, run: SinkRun, *items: object) -> int:
    sinks = SinkSet()
    await sinks.open(database)
    session = sinks.session(run, default=table)
    for item in items:
        await session.emit(item)
    return sum(write.apply(database) for write in await session.finish())


async def test_a_second_run_of_an_interval_replaces_the_first(database: Database) -> None:
    table = SqlTable("flights", replace="interval")
    await _write(table, database, run_of(0), {"n": 1}, {"n": 2})
    await _write(table, database, run_of(1), {"n": 3})
    await _write(table, database, run_of(0, fence=2), {"n": 4})
    assert database.execute("SELECT n FROM flights ORDER BY n") == [(3,), (4,)]


async def test_a_run_without_rows_removes_what_its_interval_had(database: Database) -> None:
    table = SqlTable("flights", replace="interval")
    assert 0 == await _write(table, database, run_of(0))
    await _write(table, database, run_of(0), {"n": 1})
    await _write(table, database, run_of(1), {"n": 2})
    assert 0 == await _write(table, database, run_of(0, fence=2))
    assert database.execute("SELECT n FROM flights") == [(2,)]
    assert 0 == await _write(table, database, call_of())


@pytest.mark.parametrize(
    ("hour", "hours", "job_id"),
    [(3, 1, "load"), (1, 1, "load"), (5, 1, "load"), (0, 2, "load"), (5, 4, "load"), (3, 1, "load 2")],
)
async def test_a_part_of_a_longer_interval_is_refused(database: Database, hour: int, hours: int, job_id: str) -> None:
    """Its rows cannot be told from the others of the interval: none is doubled and none is lost."""
    table = SqlTable("flights", replace="interval")
    await _write(table, database, run_of(1, hours=5), *({"hour": hour} for hour in range(1, 6)))
    before = database.execute("SELECT * FROM flights")
    part = run_of(hour, hours=hours, fence=2, job_id=job_id, was=() if job_id == "load" else ("load",))
    for items in ([{"hour": hour}], []):
        with pytest.raises(SinkWriteError, match=r"2013-01-01T06:00:00.* to 2013-01-01T11:00:00.*only partly"):
            await _write(table, database, part, *items)
    assert before == database.execute("SELECT * FROM flights")


@pytest.mark.parametrize(("hour", "hours"), [(1, 5), (0, 8)])
async def test_a_longer_interval_is_replaced_as_a_whole(database: Database, hour: int, hours: int) -> None:
    table = SqlTable("flights", replace="interval")
    await _write(table, database, run_of(0), {"n": 0})
    await _write(table, database, run_of(6), {"n": 6})
    await _write(table, database, run_of(1, hours=5), {"n": 1}, {"n": 5})
    await _write(table, database, run_of(hour, hours=hours, fence=2), {"n": 9})
    expected = [(9,)] if hours == 8 else [(0,), (6,), (9,)]
    assert expected == database.execute("SELECT n FROM flights ORDER BY n")


async def test_a_table_of_before_the_ends_of_intervals_is_kept(database: Database) -> None:
    database.execute("CREATE TABLE t(n INTEGER, _job TEXT, _interval_start INTEGER)")
    own = SqlTable("t", replace="interval", create=False)
    for fence in (1, 2):
        await _write(own, database, run_of(0, fence=fence), {"n": fence})
    assert [(2,)] == database.execute("SELECT n FROM t")
    table = SqlTable("t", replace="interval")
    for fence in (3, 4):
        await _write(table, database, run_of(0, fence=fence), {"n": fence})
    await _write(own, database, run_of(1), {"n": 5})
    assert [(4,), (5,)] == database.execute("SELECT n FROM t WHERE _interval_end IS NOT NULL ORDER BY n")


async def test_jobs_replace_only_their_own_rows(database: Database) -> None:
    table = SqlTable("flights", replace="interval")
    await _write(table, database, run_of(0, job_id="a"), {"n": 1})
    await _write(table, database, run_of(0, job_id="b"), {"n": 2})
    assert database.execute("SELECT n FROM flights ORDER BY n") == [(1,), (2,)]


async def test_the_last_row_of_a_key_wins(database: Database) -> None:
    table = SqlTable("prices", key=("symbol",))
    await _write(table, database, call_of(), {"symbol": "A", "price": 1}, {"symbol": "B", "price": 2})
    await _write(table, database, call_of(), {"symbol": "A", "price": 3})
    assert database.execute("SELECT symbol, price FROM prices ORDER BY symbol") == [("A", 3), ("B", 2)]
    only_key = SqlTable("seen", key=("symbol",))
    await _write(only_key, database, call_of(), {"symbol": "A"}, {"symbol": "A"})
    assert database.execute("SELECT symbol FROM seen") == [("A",)]


async def test_later_rows_bring_columns_and_missing_ones_are_null(database: Database) -> None:
    table = SqlTable("flights")
    await _write(table, database, call_of(), {"a": 1})
    await _write(table, database, call_of(), {"b": "x"}, {"a": 2, "b": None})
    assert database.execute("SELECT a, b FROM flights") == [(1, None), (None, "x"), (2, None)]


async def test_rows_over_memorys_share_travel_through_the_stage(database: Database) -> None:
    table = SqlTable("flights", replace="interval")
    for fence in (1, 2):
        assert await _write(table, database, run_of(0, fence=fence), *({"n": n} for n in range(12_000))) == 12_000
    assert database.execute("SELECT count(DISTINCT n) FROM flights") == [(12_000,)]
    assert database.execute("SELECT count(*) FROM stage") == [(4,)]


class Side(Enum):
    BUY = "buy"


@dataclass
class Trade:
    side: Side
    price: Decimal


class Pair(NamedTuple):
    a: int
    b: int


async def test_values_become_what_sql_can_hold(database: Database) -> None:
    rows: list[object] = [
        Trade(Side.BUY, Decimal("1.50")),
        Pair(1, 2),
        {"at": START, "day": date(2013, 1, 1), "hour": time(5), "tags": ["x"], "flag": True, "raw": b"\x00"},
        {"at": START.replace(tzinfo=None), "name": type("Name", (str,), {})("n"), "flag": type("N", (int,), {})(3)},
        {
            "name": type("Mark", (str,), {})("m"),
            "side": Side.BUY,
            "price": Decimal("2.5"),
            "day": START,
            "hour": time(5),
        },
        {"name": type("Raw", (bytes,), {})(b"r"), "flag": type("Ratio", (float,), {})(0.5)},
    ]
    await _write(SqlTable("mixed"), database, call_of(), *rows)
    found = database.execute("SELECT side, price, a, at, day, hour, tags, flag, raw, name FROM mixed")
    assert found[0][:2] == ("buy", "1.50")
    assert found[1][2] == 1
    assert found[2][3:9] == ("2013-01-01T05:00:00+00:00", "2013-01-01", "05:00:00", '["x"]', 1, b"\x00")
    assert found[3][3::4] == ("2013-01-01T05:00:00", 3)
    assert [row[9] for row in found[3:]] == ["n", "m", b"r"]
    assert found[4][:2] + found[4][4:6] == ("buy", "2.5", "2013-01-01T05:00:00+00:00", "05:00:00")
    assert 0.5 == found[5][7]


async def test_a_column_whose_first_values_are_missing_keeps_later_ones_as_they_are(database: Database) -> None:
    table = SqlTable("prices", key=("symbol",))
    await _write(table, database, call_of(), {"symbol": "A", "price": None}, {"symbol": "B", "price": None})
    await _write(table, database, call_of(), {"symbol": "A", "price": 1.5}, {"symbol": "C", "price": 2})
    found = database.execute("SELECT symbol, price, typeof(price) FROM prices ORDER BY symbol")
    assert [("A", 1.5, "real"), ("B", None, "null"), ("C", 2, "integer")] == found


@pytest.mark.parametrize("item", [7, "text", Trade])
async def test_an_item_without_columns_is_refused_at_once(database: Database, item: object) -> None:
    with pytest.raises(InvalidItemError, match="no columns"):
        await _write(SqlTable("t"), database, call_of(), item)


async def test_a_value_without_sql_form_is_refused(database: Database) -> None:
    with pytest.raises(InvalidItemError, match="object has no SQL form"):
        await _write(SqlTable("t"), database, call_of(), {"a": object()})
    with pytest.raises(InvalidItemError):
        await _write(SqlTable("t"), database, call_of(), {"a": 2**70})


async def test_replacing_an_interval_needs_one(database: Database) -> None:
    with pytest.raises(InvalidItemError, match="needs a run with a data interval"):
        await _write(SqlTable("t", replace="interval"), database, call_of(), {"a": 1})


async def test_a_table_that_may_not_be_made_says_so(database: Database) -> None:
    table = SqlTable("t", create=False)
    with pytest.raises(TableSchemaError, match="does not exist"):
        await _write(table, database, call_of(), {"a": 1})
    await _write(SqlTable("t"), database, call_of(), {"a": 1})
    with pytest.raises(TableSchemaError, match="has no column 'b'"):
        await _write(table, database, call_of(), {"b": 1})


@pytest.mark.parametrize("column", ['x"; DROP TABLE t; --', "", "a b", "c" * 64])
async def test_a_column_name_that_is_not_plain_is_refused(database: Database, column: str) -> None:
    with pytest.raises(TableSchemaError, match="cannot have a column"):
        await _write(SqlTable("t"), database, call_of(), {column: 1})


async def test_columns_are_bounded(database: Database) -> None:
    with pytest.raises(TableSchemaError, match="more than 1000 columns"):
        await _write(SqlTable("t"), database, call_of(), {f"c{n}": n for n in range(1001)})


@pytest.mark.parametrize(
    "arguments",
    [
        {"table": "a b"},
        {"table": "t", "key": ("x y",)},
        {"table": "t", "replace": "day"},
        {"table": "t", "replace": "interval", "key": ("a",)},
        {"table": "t", "item_key": True, "key": ("a",)},
        {"table": "t", "key": "symbol"},
        {"table": "sqlite_rows"},
        {"table": "_mainspring_fence"},
        {"table": "stage", "database": "own.db"},
    ],
)
def test_arguments_are_checked_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        SqlTable(**arguments)


@pytest.mark.parametrize("table", ["run", "Job", "EVENT", "history"])
def test_the_job_stores_own_tables_are_not_taken(table: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not one of the job store's own tables"):
        SqlTable(table)
    assert SqlTable(table, database="own.db").table == table


async def test_a_name_that_an_index_has_is_refused(database: Database) -> None:
    database.execute("CREATE INDEX rows_of_runs ON stage(run_id)")
    with pytest.raises(TableSchemaError, match="its name is that of an index"):
        await _write(SqlTable("rows_of_runs"), database, call_of(), {"a": 1})


async def test_columns_of_ours_are_not_taken_by_rows(database: Database) -> None:
    for _ in range(2):
        with pytest.raises(TableSchemaError, match="cannot have a column '_job'"):
            await _write(SqlTable("t", replace="interval"), database, run_of(), {"_job": 1})
        await _write(SqlTable("t", replace="interval"), database, run_of(), {"a": 1})


async def test_a_table_that_was_there_before_gets_the_columns_it_lacks(database: Database) -> None:
    database.execute("CREATE TABLE t(n INTEGER)")
    database.execute("INSERT INTO t VALUES (1)")
    for fence in (1, 2):
        await _write(SqlTable("t", replace="interval"), database, run_of(fence=fence), {"n": 2})
    assert database.execute("SELECT n FROM t ORDER BY n") == [(1,), (2,)]
    database.execute("CREATE TABLE u(n INTEGER)")
    with pytest.raises(TableSchemaError, match="has no column '_job'"):
        await _write(SqlTable("u", replace="interval", create=False), database, run_of(), {"n": 2})


async def test_a_row_without_its_key_is_refused(database: Database) -> None:
    for row in ({"price": 1}, {"symbol": None}, {"symbol": float("nan")}):
        with pytest.raises(InvalidItemError, match="key column 'symbol' has no value"):
            await _write(SqlTable("t", key=("symbol",)), database, call_of(), row)
    with pytest.raises(InvalidItemError, match="emitted without key="):
        await _write(SqlTable("t", item_key=True), database, call_of(), {"a": 1})


async def test_an_item_key_counts_once_and_its_last_row_wins(database: Database) -> None:
    sinks, table = SinkSet(), SqlTable("trades", item_key=True)
    await sinks.open(database)
    for price in (1, 2):
        session = sinks.session(call_of(), default=table)
        for key in ("a", "b", "a"):
            await session.emit({"price": price}, key=key)
        for write in await session.finish():
            write.apply(database)
    assert database.execute("SELECT _key, price FROM trades ORDER BY _key") == [("a", 2), ("b", 2)]


async def test_a_repeated_deterministic_run_gives_its_items_the_same_keys(database: Database) -> None:
    sinks, table = SinkSet(), SqlTable("trades", item_key=True)
    await sinks.open(database)
    for run in (run_of(0), run_of(0, fence=2), run_of(1), call_of(), call_of()):
        session = sinks.session(run, default=table, deterministic=True)
        for n in range(3):
            await session.emit({"n": n})
        for write in await session.finish():
            write.apply(database)
    assert database.execute("SELECT count(*) FROM trades") == [(9,)]


async def test_a_renamed_job_names_its_items_as_before(database: Database) -> None:
    """By the oldest of its ids, through every rename."""
    sinks, table = SinkSet(), SqlTable("trades", item_key=True)
    await sinks.open(database)
    names = [("one",), ("two", "one"), ("three", "one", "two"), ("three", "one", "two")]
    for fence, (name, *was) in enumerate(names):
        session = sinks.session(run_of(0, job_id=name, was=tuple(was), fence=fence), default=table, deterministic=True)
        await session.emit({"n": fence})
        for write in await session.finish():
            write.apply(database)
    assert database.execute("SELECT n FROM trades") == [(3,)]


async def _emit_own(path: Path, run: SinkRun, count: int) -> None:
    sinks = SinkSet()
    table = SqlTable("flights", replace="interval", database=path)
    session = sinks.session(run, default=table)
    try:
        for n in range(count):
            await session.emit({"n": n})
        assert await session.finish() == ()
    finally:
        await sinks.close()


async def test_a_database_of_its_own_is_written_at_the_finish(tmp_path: Path) -> None:
    path = tmp_path / "own" / "flights.db"
    await _emit_own(path, run_of(0), 10_100)
    await _emit_own(path, run_of(0, fence=2), 2)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM flights").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM stage").fetchone() == (0,)
    connection.close()


async def test_a_commit_drops_what_earlier_attempts_staged_under_whatever_name(tmp_path: Path) -> None:
    path = tmp_path / "flights.db"
    await _emit_own(path, run_of(0), 1)
    with closing(sqlite3.connect(path)) as connection:
        staged = [("run", 1, "other name", 0, b""), ("run", 2, "other sink", 0, b""), ("another run", 1, "t", 0, b"")]
        connection.executemany("INSERT INTO stage VALUES (?, ?, ?, ?, ?)", staged)
        connection.commit()
        await _emit_own(path, run_of(1, fence=2, run_id="run"), 2)
        left = connection.execute("SELECT run_id, fence, sink FROM stage ORDER BY run_id").fetchall()
        assert [("another run", 1, "t"), ("run", 2, "other sink")] == left


async def test_a_database_of_its_own_of_before_the_ids_of_runs_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "flights.db"
    await _emit_own(path, run_of(0, fence=5), 1)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE _mainspring_fence DROP COLUMN run")
    with pytest.raises(StaleFenceError):
        await _emit_own(path, run_of(0, fence=4, run_id=new_id()), 2)
    await _emit_own(path, run_of(0, fence=6), 3)
    assert connection.execute("SELECT fence, run FROM _mainspring_fence").fetchall() == [(6, "run-0-6")]
    assert connection.execute("SELECT count(*) FROM flights").fetchone() == (3,)
    connection.close()


async def test_a_database_of_its_own_takes_runs_without_interval(tmp_path: Path) -> None:
    path, sinks = tmp_path / "prices.db", SinkSet()
    table = SqlTable("prices", key=("symbol",), database=path)
    for price in (1, 2):
        session = sinks.session(call_of(), default=table)
        await session.emit({"symbol": "A", "price": price})
        await session.finish()
    assert table.own is not None
    await table.own.open()
    await sinks.close()
    await table.own.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT symbol, price FROM prices").fetchall() == [("A", 2)]
    connection.close()


class Counts(SqlTable):
    """Reads as many rows as the item says."""

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        written = super().write(tx, batch)
        tx.execute(
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c, numbers WHERE i < n) SELECT i FROM c"
        )
        return written


async def test_a_statement_may_return_a_bounded_number_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "numbers.db"
    table = Counts("numbers", key=("name",), database=path)
    async with SinkSet() as sinks:
        session = sinks.session(call_of(), default=table)
        await session.emit({"name": "a", "n": 1000})
        await session.finish()
        session = sinks.session(call_of(), default=table)
        await session.emit({"name": "a", "n": 1001})
        with pytest.raises(InvalidArgumentError, match="at most 1000 rows"):
            await session.finish()
    connection = sqlite3.connect(path)
    assert [(1000,)] == connection.execute("SELECT n FROM numbers").fetchall()
    connection.close()


async def test_a_table_with_more_columns_than_a_statement_may_return_is_written(tmp_path: Path) -> None:
    path = tmp_path / "wide.db"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE wide({', '.join(f'c{number}' for number in range(1500))})")
    async with SinkSet() as sinks:
        session = sinks.session(call_of(), default=SqlTable("wide", database=path))
        await session.emit({"c1499": 7})
        await session.finish()
    assert [(7,)] == connection.execute("SELECT c1499 FROM wide").fetchall()
    connection.close()


async def test_an_older_claim_cannot_overwrite_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "flights.db"
    await _emit_own(path, run_of(0, fence=5), 3)
    with pytest.raises(StaleFenceError):
        await _emit_own(path, run_of(0, fence=4), 1)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM flights").fetchone() == (3,)
    connection.close()


async def test_an_emit_that_the_end_of_its_run_overtakes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that the handler did not await: what it emits must not vanish without a word."""
    table, opening, gate = SqlTable("t", database=tmp_path / "x.db"), asyncio.Event(), asyncio.Event()
    assert table.own is not None
    open_at_once = table.own.open

    async def open_slowly() -> None:
        opening.set()
        await gate.wait()
        await open_at_once()

    monkeypatch.setattr(table.own, "open", open_slowly)
    async with SinkSet() as sinks:
        sinks.add(table, types=[dict])
        session = sinks.session(call_of())
        late = asyncio.create_task(session.emit({"n": 1}))
        await opening.wait()
        assert () == await session.finish()
        gate.set()
        with pytest.raises(ClosedError, match="the sinks of run call"):
            await late


async def test_a_closed_table_of_its_own_refuses_rows(tmp_path: Path) -> None:
    table = SqlTable("t", database=tmp_path / "x.db")
    assert repr(table) == "<SqlTable 't'>"
    assert table.own is not None
    with pytest.raises(InvalidArgumentError, match="an open database"):
        await table.own.put(run_of(), "t", 0, b"")


async def test_a_run_that_fails_leaves_nothing_in_a_database_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "flights.db"
    sinks, table = SinkSet(), SqlTable("flights", database=path)
    session = sinks.session(run_of(), default=table)
    for n in range(10_100):
        await session.emit({"n": n})
    await session.discard()
    await sinks.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM stage").fetchone() == (0,)
    assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'flights'").fetchone() is None
    connection.close()
