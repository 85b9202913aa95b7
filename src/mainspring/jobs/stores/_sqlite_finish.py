"""The end of attempts in SQLite: fence check, transactional writes, then one set of statements for all."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Literal

from mainspring.base import current_clock
from mainspring.errors import InvalidArgumentError, SinkWriteError, StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._records import Finish, RunRecord
from mainspring.jobs.stores._sqlite_ends import ON_REQUEST, Change, is_cancelled, settle
from mainspring.jobs.stores._sqlite_rows import LIMITS, Row, ended_record, id_list, live_record
from mainspring.jobs.stores._sqlite_sql import own_tables, statements
from mainspring.sinks import TransactionalWrite

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
        """Run one statement and return its rows."""
        _refuse_control(sql)
        return self._connection.execute(sql, params).fetchall()

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row."""
        _refuse_control(sql)
        self._connection.executemany(sql, rows)


def finish(connection: sqlite3.Connection, commands: Sequence[Finish], now: int) -> list[RunRecord | BaseException]:
    """Return for each command the run as it then stands, or the error that refused it."""
    ids = id_list([command.run_id for command in commands])
    rows = {row[0]: row for row in connection.execute(statements("runs")["live_runs"], (ids,))}
    alive = {epoch: epoch_alive(connection, epoch) for epoch in {command.epoch for command in commands}}
    answers: dict[int, RunRecord | BaseException] = {}
    changes: dict[int, Change] = {}
    late: list[int] = []
    taken: set[str] = set()
    for place, command in enumerate(commands):
        row = rows.get(command.run_id)
        if row is None or command.run_id in taken or not _holds(row, command) or not alive[command.epoch]:
            late.append(place)
            continue
        error = _write_items(connection, command)
        if error is not None:
            answers[place] = error
            continue
        taken.add(command.run_id)
        changes[place] = _change(row, command)
    settled = settle(connection, list(changes.values()), now)
    answers.update(zip(changes, settled, strict=True))
    for place in late:
        answers[place] = _answer_again(connection, commands[place])
    return [answers[place] for place in range(len(commands))]


def epoch_alive(connection: sqlite3.Connection, epoch: int) -> bool:
    """Tell whether a node's epoch is alive in this transaction."""
    return connection.execute(statements("runs")["epoch_alive"], (epoch,)).fetchone() is not None


def _holds(row: Row, command: Finish) -> bool:
    return (row[3], row[10], row[9], row[7]) == ("running", command.epoch, command.fence, command.attempt)


def _change(row: Row, command: Finish) -> Change:
    state, message = command.state, command.error_message
    if is_cancelled(row) and not state.terminal:
        state = RunState.CANCELLED
        message = ON_REQUEST if message is None else f"{ON_REQUEST}; its attempt failed: {message}"
    return Change(
        row=row,
        state=state,
        attempt=row[7] - (state is RunState.AVAILABLE),  # handed back unharmed: not counted
        rescues=row[8],
        finished_at=command.finished_at,
        available_at=command.available_at,
        error_type=command.error_type,
        error_message=message,
        error_detail=command.error_detail,
        value=command.value,
        item_count=command.item_count,
    )


def _answer_again(connection: sqlite3.Connection, command: Finish) -> RunRecord | StaleFenceError:
    """Tell a finish that came before from one that another claim or a rescue overtook."""
    mine = (command.epoch, command.fence)
    live = connection.execute(statements("runs")["live_runs"], (id_list([command.run_id]),)).fetchone()
    if live is not None and (live[10], live[9]) == mine and live[3] == command.state.value:
        return live_record(live[:LIMITS])
    ended = connection.execute(statements("runs")["ended_run"], (command.run_id,)).fetchone()
    if ended is not None and (ended[10], ended[9]) == mine:
        return ended_record(ended)
    return StaleFenceError(run_id=command.run_id, fence=command.fence)


def _write_items(connection: sqlite3.Connection, command: Finish) -> SinkWriteError | None:
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
        error = SinkWriteError(sink=write.sink_name, items=write.count, reason=str(exc) or repr(exc))
        error.__cause__ = exc
        return error
    return None


def _refuse_control(sql: str) -> None:
    if sql.lstrip().upper().startswith(_CONTROL):
        raise InvalidArgumentError(argument="sql", value=sql, expected="a statement that leaves the transaction alone")
