"""Cancels runs in SQLite: at once when nobody holds them, else as a request to their node."""

import sqlite3

from mainspring.jobs.stores._records import RunRecord
from mainspring.jobs.stores._sqlite_ends import cancellation, settle
from mainspring.jobs.stores._sqlite_rows import CANCEL_REQUESTED, LIMITS, ended_record, id_list, live_record
from mainspring.jobs.stores._sqlite_sql import statements


def cancel(connection: sqlite3.Connection, run_id: str, now: int) -> RunRecord | None:
    """Return the run as it then stands; None when there is none."""
    sql = statements("runs")
    row = connection.execute(sql["live_runs"], (id_list([run_id]),)).fetchone()
    if row is None:
        ended = connection.execute(sql["ended_run"], (run_id,)).fetchone()
        return None if ended is None else ended_record(ended)
    if row[3] == "running":
        connection.execute(sql["request_cancel"], (run_id,))
        asked = list(row[:LIMITS])
        asked[CANCEL_REQUESTED] = 1
        return live_record(asked)
    return settle(connection, [cancellation(row, now)], now)[0]
