"""A database of its own for a table: its own stage, its own fences, one transaction per run.

The process may die between that transaction and the end of the run in the job store. The next attempt of the run then
replaces the rows, or writes them under the same keys; for a table that only adds rows, the same transaction
remembers that the run has written, and the next attempt writes nothing.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from mainspring.base import to_us
from mainspring.errors import InvalidArgumentError, StaleFenceError
from mainspring.sinks._staged import RunRows
from mainspring.sinks._transaction import SinkRun, rows_within_bound
from mainspring.storage import SqliteOwner

_FENCES: Final = (
    "CREATE TABLE IF NOT EXISTS _mainspring_fence(target TEXT, job TEXT, interval_start INTEGER, fence INTEGER,"
    " run TEXT, PRIMARY KEY(target, job, interval_start)) WITHOUT ROWID"
)
_STAGE: Final = (
    "CREATE TABLE IF NOT EXISTS stage(run_id TEXT, fence INTEGER, sink TEXT, sequence INTEGER, payload BLOB,"
    " PRIMARY KEY(run_id, fence, sink, sequence)) WITHOUT ROWID"
)
_WRITTEN: Final = (
    "CREATE TABLE IF NOT EXISTS _mainspring_written(number INTEGER PRIMARY KEY, run TEXT, sink TEXT, fence INTEGER,"
    " UNIQUE(run, sink))"
)
REMEMBERED: Final = 100_000  # runs, the last ones
_DROP_STAGED: Final = "DELETE FROM stage WHERE run_id = ? AND (sink = ? OR fence < ?)"


class OwnDatabase:
    """A SQLite file into which runs write by themselves; also the stage of their rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner: SqliteOwner | None = None

    def __reduce__(self) -> tuple[type["OwnDatabase"], tuple[Path]]:
        """Let the path travel; whoever gets it opens the file anew."""
        return OwnDatabase, (self.path,)

    @property
    def is_there(self) -> bool:
        """Whether there is such a file."""
        return self._owner is not None or self.path.exists()

    async def open(self) -> None:
        """Open the file and make what it needs.

        Raises:
            StorageError: it cannot be opened.
        """
        if self._owner is None:
            owner = SqliteOwner(self.path, application="mainspring-table")
            await owner.open()
            await owner.write(_prepare)
            self._owner = owner

    async def close(self) -> None:
        """Close the file."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.close()

    async def put(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        """Keep a chunk of a run's rows until its commit."""
        values = (run.run_id, run.fence, sink_name, sequence, payload)
        await self._opened().write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO stage VALUES (?, ?, ?, ?, ?)", values)
        )

    async def commit(self, rows: "OwnRows") -> int:
        """Write a run's rows in one transaction; none if another attempt has done so and they would count twice.

        Raises:
            StaleFenceError: a newer claim of this interval has written already; nothing was changed.
        """
        write = await rows.closed()
        run = rows.run

        def apply(connection: sqlite3.Connection) -> int:
            _raise_fence(connection, rows.sink.label, run)
            is_done = rows.only_adds and run.repeats and _is_written(connection, rows.name, run)
            written = 0 if is_done else write.apply(_Transaction(connection))
            connection.execute(_DROP_STAGED, (run.run_id, rows.name, run.fence))
            return written

        return await asyncio.shield(self._opened().write(apply))  # shielded: it is written anyway

    async def has_rows_of(self, target: str, run: SinkRun) -> bool:
        """Tell whether the run's job has written to a table with intervals before."""
        jobs = (run.job_id, *run.was)
        sql = f"SELECT 1 FROM _mainspring_fence WHERE target = ? AND job IN ({', '.join('?' * len(jobs))}) LIMIT 1"
        found = await self._opened().read(lambda connection: connection.execute(sql, (target, *jobs)).fetchone())
        return found is not None

    async def forget(self, run: SinkRun) -> None:
        """Drop what a run has in the stage."""
        await self._opened().write(
            lambda connection: connection.execute(
                "DELETE FROM stage WHERE run_id = ? AND fence <= ?", (run.run_id, run.fence)
            )
        )

    def _opened(self) -> SqliteOwner:
        if self._owner is None:
            raise InvalidArgumentError(argument="database", value=self.path, expected="an open database")
        return self._owner


class OwnRows(RunRows):
    """A run's rows for a table with a database of its own: written there at the end of the run."""

    __slots__ = ("database", "only_adds")

    database: OwnDatabase
    only_adds: bool

    async def has_earlier(self) -> bool:
        """Tell whether there may be rows of an earlier run to remove."""
        return await self.database.has_rows_of(self.sink.label, self.run)

    async def finish(self) -> None:
        """Commit the rows."""
        await self.database.commit(self)

    async def discard(self) -> None:
        """Forget the rows, staged ones too."""
        staged = self.staged
        await super().discard()
        if staged:
            await self.database.forget(self.run)


def _raise_fence(connection: sqlite3.Connection, target: str, run: SinkRun) -> None:
    """Refuse a claim behind that of another, under each name that the job has had: who lost it knows the old one."""
    if run.interval_start is None:
        return
    keys = [(target, name, to_us(run.interval_start)) for name in (run.job_id, *run.was)]
    sql = "SELECT run, fence FROM _mainspring_fence WHERE target = ? AND job = ? AND interval_start = ?"
    found = [row for key in keys for row in connection.execute(sql, key)]
    if not all(run.comes_after(run_id or "", fence) for run_id, fence in found):
        raise StaleFenceError(run_id=run.run_id, fence=run.fence)
    connection.executemany(
        "INSERT OR REPLACE INTO _mainspring_fence(target, job, interval_start, fence, run) VALUES (?, ?, ?, ?, ?)",
        [(*key, run.fence, run.run_id) for key in keys],
    )


def _is_written(connection: sqlite3.Connection, sink: str, run: SinkRun) -> bool:
    """Tell whether another attempt of the run has written its rows; if not, remember that this one does."""
    key = (run.run_id, sink)
    found = connection.execute("SELECT fence FROM _mainspring_written WHERE run = ? AND sink = ?", key).fetchone()
    if found is not None and found[0] != run.fence:
        return True
    sql = "INSERT OR REPLACE INTO _mainspring_written(run, sink, fence) VALUES (?, ?, ?)"
    number = connection.execute(sql, (*key, run.fence)).lastrowid or 0
    connection.execute("DELETE FROM _mainspring_written WHERE number <= ?", (number - REMEMBERED,))
    return False


class _Transaction:
    """A sqlite3 connection inside a transaction, as sinks see it."""

    dialect: Literal["sqlite", "postgresql", "mysql"] = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return rows_within_bound(self._connection.execute(sql, params), sql)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(_FENCES)
    if not connection.execute("SELECT 1 FROM pragma_table_info('_mainspring_fence') WHERE name = 'run'").fetchone():
        connection.execute("ALTER TABLE _mainspring_fence ADD COLUMN run TEXT")  # the file is older
    connection.execute(_STAGE)
    connection.execute(_WRITTEN)
