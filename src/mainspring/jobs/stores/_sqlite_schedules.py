"""What people do to schedules in SQLite: pause, resume, put another one over that of the code."""

import sqlite3
from collections.abc import Iterable

from mainspring.jobs.stores._catalog_records import Advance, JobRow
from mainspring.jobs.stores._sqlite_rows import Row, as_blob, job_row
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._steering_records import Origin, ScheduleRow, SetSchedule


def set_paused(connection: sqlite3.Connection, job_id: str, paused: bool) -> JobRow | None:
    """Hold or free the scheduled runs of a job; triggers do it, and tell the nodes."""
    connection.execute(statements("catalog")["set_paused"], (paused, job_id))
    return _job(connection, job_id)


def set_schedule(connection: sqlite3.Connection, command: SetSchedule, now: int) -> JobRow | None:
    """Put a schedule over that of the code, or take it away; nothing changes when it is there already."""
    row = _job(connection, command.job_id)
    if row is None or row.override == command.override:
        return row
    cursor = command.cursor if row.cursor is None else row.cursor
    if command.override is None and row.schedule is None:
        cursor = None  # as before any schedule: the next one begins when it comes
    connection.execute(statements("schedules")["override"], (command.override, cursor, command.job_id))
    remember_schedule(connection, command.job_id, "reset" if command.override is None else "override", now)
    connection.execute(statements("nodes")["bump_version"])
    return _job(connection, command.job_id)


def remember_schedule(connection: sqlite3.Connection, job_id: str, origin: Origin, now: int) -> None:
    """Write down the version that a job's schedule has got."""
    connection.execute(statements("schedules")["remember"], (now, origin, job_id))


def begin_schedules(connection: sqlite3.Connection, advances: Iterable[Advance]) -> None:
    """Write down where versions begin that had no cursor until now."""
    begun = [(one.cursor_to, one.job_id, one.version) for one in advances if one.cursor_from is None]
    if begun:
        connection.executemany(statements("schedules")["begin"], begun)


def list_schedules(connection: sqlite3.Connection, job_id: str, before: int | None, limit: int) -> list[ScheduleRow]:
    """Return the versions of a job's schedule, newest first."""
    rows = connection.execute(statements("schedules")["list"], (job_id, 2**62 if before is None else before, limit))
    return [_schedule_row(row) for row in rows]


def _job(connection: sqlite3.Connection, job_id: str) -> JobRow | None:
    row = connection.execute(statements("catalog")["job"], (job_id,)).fetchone()
    return None if row is None else job_row(row)


def _schedule_row(row: Row) -> ScheduleRow:
    return ScheduleRow(
        job_id=row[0], version=row[1], schedule=as_blob(row[2]), since=row[3], created_at=row[4], origin=row[5]
    )
