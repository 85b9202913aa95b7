"""The done-set in SQLite: paints intervals over what is known and keeps neighbours merged.

A state covers what is weaker than itself: succeeded over failed over skipped. A later failure does not take a
success back, whose rows still stand; a skipped range never hides what happened.
"""

import sqlite3
from collections.abc import Iterable

from mainspring.jobs.stores._sqlite_sql import statements

Range = tuple[int, int, str]

STRENGTH = {"skipped": 1, "failed": 2, "succeeded": 3}


def paint_all(connection: sqlite3.Connection, marks: Iterable[tuple[str, int, int, str]]) -> None:
    """Add (job id, start, end, state) marks; adjacent ones of a job are joined before the table is touched."""
    by_job: dict[str, list[Range]] = {}
    for job_id, start, end, state in marks:
        by_job.setdefault(job_id, []).append((start, end, state))
    for job_id, ranges in by_job.items():
        for start, end, state in join(sorted(ranges)):
            paint(connection, job_id, start, end, state)


def paint(connection: sqlite3.Connection, job_id: str, start: int, end: int, state: str) -> None:
    """Add one range to the done-set of a job."""
    if end <= start:
        return
    sql = statements("catalog")
    rows: list[Range] = connection.execute(sql["done_touching"], (job_id, start, end)).fetchall()
    touching = [row for row in rows if row[1] >= start]
    wanted = join(overlay(touching, (start, end, state)))
    if wanted == touching:
        return
    kept = set(touching) & set(wanted)
    connection.executemany(sql["delete_done"], [(job_id, row[0]) for row in touching if row not in kept])
    connection.executemany(sql["insert_done"], [(job_id, *row) for row in wanted if row not in kept])


def overlay(known: list[Range], mark: Range) -> list[Range]:
    """Return disjoint sorted ranges that cover `known` and `mark`, the stronger state where they overlap."""
    start, end, state = mark
    result: list[Range] = []
    free_from = start
    for known_start, known_end, known_state in known:
        stronger = STRENGTH[known_state] > STRENGTH[state]
        if stronger and known_start < end and known_end > start:
            if free_from < known_start:
                result.append((free_from, known_start, state))
            result.append((known_start, known_end, known_state))
            free_from = max(free_from, known_end)
            continue
        if known_start < start:
            result.append((known_start, min(known_end, start), known_state))
        if known_end > end:
            result.append((max(known_start, end), known_end, known_state))
    if free_from < end:
        result.append((free_from, end, state))
    return sorted(result)


def join(ranges: list[Range]) -> list[Range]:
    """Merge neighbours of one state; `ranges` are sorted, and overlap only in the same state."""
    joined: list[Range] = []
    for start, end, state in ranges:
        if joined and joined[-1][1] >= start and joined[-1][2] == state:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), state)
        else:
            joined.append((start, end, state))
    return joined
