"""SqlTable: rows of runs into a SQL table, so that each interval's rows count exactly once.

With `replace="interval"` the table gets two columns of ours, `_job` and `_interval_start` (UTC microseconds, indexed):
a run first deletes what an earlier run of the same job wrote for its interval, in the same transaction.
"""

import asyncio
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal  # Any: cell values have any type

from mainspring.base import to_us
from mainspring.errors import InvalidArgumentError, InvalidItemError, StaleFenceError, TableSchemaError
from mainspring.sinks._columns import as_row, cells, columns_of, sql_type
from mainspring.sinks._sink import TransactionalBatch
from mainspring.sinks._staged import RowsWrite
from mainspring.sinks._transaction import SinkRun, SqlTransaction
from mainspring.storage import SqliteOwner

MAX_COLUMNS: Final = 1_000
_JOB, _START = "_job", "_interval_start"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

_FENCES: Final = (
    "CREATE TABLE IF NOT EXISTS _mainspring_fence(target TEXT, job TEXT, interval_start INTEGER, fence INTEGER,"
    " PRIMARY KEY(target, job, interval_start)) WITHOUT ROWID"
)
_STAGE: Final = (
    "CREATE TABLE IF NOT EXISTS stage(run_id TEXT, fence INTEGER, sink TEXT, sequence INTEGER, payload BLOB,"
    " PRIMARY KEY(run_id, fence, sink, sequence)) WITHOUT ROWID"
)


