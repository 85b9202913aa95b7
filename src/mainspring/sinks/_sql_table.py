"""SqlTable: rows of runs into a SQL table, so that each interval's rows count exactly once.

With `replace="interval"` the table gets columns of ours, `_job`, `_interval_start` and `_interval_end` (the instants
in UTC microseconds): a run first deletes what an earlier run of the same job wrote for its interval, in the same
transaction. What was written for an interval that is only partly its own cannot be told apart, and is not touched:
such a run is refused.
"""

import copy
import os
import sqlite3
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal  # Any: cell values have any type

from mainspring.base import from_us, to_us
from mainspring.errors import InvalidArgumentError, InvalidItemError, SinkWriteError, TableSchemaError
from mainspring.sinks._affinity import refuse_changes
from mainspring.sinks._blocks import Block, blocks_of, fold, folded, in_order, sql_type
from mainspring.sinks._columns import as_row, too_large
from mainspring.sinks._own_database import OwnDatabase
from mainspring.sinks._sink import TransactionalBatch
from mainspring.sinks._table_names import check_table_name, is_plain
from mainspring.sinks._table_schema import TableSchema, add_columns, read_schema, require_unique
from mainspring.sinks._transaction import SinkRun, SqlTransaction

MAX_COLUMNS: Final = 1_000
_DOUBLES: Final = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID")
_JOB, _START, _END, _KEY = "_job", "_interval_start", "_interval_end", "_key"


