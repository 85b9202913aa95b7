"""SqlTable: rows of runs into a SQL table, so that each interval's rows count exactly once.

With `replace="interval"` the table gets columns of ours, `_job`, `_interval_start` and `_interval_end` (the instants
in UTC microseconds): a run first deletes what an earlier run of the same job wrote for its interval, in the same
transaction. What was written for an interval that is only partly its own cannot be told apart, and is not touched:
such a run is refused.
"""

import copy
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal  # Any: cell values have any type

from mainspring.base import decode_json, from_us, to_us
from mainspring.errors import InvalidArgumentError, InvalidItemError, SinkWriteError, TableSchemaError
from mainspring.sinks._columns import as_row, cells, columns_of, sql_type
from mainspring.sinks._own_database import OwnDatabase
from mainspring.sinks._sink import TransactionalBatch
from mainspring.sinks._table_names import check_table_name, is_plain
from mainspring.sinks._transaction import SinkRun, SqlTransaction

MAX_COLUMNS: Final = 1_000
_JOB, _START, _END, _KEY = "_job", "_interval_start", "_interval_end", "_key"


class SqlTable:
    """A table as a sink for dicts, dataclasses and named tuples.

    Args:
        table: its name: letters, digits and `_`, and none of the job store's own tables.
        replace: "interval": a run replaces what its interval had before; right for any handler.
        key: columns that name a row; a row with the same key replaces the older one (upsert).
        item_key: the key under which an item was emitted names its row, in a column `_key` (upsert).
        database: a SQLite file of its own; None: the job store's database, where the rows are written in the
            transaction that records the run as succeeded.
        create: make the table from the first rows, and add columns that later rows bring.
        name: how the sink is called; the table's name by default.

    Raises:
        InvalidArgumentError: a name is not plain or taken, or more than one of `replace`, `key` and `item_key` is
            given.
    """

    def __init__(
        self,
        table: str,
        *,
        replace: Literal["interval"] | None = None,
        key: Sequence[str] = (),
        item_key: bool = False,
        database: str | Path | None = None,
        create: bool = True,
        name: str | None = None,
    ) -> None:
        check_table_name(table, in_store=database is None)
        if isinstance(key, str):
            raise InvalidArgumentError(argument="key", value=key, expected=f"a sequence of columns: ({key!r},)")
        for column in key:
            if not is_plain(column):
                raise InvalidArgumentError(argument="key", value=column, expected="letters, digits and _, at most 63")
        if replace not in (None, "interval"):
            raise InvalidArgumentError(argument="replace", value=replace, expected="'interval' or None")
        if (replace is not None) + bool(key) + item_key > 1:
            raise InvalidArgumentError(
                argument="key", value=key, expected="only one of replace='interval', key= and item_key=True"
            )
        self.table = table
        self.label = name or table
        self.database = None if database is None else Path(database)
        self.own = None if self.database is None else OwnDatabase(self.database)
        self.replaces = replace is not None
        self._key = (_KEY,) if item_key else tuple(key)
        self._item_key = item_key
        self._ours = {_JOB: "TEXT", _START: "INTEGER", _END: "INTEGER"} if self.replaces else {}
        self._create = create

    @property
    def only_adds(self) -> bool:
        """Whether rows that are written twice count twice."""
        return not self.replaces and not self._key

    @property
    def needs_run(self) -> bool:
        """Whether rows can only be written for a run: with its interval, or the keys of its items."""
        return self.replaces or self._item_key

    def place(self, run: SinkRun | None) -> Hashable:
        """Return the table and its database."""
        return None if self.database is None else os.path.realpath(self.database), self.table.lower()

    def apart(self) -> "SqlTable":
        """Return a table like this one that shares no open database with it: for another process, or another loop."""
        other = copy.copy(self)
        other.own = None if self.database is None else OwnDatabase(self.database)
        return other

    def shape(self, item: Any, key: str | None, run: SinkRun) -> Mapping[str, Any]:
        """Return the row that is kept of an item.

        Raises:
            InvalidItemError: it has no columns, or lacks its key.
        """
        row = as_row(item, sink=self.label)
        if self._item_key:
            row = {**row, _KEY: key}
        if self._key and any(row.get(column) is None for column in self._key):
            raise self._lacks_key(row)
        return row

    def check(self, item: object, run: SinkRun) -> None:
        """Refuse an item without columns, and a run without interval where one is replaced.

        Raises:
            InvalidItemError: what is wrong.
        """
        if type(item) is not dict:
            as_row(item, sink=self.label)
        if self.replaces and run.interval_start is None:
            raise InvalidItemError(
                sink=self.label,
                reason="replace='interval' needs a run with a data interval, and this one has none",
                hint="run it by backfill() or by its schedule, or use key= instead",
            )

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        """Write one batch of a run's rows; the first one also clears what its interval had.

        Raises:
            SinkWriteError: rows are there that were written for an interval which is only partly the run's.
        """
        if self.table.lower() in getattr(tx, "own_tables", ()):
            raise TableSchemaError(table=self.table, reason="is one of the job store's own")
        rows = [as_row(item, sink=self.label) for item in batch.items]
        columns = columns_of(rows)
        known = self._columns(tx)
        if batch.first and self.replaces and {_JOB, _START} <= known:
            if _END in known:
                self._refuse_parts(tx, batch)
            self._clear(tx, batch.run)
        if not rows:
            return 0
        self._fit(tx, rows, columns, known)
        lines = cells(rows, columns, sink=self.label)
        if self.replaces:
            marks: dict[str, object] = dict(zip(self._ours, (batch.run.job_id, *_ends_of(batch.run)), strict=True))
            if not self._create and _END not in known:  # somebody's own table, which need not have it
                del marks[_END]
            mark = tuple(marks.values())
            tx.executemany(self._insert([*columns, *marks]), (line + mark for line in lines))
        else:
            tx.executemany(self._insert(columns), lines)
        return len(lines)

    def _columns(self, tx: SqlTransaction) -> set[str]:
        """Return the table's columns in one row: a table of somebody else's may have more than a sink may read rows."""
        found = tx.execute("SELECT json_group_array(name) FROM pragma_table_info(?)", (self.table,))
        return set(decode_json(str(found[0][0]), list[str]))

    def _lacks_key(self, row: Mapping[str, Any]) -> InvalidItemError:
        missing = next(column for column in self._key if row.get(column) is None)
        reason = "it was emitted without key=" if self._item_key else f"its key column {missing!r} has no value"
        hint = "emit(item, key=...), or declare the job deterministic=True" if self._item_key else None
        return InvalidItemError(sink=self.label, reason=reason, hint=hint)

    def _refuse_parts(self, tx: SqlTransaction, batch: TransactionalBatch) -> None:
        """Look at the last rows before each end of the run's interval: what a job wrote does not overlap."""
        for job_id in (batch.run.job_id, *batch.run.was):
            for end in _ends_of(batch.run):
                sql = (
                    f'SELECT "{_START}", "{_END}" FROM "{self.table}" WHERE "{_JOB}" = ? AND "{_START}" < ? '
                    f'ORDER BY "{_START}" DESC LIMIT 1'
                )
                for low, high in tx.execute(sql, (job_id, end)):
                    if isinstance(low, int) and isinstance(high, int) and high > end:
                        raise self._overlaps(batch, low, high)

    def _overlaps(self, batch: TransactionalBatch, low: int, high: int) -> SinkWriteError:
        theirs = f"{from_us(low).isoformat()} to {from_us(high).isoformat()}"
        return SinkWriteError(
            sink=self.label,
            items=len(batch.items),
            reason=f"rows are there that were written together for {theirs}, which is only partly this run's interval",
            hint="retry the run of that interval, which writes all of it again",
        )

    def _clear(self, tx: SqlTransaction, run: SinkRun) -> None:
        jobs = (run.job_id, *run.was)
        condition = f'"{_JOB}" IN ({", ".join("?" * len(jobs))}) AND "{_START}" >= ? AND "{_START}" < ?'
        tx.execute(f'DELETE FROM "{self.table}" WHERE {condition}', (*jobs, *_ends_of(run)))

    def _fit(
        self, tx: SqlTransaction, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], known: set[str]
    ) -> None:
        """Make the table, or give it the columns it lacks.

        Raises:
            TableSchemaError: it may not be changed, or a column cannot be one.
        """
        missing = [name for name in columns if name not in known]
        ours = [name for name in self._ours if name not in known and (self._create or name != _END)]
        bad = next((name for name in columns if name in self._ours or not is_plain(str(name))), None)
        if bad is not None:
            raise TableSchemaError(table=self.table, reason=f"cannot have a column {bad!r}")
        if known and not missing and not ours:
            return
        if not self._create:
            reason = f"has no column {(missing + ours)[0]!r}" if known else "does not exist"
            raise TableSchemaError(table=self.table, reason=reason, hint="create it, or use SqlTable(create=True)")
        if len(known) + len(missing) > MAX_COLUMNS:
            raise TableSchemaError(table=self.table, reason=f"would have more than {MAX_COLUMNS} columns")
        typed = [f'"{name}" {sql_type(row.get(name) for row in rows)}'.rstrip() for name in missing]
        self._make(tx, [*typed, *(f'"{name}" {self._ours[name]}' for name in ours)], exists=bool(known))

    def _make(self, tx: SqlTransaction, typed: Sequence[str], *, exists: bool) -> None:
        if exists:
            for column in typed:
                tx.execute(f'ALTER TABLE "{self.table}" ADD COLUMN {column}')
        else:
            taken = tx.execute("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (self.table,))
            if taken:
                raise TableSchemaError(table=self.table, reason=f"cannot be made: its name is that of an {taken[0][0]}")
            tx.execute(f'CREATE TABLE "{self.table}" ({", ".join(typed)})')
        if self.replaces:
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

    def __repr__(self) -> str:
        return f"<SqlTable {self.table!r}>"


def _ends_of(run: SinkRun) -> tuple[int, int]:
    if run.interval_start is None or run.interval_end is None:
        return 0, 0
    return to_us(run.interval_start), to_us(run.interval_end)
