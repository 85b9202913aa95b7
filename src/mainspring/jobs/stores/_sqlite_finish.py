"""The end of attempts in SQLite: fence check, transactional writes, then one set of statements for all."""

import sqlite3
from collections.abc import Sequence

from mainspring.errors import StaleFenceError
from mainspring.jobs.stores._ends import finished, finished_again
from mainspring.jobs.stores._records import Finish, RunRecord
from mainspring.jobs.stores._sqlite_ends import Change, settle
from mainspring.jobs.stores._sqlite_plain_ends import end_plain
from mainspring.jobs.stores._sqlite_reports import keep_last_progress, keep_logs
from mainspring.jobs.stores._sqlite_rows import (
    ATTEMPT,
    CANCEL_REQUESTED,
    EPOCH,
    FENCE,
    LIMITS,
    RESCUES,
    RUN,
    STATE,
    Row,
    ended_record,
    id_list,
    live_record,
)
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_writes import LostRuns, write_items


def finish(
    connection: sqlite3.Connection, commands: Sequence[Finish], now: int, lost: LostRuns
) -> list[RunRecord | BaseException]:
    """Return for each command the run as it then stands, or the error that refused it.

    Args:
        lost: what is known of runs whose rows have ended a transaction.

    Raises:
        sqlite3.OperationalError: the rows of a run have ended this one; it can be tried again.
    """
    plain = {} if lost else end_plain(connection, commands)
    answers: dict[int, RunRecord | BaseException] = {**plain}
    if len(answers) < len(commands):
        _finish_others(connection, commands, now, lost, answers)
    return [answers[place] for place in range(len(commands))]


def _finish_others(
    connection: sqlite3.Connection,
    commands: Sequence[Finish],
    now: int,
    lost: LostRuns,
    answers: dict[int, RunRecord | BaseException],
) -> None:
    """Answer the commands that are not answered yet."""
    others = [(place, command) for place, command in enumerate(commands) if place not in answers]
    ids = id_list([command.run_id for _, command in others])
    rows = {row[RUN]: row for row in connection.execute(statements("runs")["live_runs"], (ids,))}
    alive = {epoch: epoch_alive(connection, epoch) for epoch in {command.epoch for _, command in others}}
    changes: dict[int, Change] = {}
    late: list[int] = []
    taken: set[str] = set()
    for place, command in others:
        row = rows.get(command.run_id)
        if row is None or command.run_id in taken or not _holds(row, command) or not alive[command.epoch]:
            late.append(place)
            continue
        error = write_items(connection, command, lost)
        if error is not None:
            answers[place] = error
            continue
        taken.add(command.run_id)
        changes[place] = _change(row, command)
    settled = settle(connection, list(changes.values()), now)
    keep_logs(connection, (commands[place] for place in changes))
    keep_last_progress(connection, (commands[place] for place in changes))
    answers.update(zip(changes, settled, strict=True))
    for place in late:
        answers[place] = _answer_again(connection, commands[place])


def epoch_alive(connection: sqlite3.Connection, epoch: int) -> bool:
    """Tell whether a node's epoch is alive in this transaction."""
    return connection.execute(statements("runs")["epoch_alive"], (epoch,)).fetchone() is not None


def _holds(row: Row, command: Finish) -> bool:
    mine = ("running", command.epoch, command.fence, command.attempt)
    return (row[STATE], row[EPOCH], row[FENCE], row[ATTEMPT]) == mine


def _change(row: Row, command: Finish) -> Change:
    return finished(
        row, command, attempt=row[ATTEMPT], rescues=row[RESCUES], cancel_requested=bool(row[CANCEL_REQUESTED])
    )


def _answer_again(connection: sqlite3.Connection, command: Finish) -> RunRecord | StaleFenceError:
    sql = statements("runs")
    live = connection.execute(sql["live_runs"], (id_list([command.run_id]),)).fetchone()
    ended = connection.execute(sql["ended_run"], (command.run_id,)).fetchone()
    return finished_again(
        command,
        None if live is None else live_record(live[:LIMITS]),
        None if ended is None else ended_record(ended),
    )