class SqlTable:
    """A table as a sink for dicts, dataclasses and named tuples.

    A new column has the type of its first value. A value that SQLite would change in its column, such as the text
    "0012" in one of whole numbers, fails the run that brings it, and nothing of the run is written; a table that you
    made yourself, with columns of no type, takes mixed values. None and NaN are NULL. A whole number may have 64 bits.
    Names of columns are compared without case.

    Args:
        table: its name: letters, digits and `_`, and none of the job store's own tables.
        replace: "interval": a run replaces what its interval had before; right for any handler. Rows that were there
            before the table had intervals are nobody's, and stay.
        key: columns that name a row; a row with the same key replaces all of the older one, and columns that the new
            row lacks become NULL. With `create=False` it changes the columns that it has, and no others.
        item_key: the key under which an item was emitted names its row, in a column `_key`; as with `key`.
        database: a SQLite file of its own; None: the job store's database, where the rows are written in the
            transaction that records the run as succeeded.
        create: make the table from the first rows, add columns that later rows bring, and the unique index of the key;
            False: it is somebody else's, and has them.
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

    @property
    def needs_columns(self) -> bool:
        """Whether a new table has its columns from rows alone."""
        return self._create and not self.replaces

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
        if self._key and any(_is_null(row.get(column)) for column in self._key):
            self._require_key(row)
        return row

    def check(self, item: object, run: SinkRun) -> None:
        """Refuse an item without columns, and a run without interval where one is replaced.

        Raises:
            InvalidItemError: what is wrong.
        """
        folded(tuple(as_row(item, sink=self.label)), sink=self.label)
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
            InvalidItemError: a column would not keep a value as it is.
            TableSchemaError: the table does not fit the rows, or their key.
        """
        if self.table.lower() in getattr(tx, "own_tables", ()):
            raise TableSchemaError(table=self.table, reason="is one of the job store's own")
        rows = [as_row(item, sink=self.label) for item in batch.items]
        known = read_schema(tx, self.table)
        if batch.first and self.replaces and {_JOB, _START} <= known.types.keys():
            if _END in known.types:
                self._refuse_parts(tx, batch)
            self._clear(tx, batch.run)
        if not rows:
            return 0
        blocks = blocks_of(rows, apart=self._keeps_apart(known), sink=self.label)
        if self._fit(tx, blocks, known):
            known = read_schema(tx, self.table)
        if self._key:
            require_unique(tx, self.table, self._key, known.primary, create=self._create)
        for block in blocks:
            refuse_changes(block, known.types, table=self.table, sink=self.label)
        marks = self._marks(known, batch.run)
        statements = {block: self._insert([*block.columns, *marks], known) for block in blocks}
        mark = tuple(marks.values())
        for block, lines in in_order(rows, blocks):
            self._write_lines(tx, statements[block], (line + mark for line in lines) if mark else lines, block)
        return len(rows)

    def _keeps_apart(self, known: TableSchema) -> bool:
        """Tell whether a column that a row lacks is something else than a NULL in it."""
        return known.has_defaults or (bool(self._key) and not self._create)

    def _require_key(self, row: Mapping[str, Any]) -> None:
        """Refuse a row without its key, however its columns are spelled."""
        values = dict(zip(folded(tuple(row), sink=self.label), row.values(), strict=True))
        missing = next((column for column in self._key if _is_null(values.get(fold(column)))), None)
        if missing is None:
            return
        reason = "it was emitted without key=" if self._item_key else f"its key column {missing!r} has no value"
        hint = "emit(item, key=...), or declare the job deterministic=True" if self._item_key else None
        raise InvalidItemError(sink=self.label, reason=reason, hint=hint)

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
            hint="retry the run of that interval, or backfill all of it with reprocess='all'; when the record of that "
            "run is gone, delete these rows before",
        )

    def _clear(self, tx: SqlTransaction, run: SinkRun) -> None:
        jobs = (run.job_id, *run.was)
        condition = f'"{_JOB}" IN ({", ".join("?" * len(jobs))}) AND "{_START}" >= ? AND "{_START}" < ?'
        tx.execute(f'DELETE FROM "{self.table}" WHERE {condition}', (*jobs, *_ends_of(run)))

    def _fit(self, tx: SqlTransaction, blocks: Sequence[Block], known: TableSchema) -> bool:
        """Make the table, or give it the columns it lacks; tell whether it has changed.

        Raises:
            TableSchemaError: it may not be changed, or a column cannot be one.
        """
        names: dict[str, str] = {}
        for block in blocks:
            for low, name in zip(block.names, block.columns, strict=True):
                names.setdefault(low, name)
        bad = next((name for low, name in names.items() if low in self._ours or not is_plain(name)), None)
        if bad is not None:
            raise TableSchemaError(table=self.table, reason=f"cannot have a column {bad!r}")
        missing = [name for low, name in names.items() if low not in known.types]
        ours = [name for name in self._ours if name not in known.types and (self._create or name != _END)]
        if known.types and not missing and not ours:
            return False
        if not self._create:
            reason = f"has no column {(missing + ours)[0]!r}" if known.types else "does not exist"
            raise TableSchemaError(table=self.table, reason=reason, hint="create it, or use SqlTable(create=True)")
        if len(known.types) + len(missing) > MAX_COLUMNS:
            raise TableSchemaError(table=self.table, reason=f"would have more than {MAX_COLUMNS} columns")
        typed = {name: sql_type(chain(*(block.values_of(fold(name)) for block in blocks))) for name in missing}
        typed |= {name: self._ours[name] for name in ours}
        add_columns(tx, self.table, typed, exists=bool(known.types))
        if self.replaces:
            tx.execute(f'CREATE INDEX IF NOT EXISTS "{self.table}_interval" ON "{self.table}" ("{_JOB}", "{_START}")')
        return True

    def _marks(self, known: TableSchema, run: SinkRun) -> dict[str, object]:
        """Return what says whose rows they are; somebody's own table need not have the ends of intervals."""
        if not self.replaces:
            return {}
        marks = zip(self._ours, (run.job_id, *_ends_of(run)), strict=True)
        return {name: value for name, value in marks if name in known.types}

    def _write_lines(self, tx: SqlTransaction, sql: str, lines: Iterable[Sequence[object]], block: Block) -> None:
        try:
            tx.executemany(sql, lines)
        except OverflowError as error:
            for name, value in block.too_large():
                raise too_large(name, value, sink=self.label) from error
            raise
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname not in _DOUBLES:
                raise
            raise self._not_unique(error) from error

    def _insert(self, columns: Sequence[str], known: TableSchema) -> str:
        if not columns:
            return f'INSERT INTO "{self.table}" DEFAULT VALUES'
        sql = f'INSERT INTO "{self.table}" ({_listed(columns)}) VALUES ({", ".join("?" * len(columns))})'
        if not self._key:
            return sql
        changed = dict.fromkeys(map(fold, columns))
        if self._create:  # a row replaces all of the older one, beside a primary key that it does not say
            changed |= dict.fromkeys(name for name in known.types if name not in known.primary)
        keys = set(map(fold, self._key))
        others = [f'"{name}" = excluded."{name}"' for name in changed if name not in keys]
        return f"{sql} ON CONFLICT ({_listed(self._key)}) DO " + (
            f"UPDATE SET {', '.join(others)}" if others else "NOTHING"
        )

    def _not_unique(self, error: sqlite3.IntegrityError) -> TableSchemaError:
        """Say what a row met that is not the key of this sink."""
        return TableSchemaError(
            table=self.table,
            reason=f"has a row like this one where rows must differ: {error}",
            hint=f"let key= name these columns, or drop their unique index: {self.table}_key is one of an earlier key=",
        )

    def __repr__(self) -> str:
        return f"<SqlTable {self.table!r}>"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # NaN is kept as NULL


def _ends_of(run: SinkRun) -> tuple[int, int]:
    if run.interval_start is None or run.interval_end is None:
        return 0, 0
    return to_us(run.interval_start), to_us(run.interval_end)
