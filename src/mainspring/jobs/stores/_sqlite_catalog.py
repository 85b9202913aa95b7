"""Jobs, cursors and waiting runs in SQLite; every function runs inside a group."""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from mainspring.jobs.stores._catalog_records import Advance, AdvanceAnswer, JobRegistration, JobRow
from mainspring.jobs.stores._events import EventKind, happened
from mainspring.jobs.stores._sqlite_backlog import register_limits, rename_limits, renew_backlog
from mainspring.jobs.stores._sqlite_done import paint_all, parts_not_done
from mainspring.jobs.stores._sqlite_enqueue import Intake
from mainspring.jobs.stores._sqlite_events import keep_events
from mainspring.jobs.stores._sqlite_rows import id_list, job_row
from mainspring.jobs.stores._sqlite_schedules import begin_schedules, remember_schedule
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_tally import add_tally


def register(connection: sqlite3.Connection, jobs: Sequence[JobRegistration], now: int) -> tuple[list[JobRow], bool]:
    """Insert, rename and change jobs; return them as they then stand, and whether `renew` has more to do."""
    before = connection.total_changes
    for job in jobs:  # first, since a job may have today the id that another had
        _rename(connection, job)
    for job in jobs:
        _register(connection, job, now)
    register_limits(connection, jobs)
    is_behind = renew_backlog(connection, now)
    if connection.total_changes != before:
        bump_version(connection)
    return [_job(connection, job.job_id) for job in jobs], is_behind


def renew(connection: sqlite3.Connection, now: int) -> bool:
    """Bring the next part of the runs under the limits of their jobs; tell whether there may be more."""
    before = connection.total_changes
    is_behind = renew_backlog(connection, now)
    if connection.total_changes != before:
        bump_version(connection)
    return is_behind


def _register(connection: sqlite3.Connection, job: JobRegistration, now: int) -> None:
    sql = statements("catalog")
    known = connection.execute(sql["job"], (job.job_id,)).fetchone()
    if known is None:
        parameters = (job.job_id, job.schedule, job.cursor, job.next_fire_at, now)
        connection.execute(sql["insert_job"], parameters)
        remember_schedule(connection, job.job_id, "code", now)
        return
    row = job_row(known)
    if row.schedule != job.schedule:
        hidden = row.override is not None
        cursor = None if hidden else job.cursor
        connection.execute(sql["change_schedule"], (job.schedule, not hidden, cursor, hidden, job.job_id))
        if not hidden:
            remember_schedule(connection, job.job_id, "code", now)


def _rename(connection: sqlite3.Connection, job: JobRegistration) -> None:
    """Give the rows of the first known earlier id of a job that is not known the new one."""
    sql = statements("catalog")
    if not job.was or connection.execute(sql["job"], (job.job_id,)).fetchone() is not None:
        return
    for earlier in job.was:
        if connection.execute(sql["job"], (earlier,)).fetchone() is not None:
            newer = connection.execute(sql["done_of"], (job.job_id,)).fetchall()  # of calls by the new name
            connection.execute(sql["forget_done"], (job.job_id,))
            for statement in statements("rename").values():
                connection.execute(statement, (earlier, job.job_id))
            rename_limits(connection, earlier, job.job_id)
            paint_all(connection, [(job.job_id, *one) for one in newer])
            return


def _job(connection: sqlite3.Connection, job_id: str) -> JobRow:
    return job_row(connection.execute(statements("catalog")["job"], (job_id,)).fetchone())


def bump_version(connection: sqlite3.Connection) -> None:
    """Tell all nodes with their next heartbeat that something of the catalogue changed."""
    connection.execute(statements("nodes")["bump_version"])


def advance(
    connection: sqlite3.Connection, commands: Sequence[Advance], skip_ids: Sequence[Sequence[str]], now: int
) -> list[AdvanceAnswer]:
    """Move cursors and create what lies between; `skip_ids` are ids for the records of skipped ranges."""
    sql = statements("catalog")
    ids = id_list([command.job_id for command in commands])
    rows = {row[0]: job_row(row) for row in connection.execute(sql["jobs_of"], (ids,))}
    intake = Intake(connection, now)
    intake.expect(run for command in commands for run in command.runs)
    answers: list[AdvanceAnswer] = []
    for command, ids_of_skipped in zip(commands, skip_ids, strict=True):
        row = rows.get(command.job_id)
        if row is None or (row.version, row.cursor) != (command.version, command.cursor_from):
            answers.append(AdvanceAnswer(applied=False, row=row))
            continue
        row = rows[command.job_id] = replace(row, cursor=command.cursor_to, next_fire_at=command.next_fire_at)
        created = sum(intake.create(run).outcome == "created" for run in command.runs)
        _record_skipped(connection, command, ids_of_skipped, now)
        answers.append(AdvanceAnswer(applied=True, row=row, created_count=created))
    intake.flush()
    applied = [one for one, answer in zip(commands, answers, strict=True) if answer.applied]
    moved: dict[tuple[int | None, int | None], list[str]] = {}
    for one in applied:
        moved.setdefault((one.cursor_to, one.next_fire_at), []).append(one.job_id)
    for cursor, jobs in moved.items():
        connection.execute(sql["set_cursors"], (*cursor, id_list(jobs)))
    begin_schedules(connection, applied)
    return answers


def _record_skipped(connection: sqlite3.Connection, command: Advance, skip_ids: Sequence[str], now: int) -> None:
    if not command.skipped:
        return
    parts = [part for span in command.skipped for part in parts_not_done(connection, command.job_id, span)]
    rows = [(run_id, command.job_id, now, *part) for run_id, part in zip(skip_ids, parts, strict=False)]
    connection.executemany(statements("catalog")["skip_record"], rows)
    add_tally(connection, "skipped", {command.job_id: len(rows)})
    paint_all(connection, [(command.job_id, *span, "skipped") for span in command.skipped])
    why = happened(EventKind.SKIPPED, why=command.why or None)
    keep_events(connection, [(now, command.job_id, row[0], why) for row in rows])


def settle_waiting(
    connection: sqlite3.Connection, released: Sequence[str], blocked: Sequence[tuple[str, str]], now: int
) -> None:
    """Free waiting runs, and note why others still wait."""
    sql = statements("catalog")
    connection.executemany(sql["release_waiting"], [{"run_id": run_id, "now": now} for run_id in released])
    connection.executemany(sql["note_blocked"], [(reason, run_id) for run_id, reason in blocked])
