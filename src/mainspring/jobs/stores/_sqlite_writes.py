"""Rows that travel with a finish: applied on a sqlite3 connection under a savepoint, failing alone.

Some failures take the whole transaction along: SQLite gives it up with a write that is interrupted, and with a
conflict that is told to roll back. Then the group is written again, and this time the run whose rows they were gets
its error without being asked to write.
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Literal

from mainspring.base import current_clock
from mainspring.errors import InvalidArgumentError, MainspringError, SinkWriteError, StorageError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._records import Finish
from mainspring.jobs.stores._sqlite_sql import own_tables
from mainspring.sinks import TransactionalWrite, rows_within_bound
from mainspring.storage import translated

WRITE_LIMIT = 20.0  # seconds that the rows of one run may hold the group; below the lease
STEPS_BETWEEN_LOOKS = 50_000
_CONTROL = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH", "VACUUM", "PRAGMA")
_NOTHING = re.compile(r"(?:[\s;\ufeff]|--[^\n]*\n?|/\*.*?\*/)*", re.DOTALL)  # what SQLite skips before a statement

LostRuns = dict[tuple[str, int], SinkWriteError]
"""The error of each (run, fence) whose rows ended a transaction, until it ends without them."""
MOST_LOST = 1_000  # as many as a group may have


class SqliteTransaction:
    """The store's open transaction, lent to a sink; see `mainspring.sinks.SqlTransaction`."""

    __slots__ = ("_connection",)

    dialect: Literal["sqlite", "postgresql", "mysql"] = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def own_tables(self) -> frozenset[str]:
        """The store's own tables, as they are in its schema."""
        return own_tables()

    def execute(self, sql: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement and return its rows, of which it may have 1000."""
        self._check(sql)
        return rows_within_bound(self._connection.execute(sql, params), sql)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row."""
        self._check(sql)
        self._connection.executemany(sql, rows)

    def _check(self, sql: str) -> None:
        if not self._connection.in_transaction:
            raise sqlite3.OperationalError("the transaction has ended")
        _refuse_control(sql)


def write_items(connection: sqlite3.Connection, command: Finish, lost: LostRuns) -> SinkWriteError | None:
    """Apply a run's rows under a savepoint; a failure undoes them and fails this finish alone.

    Raises:
        sqlite3.OperationalError: the transaction is gone with them; `lost` says why, and is asked the next time.
    """
    if not command.writes or command.state is not RunState.SUCCEEDED:
        if lost:
            lost.pop((command.run_id, command.fence), None)  # its run ends in another way
        return None
    claim = (command.run_id, command.fence)
    if claim in lost:
        return lost[claim]
    clock = current_clock()
    deadline = clock.monotonic() + WRITE_LIMIT
    connection.execute("SAVEPOINT items")
    connection.set_progress_handler(lambda: clock.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
    try:
        for write in command.writes:
            failure = _apply(write, connection)
            if not connection.in_transaction:
                lost[claim] = failure or _failure(write, "it ended the transaction")
                if len(lost) > MOST_LOST:
                    del lost[next(iter(lost))]
                raise sqlite3.OperationalError(f"the rows of run {command.run_id} ended the transaction")
            if failure is not None:
                connection.execute("ROLLBACK TO items")
                return failure
    finally:
        connection.set_progress_handler(None, STEPS_BETWEEN_LOOKS)
        if connection.in_transaction:
            connection.execute("RELEASE items")
    return None


def _apply(write: TransactionalWrite, connection: sqlite3.Connection) -> SinkWriteError | None:
    try:
        write.apply(SqliteTransaction(connection))
    except Exception as exc:  # supervisor: a user's rows fail their own run only
        if not connection.in_transaction and isinstance(translated(exc, ""), StorageError):
            raise  # a full disk, say: nobody's rows are to blame
        if isinstance(exc, SinkWriteError):
            return exc
        is_late = getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
        reason = f"it took longer than {WRITE_LIMIT:g} s" if is_late else str(exc) or repr(exc)
        error = _failure(write, reason, hint=exc.hint if isinstance(exc, MainspringError) else None)
        error.__cause__ = exc
        return error
    return None


def _failure(write: TransactionalWrite, reason: str, *, hint: str | None = None) -> SinkWriteError:
    return SinkWriteError(sink=write.sink_name, items=write.count, reason=reason, hint=hint)


def _refuse_control(sql: str) -> None:
    if _NOTHING.sub("", sql, count=1).upper().startswith(_CONTROL):
        raise InvalidArgumentError(argument="sql", value=sql, expected="a statement that leaves the transaction alone")
