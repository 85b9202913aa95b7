"""Rows that travel with a finish: applied on a sqlite3 connection under a savepoint, failing alone."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Literal

from mainspring.base import current_clock
from mainspring.errors import InvalidArgumentError, MainspringError, SinkWriteError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._records import Finish
from mainspring.jobs.stores._sqlite_sql import own_tables
from mainspring.sinks import TransactionalWrite, rows_within_bound

WRITE_LIMIT = 20.0  # seconds that the rows of one run may hold the group; below the lease
STEPS_BETWEEN_LOOKS = 50_000
_CONTROL = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH", "VACUUM", "PRAGMA")


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
        _refuse_control(sql)
        return rows_within_bound(self._connection.execute(sql, params), sql)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row."""
        _refuse_control(sql)
        self._connection.executemany(sql, rows)


def write_items(connection: sqlite3.Connection, command: Finish) -> SinkWriteError | None:
    """Apply a run's rows under a savepoint; a failure undoes them and fails this finish alone."""
    if not command.writes or command.state is not RunState.SUCCEEDED:
        return None
    clock = current_clock()
    deadline = clock.monotonic() + WRITE_LIMIT
    connection.execute("SAVEPOINT items")
    connection.set_progress_handler(lambda: clock.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
    try:
        for write in command.writes:
            failure = _apply(write, connection)
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
        if not connection.in_transaction:
            raise
        if isinstance(exc, SinkWriteError):
            return exc
        hint = exc.hint if isinstance(exc, MainspringError) else None
        error = SinkWriteError(sink=write.sink_name, items=write.count, reason=str(exc) or repr(exc), hint=hint)
        error.__cause__ = exc
        return error
    return None


def _refuse_control(sql: str) -> None:
    if sql.lstrip().upper().startswith(_CONTROL):
        raise InvalidArgumentError(argument="sql", value=sql, expected="a statement that leaves the transaction alone")