class SqlTable:
    """A table as a sink for dicts, dataclasses and named tuples.

    Args:
        table: its name: letters, digits and `_`.
        replace: "interval": a run replaces what its interval had before; right for any handler.
        key: columns that name a row; a row with the same key replaces the older one (upsert).
        database: a SQLite file of its own; None: the job store's database, where the rows are written in the
            transaction that records the run as succeeded.
        create: make the table from the first rows, and add columns that later rows bring.
        name: how the sink is called; the table's name by default.

    Raises:
        InvalidArgumentError: a name is not plain, or `replace` and `key` are both given.
    """

    def __init__(
        self,
        table: str,
        *,
        replace: Literal["interval"] | None = None,
        key: Sequence[str] = (),
        database: str | Path | None = None,
        create: bool = True,
        name: str | None = None,
    ) -> None:
        for text in (table, *key):
            if not _NAME.fullmatch(text):
                raise InvalidArgumentError(argument="table", value=text, expected="letters, digits and _, at most 63")
        if replace not in (None, "interval"):
            raise InvalidArgumentError(argument="replace", value=replace, expected="'interval' or None")
        if replace is not None and key:
            raise InvalidArgumentError(argument="key", value=key, expected="no key beside replace='interval'")
        self.table = table
        self.label = name or table
        self.database = None if database is None else Path(database)
        self._replace = replace is not None
        self._key = tuple(key)
        self._create = create
        self._owner: SqliteOwner | None = None

    def check(self, item: object, run: SinkRun) -> None:
        """Refuse an item without columns, and a run without interval where one is replaced.

        Raises:
            InvalidItemError: what is wrong.
        """
        if type(item) is not dict:
            as_row(item, sink=self.label)
        if self._replace and run.interval_start is None:
            raise InvalidItemError(
                sink=self.label,
                reason="replace='interval' needs a run with a data interval, and this one has none",
                hint="run it by backfill() or by its schedule, or use key= instead",
            )

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        """Write one batch of a run's rows; the first one also clears what its interval had."""
        rows = [as_row(item, sink=self.label) for item in batch.items]
        columns = columns_of(rows)
        known = {str(found[0]) for found in tx.execute("SELECT name FROM pragma_table_info(?)", (self.table,))}
        if self._replace and batch.first and known:
            self._clear(tx, batch.run)
        if not rows:
            return 0
        self._fit(tx, rows, columns, known)
        lines = cells(rows, columns, sink=self.label)
        if self._replace:
            mark = (batch.run.job_id, _start_of(batch.run))
            tx.executemany(self._insert([*columns, _JOB, _START]), (line + mark for line in lines))
        else:
            tx.executemany(self._insert(columns), lines)
        return len(lines)

    def _clear(self, tx: SqlTransaction, run: SinkRun) -> None:
        end = 0 if run.interval_end is None else to_us(run.interval_end)
        condition = f'"{_JOB}" = ? AND "{_START}" >= ? AND "{_START}" < ?'
        tx.execute(f'DELETE FROM "{self.table}" WHERE {condition}', (run.job_id, _start_of(run), end))

    def _fit(
        self, tx: SqlTransaction, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], known: set[str]
    ) -> None:
        """Make the table, or give it the columns it lacks.

        Raises:
            TableSchemaError: it may not be changed, or a column cannot be one.
        """
        missing = [name for name in columns if name not in known]
        if known and not missing:
            return
        if not self._create:
            reason = f"has no column {missing[0]!r}" if known else "does not exist"
            raise TableSchemaError(table=self.table, reason=reason, hint="create it, or use SqlTable(create=True)")
        bad = next((name for name in missing if not _NAME.fullmatch(str(name))), None)
        if bad is not None:
            raise TableSchemaError(table=self.table, reason=f"cannot have a column {bad!r}")
        if len(known) + len(missing) > MAX_COLUMNS:
            raise TableSchemaError(table=self.table, reason=f"would have more than {MAX_COLUMNS} columns")
        typed = [f'"{name}" {sql_type(row.get(name) for row in rows)}' for name in missing]
        if known:
            for column in typed:
                tx.execute(f'ALTER TABLE "{self.table}" ADD COLUMN {column}')
            return
        self._make(tx, typed)

    def _make(self, tx: SqlTransaction, typed: Sequence[str]) -> None:
        ours = [f'"{_JOB}" TEXT', f'"{_START}" INTEGER'] if self._replace else []
        tx.execute(f'CREATE TABLE IF NOT EXISTS "{self.table}" ({", ".join((*typed, *ours))})')
        if self._replace:
            tx.execute(f'CREATE INDEX IF NOT EXISTS "{self.table}_interval" ON "{self.table}" ("{_JOB}", "{_START}")')
        if self._key:
            names = ", ".join(f'"{name}"' for name in self._key)
            tx.execute(f'CREATE UNIQUE INDEX IF NOT EXISTS "{self.table}_key" ON "{self.table}" ({names})')

    def _insert(self, columns: Sequence[str]) -> str:
        names = ", ".join(f'"{name}"' for name in columns)
        sql = f'INSERT INTO "{self.table}" ({names}) VALUES ({", ".join("?" * len(columns))})'
        if not self._key:
            return sql
        keys = ", ".join(f'"{name}"' for name in self._key)
        others = [f'"{name}" = excluded."{name}"' for name in columns if name not in self._key]
        return f"{sql} ON CONFLICT ({keys}) DO " + (f"UPDATE SET {', '.join(others)}" if others else "NOTHING")

    # --- with a database of its own ---

    async def open(self) -> None:
        """Open the table's own database; called by the SinkSet.

        Raises:
            StorageError: it cannot be opened.
        """
        if self.database is not None and self._owner is None:
            owner = SqliteOwner(self.database, application="mainspring-table")
            await owner.open()
            await owner.write(_prepare)
            self._owner = owner

    async def close(self) -> None:
        """Close the table's own database."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.close()

    async def put(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        """Keep a chunk of a run's rows in the table's own stage until its commit."""
        values = (run.run_id, run.fence, sink_name, sequence, payload)
        await self._opened().write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO stage VALUES (?, ?, ?, ?, ?)", values)
        )

    async def commit(self, write: RowsWrite) -> int:
        """Write a run's rows in one transaction of the table's own database.

        Raises:
            StaleFenceError: a newer claim of this interval has written already; nothing was changed.
        """
        return await asyncio.shield(self._opened().write(lambda connection: self._apply(connection, write)))

    def _apply(self, connection: sqlite3.Connection, write: RowsWrite) -> int:
        run = write.run
        if run.interval_start is not None:
            moved = connection.execute(
                "INSERT INTO _mainspring_fence VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET fence = excluded.fence"
                " WHERE fence <= excluded.fence",
                (self.table, run.job_id, _start_of(run), run.fence),
            )
            if moved.rowcount != 1:
                raise StaleFenceError(run_id=run.run_id, fence=run.fence)
        written = write.apply(_Transaction(connection))
        connection.execute("DELETE FROM stage WHERE run_id = ?", (run.run_id,))
        return written

    def _opened(self) -> SqliteOwner:
        if self._owner is None:
            raise InvalidArgumentError(argument="database", value=self.database, expected="an open database")
        return self._owner

    def __repr__(self) -> str:
        return f"<SqlTable {self.table!r}>"


class _Transaction:
    """A sqlite3 connection inside a transaction, as sinks see it."""

    dialect: Literal["sqlite", "postgresql", "mysql"] = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return self._connection.execute(sql, params).fetchall()

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(_FENCES)
    connection.execute(_STAGE)


def _start_of(run: SinkRun) -> int:
    return 0 if run.interval_start is None else to_us(run.interval_start)
