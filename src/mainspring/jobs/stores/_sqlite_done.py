"""The done-set in SQLite: reads the ranges that a mark touches and writes what differs once it is painted."""

import sqlite3
from collections.abc import Iterable

from mainspring.jobs.stores._done import Range, joined_marks, painted, parts_to_skip
from mainspring.jobs.stores._records import NewRun
from mainspring.jobs.stores._sqlite_rows import id_list
from mainspring.jobs.stores._sqlite_sql import statements


def paint_all(connection: sqlite3.Connection, marks: Iterable[tuple[str, int, int, str]]) -> None:
    """Add (job id, start, end, state) marks; adjacent ones of a job are joined before the table is touched.

    Jobs on one schedule bring the same mark: where it goes on from what is done, as nearly always, one statement does.
    """
    alike: dict[Range, list[str]] = {}
    for job_id, mark in joined_marks(marks):
        alike.setdefault(mark, []).append(job_id)
    for mark, jobs in alike.items():
        start, end, state = mark
        parameters = {"jobs": id_list(jobs), "start": start, "end": end, "state": state}
        extended = {job_id for (job_id,) in connection.execute(statements("catalog")["extend_done"], parameters)}
        for job_id in jobs:
            if job_id not in extended:
                _paint(connection, job_id, mark)


def _paint(connection: sqlite3.Connection, job_id: str, mark: Range) -> None:
    sql = statements("catalog")
    rows: list[Range] = connection.execute(sql["done_touching"], (job_id, *mark[:2])).fetchall()
    touching = [row for row in rows if row[1] >= mark[0]]
    wanted = painted(touching, mark)
    if wanted == touching:
        return
    kept = set(touching) & set(wanted)
    connection.executemany(sql["delete_done"], [(job_id, row[0]) for row in touching if row not in kept])
    connection.executemany(sql["insert_done"], [(job_id, *row) for row in wanted if row not in kept])


def parts_not_done(connection: sqlite3.Connection, job_id: str, span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the parts of a range that are not done in any way."""
    return parts_to_skip(connection.execute(statements("catalog")["done_touching"], (job_id, *span)), span)


def has_succeeded(connection: sqlite3.Connection, run: NewRun) -> bool:
    """Tell whether the whole interval of a run is done already; false for a run without one."""
    interval = (run.job_id, run.interval_start, run.interval_end)
    return connection.execute(statements("catalog")["has_succeeded"], interval).fetchone() is not None
