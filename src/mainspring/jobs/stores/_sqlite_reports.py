"""What attempts say, in SQLite: the lines that they log, and how far they are; read beside the records."""

import sqlite3
from collections.abc import Iterable, Sequence

from msgspec import structs

from mainspring.jobs.stores._ends import LOGS_KEPT
from mainspring.jobs.stores._records import AttemptLog, Finish, Progress, Report, RunRecord
from mainspring.jobs.stores._sqlite_rows import id_list
from mainspring.jobs.stores._sqlite_sql import statements


def keep_reports(connection: sqlite3.Connection, reports: Sequence[Report]) -> None:
    """Keep what attempts said that still run under their fence."""
    sql = statements("reports")
    logs = [(one.run_id, one.fence, one.attempt, one.log) for one in reports if one.log is not None]
    connection.executemany(sql["log"], logs)
    connection.executemany(sql["progress"], _rows(reports))


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


def keep_last_progress(connection: sqlite3.Connection, commands: Iterable[Finish]) -> None:
    """Keep how far these attempts came; most do not say."""
    rows = _rows(commands)
    if rows:
        connection.executemany(statements("reports")["last_progress"], rows)


def with_progress(connection: sqlite3.Connection, records: list[RunRecord]) -> list[RunRecord]:
    """Return the records with what their latest attempt said of its progress."""
    if not records:
        return records
    ids = id_list([record.run_id for record in records])
    rows = connection.execute(statements("reports")["progress_of"], (ids,))
    known = {(run_id, fence): Progress(done=done, total=total, at=at) for run_id, fence, done, total, at in rows}
    if not known:
        return records
    return [structs.replace(one, progress=known.get((one.run_id, one.fence))) for one in records]


def _rows(said: Iterable[Report | Finish]) -> list[tuple[str, int, float, float | None, int]]:
    told = ((one.run_id, one.fence, one.progress) for one in said)
    return [(run_id, fence, one.done, one.total, one.at) for run_id, fence, one in told if one is not None]
