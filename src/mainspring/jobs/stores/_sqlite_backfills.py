"""Backfills in SQLite; every function runs inside a group."""

import sqlite3
from collections.abc import Sequence

from mainspring.errors import UnknownBackfillError
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, BackfillStep
from mainspring.jobs.stores._ends import OPEN_BACKFILL
from mainspring.jobs.stores._limits import backfill_key
from mainspring.jobs.stores._sqlite_catalog import bump_version
from mainspring.jobs.stores._sqlite_done import has_succeeded
from mainspring.jobs.stores._sqlite_ends import close_backfill, end_backfill, look_again
from mainspring.jobs.stores._sqlite_enqueue import Intake
from mainspring.jobs.stores._sqlite_rows import backfill_row, backfill_values
from mainspring.jobs.stores._sqlite_sql import statements


def create_backfills(connection: sqlite3.Connection, rows: Sequence[BackfillRow]) -> None:
    """Store new backfills; one that is there already stays as it is."""
    connection.executemany(statements("catalog")["insert_backfill"], [backfill_values(row) for row in rows])
    bump_version(connection)


def step_backfill(connection: sqlite3.Connection, step: BackfillStep, now: int) -> BackfillRow:
    """Move the cursor and create or join runs, if the backfill still stands where the step begins."""
    row = _backfill(connection, step.backfill_id)
    if row.state is not BackfillState.RUNNING or row.planned or row.cursor != step.cursor_from:
        return row
    created = _create_runs(connection, step, now, again=row.reprocess == "all")
    parameters = (step.cursor_to, step.planned, created, created, step.backfill_id)
    connection.execute(statements("catalog")["move_backfill"], parameters)
    return close_backfill(connection, step.backfill_id, now) or row


def _create_runs(connection: sqlite3.Connection, step: BackfillStep, now: int, *, again: bool) -> int:
    """Return how many runs were made or joined; each of them counts for this backfill when it ends.

    Whoever planned the step looked at the done-set before: what has succeeded since is left out, unless `again`.
    """
    intake = Intake(connection, now)
    intake.expect(step.runs)
    answers = [intake.create(run) for run in step.runs if again or not has_succeeded(connection, run)]
    intake.flush()
    return sum(answer.outcome != "existing" for answer in answers)


def set_backfill_state(connection: sqlite3.Connection, backfill_id: str, state: BackfillState, now: int) -> BackfillRow:
    """Pause, resume or end a backfill; one that has ended stays ended."""
    row = _backfill(connection, backfill_id)
    if row.state not in OPEN_BACKFILL or row.state is state:
        return row
    sql = statements("catalog")
    if state in OPEN_BACKFILL:
        connection.execute(sql["set_backfill_state"], (state.value, None, backfill_id))
        if state is BackfillState.RUNNING:
            look_again(connection, backfill_key(backfill_id), row.max_parallel, now)
        bump_version(connection)
        return close_backfill(connection, backfill_id, now) or row
    return end_backfill(connection, backfill_id, state, now)


def _backfill(connection: sqlite3.Connection, backfill_id: str) -> BackfillRow:
    found: Sequence[object] | None = connection.execute(statements("catalog")["backfill"], (backfill_id,)).fetchone()
    if found is None:
        raise UnknownBackfillError(backfill_id=backfill_id)
    return backfill_row(found)
