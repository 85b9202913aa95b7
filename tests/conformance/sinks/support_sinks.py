"""Every kind of sink behind one form: emit some numbers as a run, and read back what arrived."""

import csv
import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sinks.support_tables import Database

from mainspring.base import new_id
from mainspring.sinks import (
    ClickHouseIntervals,
    ClickHouseTable,
    Csv,
    Delivery,
    JsonLines,
    Parquet,
    ResultSink,
    SinkRun,
    SinkSession,
    SinkSet,
    SqlTable,
    SqlTransaction,
    TransactionalBatch,
    TypedSink,
    WriteIntent,
    on,
)
from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer

SLOW = Delivery(max_seconds=3600.0)  # only a barrier, or a full batch, makes such a sink write
Row = dict[str, int]


class Case:
    """One sink with its place; `rows()` says which numbers are there, sorted."""

    def __init__(self, sink: object, rows: Callable[[], Sequence[int]], database: Database) -> None:
        self.sink = sink
        self.sinks = SinkSet()
        self._rows = rows
        self._database = database

    def rows(self) -> list[int]:
        return sorted(self._rows())

    async def __aenter__(self) -> "Case":
        await self.sinks.open(self._database)
        self.sinks.bind("job load", self.sink, delivery=SLOW)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sinks.close()
        self._database.connection.close()

    async def emit(self, run: SinkRun, numbers: Sequence[int]) -> SinkSession:
        """Emit some numbers, each under its own key."""
        session = self.sinks.session(run, default=self.sink)
        for number in numbers:
            await session.emit({"n": number}, key=str(number))
        return session

    async def finish(self, session: SinkSession) -> None:
        """End a run well, as a job store does: its rows in one savepoint."""
        writes = await session.finish()
        self._database.execute("SAVEPOINT run")
        for write in writes:
            write.apply(self._database)
        self._database.execute("RELEASE run")

    async def run(self, run: SinkRun, numbers: Sequence[int]) -> None:
        await self.finish(await self.emit(run, numbers))


class Transactional:
    """A user's own transactional sink."""

    label = "own"

    def check(self, item: object, run: SinkRun) -> None:
        return None

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        tx.execute("CREATE TABLE IF NOT EXISTS numbers(n INTEGER)")
        tx.executemany("INSERT INTO numbers VALUES (?)", [(item["n"],) for item in batch])
        return len(batch)


def make(kind: str, folder: Path, server: ClickHouseServer | None = None) -> Case:
    """Return a case of that kind in a folder, or on a server."""
    if server is not None:
        return _on_clickhouse(kind, server)
    database, got = Database(), list[int]()

    async def keep(batch: list[Row]) -> None:
        got.extend(item["n"] for item in batch)

    class Typed(TypedSink):
        @on(dict)
        async def write(self, batch: list[Row]) -> None:
            await keep(batch)

    class Results(ResultSink):
        async def write_batch(self, intents: Sequence[WriteIntent]) -> None:
            await keep([intent.payload for intent in intents])

    def in_store() -> list[int]:
        return _numbers(database.connection)

    def in_own() -> list[int]:
        connection = sqlite3.connect(folder / "own.db")
        try:
            return _numbers(connection)
        finally:
            connection.close()

    def in_lines() -> list[int]:
        texts = [path.read_text() for path in folder.glob("*.jsonl")]
        return [json.loads(line)["n"] for text in texts for line in text.splitlines()]

    def in_csv() -> list[int]:
        texts = [path.read_text() for path in folder.glob("*.csv")]
        return [int(row["n"]) for text in texts for row in csv.DictReader(text.splitlines())]

    def in_parquet() -> list[int]:
        read: Any = import_module("pyarrow.parquet").read_table  # Any: it has no types
        tables = [read(path) for path in folder.glob("*.parquet")]
        return [row["n"] for table in tables if table.num_rows for row in table.to_pylist()]

    sinks: dict[str, tuple[Any, Callable[[], list[int]]]] = {  # Any: sinks of every kind
        "function": (keep, lambda: got),
        "typed": (Typed(), lambda: got),
        "results": (Results(), lambda: got),
        "transactional": (Transactional(), in_store),
        "table": (SqlTable("numbers"), in_store),
        "replace": (SqlTable("numbers", replace="interval"), in_store),
        "key": (SqlTable("numbers", key=("n",)), in_store),
        "item_key": (SqlTable("numbers", item_key=True), in_store),
        "own": (SqlTable("numbers", replace="interval", database=folder / "own.db"), in_own),
        "jsonl": (JsonLines(folder / "{start:%d-%H}.jsonl"), in_lines),
        "csv": (Csv(folder / "{start:%d-%H}.csv", columns=("n",)), in_csv),
        "parquet": (Parquet(folder / "{start:%d-%H}.parquet"), in_parquet),
    }
    sink, rows = sinks[kind]
    return Case(sink, rows, database)


def _on_clickhouse(kind: str, server: ClickHouseServer) -> Case:
    table = f"numbers_{new_id().replace('-', '')}"
    querier = Querier(**server.options)
    sinks: dict[str, Any] = {
        "clickhouse": lambda: ClickHouseTable(table, querier),
        "clickhouse_key": lambda: ClickHouseTable(table, querier, key=("n",)),
        "clickhouse_item_key": lambda: ClickHouseTable(table, querier, item_key=True),
        "clickhouse_intervals": lambda: ClickHouseIntervals(table, querier),
    }

    def rows() -> list[int]:
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/", f"SELECT n FROM {table}".encode())
        request.add_header("X-ClickHouse-Key", server.options["password"])
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return [int(line) for line in answer.read().split()]
        except urllib.error.HTTPError as error:
            with error:
                if b"UNKNOWN_TABLE" not in error.read():
                    raise
            return []

    return Case(sinks[kind](), rows, Database())


BATCHES = ("function", "typed", "results", "clickhouse", "clickhouse_key", "clickhouse_item_key")
REPLACING = ("replace", "own", "jsonl", "csv", "parquet", "clickhouse_intervals")
ONCE = (*REPLACING, "key", "item_key", "clickhouse_key", "clickhouse_item_key")
FENCED = ("own", "jsonl", "csv", "parquet", "clickhouse_intervals")
LOCAL = ("replace", "own", "jsonl", "csv", "parquet")
COLLECTING = (*REPLACING, "key", "item_key", "table", "transactional")
ALL = (*COLLECTING, *BATCHES)


def kinds(names: Sequence[str]) -> list[Any]:
    """Return these kinds for parametrize; those that need an extra are marked."""
    extras = ("parquet", "clickhouse")
    return [pytest.param(name, marks=[pytest.mark.extras] * name.startswith(extras)) for name in names]


def _numbers(connection: sqlite3.Connection) -> list[int]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'numbers'").fetchone():
        return []
    return [number for (number,) in connection.execute("SELECT n FROM numbers")]
