"""Events of runs in SQLite; the functions that write run inside a group."""

import sqlite3
from collections.abc import Iterable, Sequence

from mainspring.jobs.stores._events import EVENTS_KEPT, EventKind, EventRow, Happened, event_row
from mainspring.jobs.stores._records import RunRecord
from mainspring.jobs.stores._sqlite_rows import ended_record, id_list, live_record
from mainspring.jobs.stores._sqlite_sql import statements


def keep_events(connection: sqlite3.Connection, events: Iterable[tuple[int, str, str, Happened]]) -> None:
    """Keep (instant, job id, run id, event); most ends bring none."""
    rows = [(at, event.kind.value, job_id, run_id, event.detail) for at, job_id, run_id, event in events]
    if rows:
        sql = statements("events")
        connection.executemany(sql["add"], rows)
        connection.executemany(sql["drop_oldest"], [(run_id, EVENTS_KEPT) for run_id in {row[3] for row in rows}])


def events_of(connection: sqlite3.Connection, run_id: str) -> list[EventRow]:
    """Return what befell a run, oldest first."""
    return [event_row(row) for row in connection.execute(statements("events")["of_run"], (run_id,))]


def note_late(
    connection: sqlite3.Connection, job_id: str, scheduled_before: int, ended: Sequence[str], now: int
) -> list[RunRecord]:
    """Note which runs of a job are late, those that were not noted before; return them."""
    sql = statements("events")
    parameters = {"job_id": job_id, "before": scheduled_before}
    late = [live_record(row) for row in connection.execute(sql["late"], parameters)]
    if ended:
        late += [ended_record(row) for row in connection.execute(sql["ended_late"], {"ids": id_list(ended)})]
    keep_events(connection, [(now, job_id, record.run_id, Happened(EventKind.LATE)) for record in late])
    return late


def note_stranded(connection: sqlite3.Connection, run_ids: Sequence[str], now: int) -> list[RunRecord]:
    """Note that nobody takes these runs, those that live and were not noted before; return them."""
    rows = connection.execute(statements("events")["stranded"], {"ids": id_list(run_ids)})
    records = [live_record(row) for row in rows]
    keep_events(connection, [(now, one.job_id, one.run_id, Happened(EventKind.STRANDED)) for one in records])
    return records
