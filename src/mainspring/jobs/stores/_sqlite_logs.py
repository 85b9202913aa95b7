"""What the attempts of runs logged, in SQLite."""

import sqlite3
from collections.abc import Iterable

from mainspring.jobs.stores._ends import LOGS_KEPT
from mainspring.jobs.stores._records import AttemptLog, Finish
from mainspring.jobs.stores._sqlite_sql import statements


def keep_logs(connection: sqlite3.Connection, commands: Iterable[Finish]) -> None:
    """Keep what these attempts logged; most say nothing."""
    rows = [(one.run_id, one.fence, one.attempt, one.log) for one in commands if one.log is not None]
    if rows:
        connection.executemany(statements("logs")["add"], rows)
        old = [(run_id, LOGS_KEPT) for run_id, _, attempt, _ in rows if attempt > LOGS_KEPT]
        connection.executemany(statements("logs")["drop_oldest"], old)


def logs_of(connection: sqlite3.Connection, run_id: str) -> list[AttemptLog]:
    """Return what the attempts of a run logged, oldest first."""
    rows = connection.execute(statements("logs")["of_run"], (run_id,))
    return [AttemptLog(run_id=run, fence=fence, attempt=attempt, log=log) for run, fence, attempt, log in rows]
