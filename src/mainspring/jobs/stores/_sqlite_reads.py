"""What people list from SQLite; every function runs on a reader connection, in one snapshot."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mainspring.base import first_id_at
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, DoneRange, JobRow
from mainspring.jobs.stores._done import join
from mainspring.jobs.stores._records import ID_CLOCKS_APART, RunFilter, RunRecord
from mainspring.jobs.stores._sqlite_reports import with_progress
from mainspring.jobs.stores._sqlite_rows import LIVE, backfill_row, ended_record, id_list, job_row, live_record
from mainspring.jobs.stores._sqlite_sql import statements

MINIMUM_PREFIX = 6
_BEFORE_ALL = -(2**63)
BEHIND = "\U0010ffff"  # sorts after every character of an id


def find_run(connection: sqlite3.Connection, run_id: str) -> RunRecord | None:
    """Return the run of an id, or of a prefix that only one run has."""
    if len(run_id) < MINIMUM_PREFIX:
        return None
    sql = statements("reads")
    span = (run_id, run_id + BEHIND)
    found = [live_record(row) for row in connection.execute(sql["live_by_prefix"], span)]
    found += [ended_record(row) for row in connection.execute(sql["ended_by_prefix"], span)]
    exact = [record for record in found if record.run_id == run_id]
    one = with_progress(connection, exact or found)
    return one[0] if len(one) == 1 else None


def list_runs(connection: sqlite3.Connection, which: RunFilter) -> list[RunRecord]:
    """Return a page of runs, newest first."""
    parameters: dict[str, Any] = {"limit": which.limit}  # Any: what SQLite binds
    conditions = ["1"]
    if which.job_id is not None:
        conditions.append("job_id = :job_id")
        parameters["job_id"] = which.job_id
    if which.backfill_id is not None:
        conditions.append("backfill_id = :backfill_id")
        parameters["backfill_id"] = which.backfill_id
    if which.before is not None:
        conditions.append("run_id < :before")
        parameters["before"] = which.before
    if which.created_from is not None:
        conditions.append("created_at >= :created_from AND run_id >= :first_id")
        parameters["created_from"] = which.created_from
        parameters["first_id"] = first_id_at(which.created_from - ID_CLOCKS_APART)
    if which.created_to is not None:
        conditions.append("created_at < :created_to AND run_id < :last_id")
        parameters["created_to"] = which.created_to
        parameters["last_id"] = first_id_at(which.created_to + ID_CLOCKS_APART)
    where = " AND ".join(conditions)
    records: list[RunRecord] = []
    for table, condition in _parts_of(which.states):
        statement = statements("reads")[f"{table}_page"].replace("{where}", f"{where} AND {condition}")
        make = ended_record if table == "ended" else live_record
        records += [make(row) for row in connection.execute(statement, parameters)]
    page = sorted(records, key=lambda record: record.run_id, reverse=True)[: which.limit]
    return with_progress(connection, page)


def _parts_of(states: frozenset[RunState]) -> Iterator[tuple[str, str]]:
    """Yield (table, condition) for what is to be read: each state by itself, so that it can have an index."""
    if not states:
        yield from (("live", "1"), ("ended", "1"))
    for state in sorted(states):
        condition = f"state = '{state.value}'"
        if state is RunState.RUNNING:
            yield "running", condition
        elif not state.terminal:
            yield "live", condition
        elif state is RunState.SUCCEEDED:
            yield "ended", condition
        else:
            yield "ended", f"{condition} AND state <> 'succeeded'"  # these words are what the index is for


def ended_runs(connection: sqlite3.Connection, run_ids: Sequence[str]) -> list[RunRecord]:
    """Return the records of those that have ended."""
    rows = connection.execute(statements("reads")["ended"], (id_list(run_ids),))
    return [ended_record(row) for row in rows]


def unknown_runs(connection: sqlite3.Connection, run_ids: Sequence[str]) -> list[str]:
    """Return those that no run has, as they stand at one instant: a run may end meanwhile."""
    known = {row[0] for row in connection.execute(statements("runs")["known_runs"], (id_list(run_ids),))}
    return [run_id for run_id in dict.fromkeys(run_ids) if run_id not in known]


def list_jobs(connection: sqlite3.Connection) -> list[JobRow]:
    """Return every job, by id."""
    return [job_row(row) for row in connection.execute(statements("reads")["jobs"])]


def count_runs(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Return (job id, state, number of runs), sorted; available are those that have not ended and are nothing else."""
    sql = statements("reads")
    counts, available = Counter[tuple[str, str]](), RunState.AVAILABLE.value
    for job_id, state, count in connection.execute(sql["tally"]):
        counts[job_id, available if state == LIVE else state] += count
    for name in ("unusual_counts", "running_counts"):
        for job_id, state, count in connection.execute(sql[name]):
            counts[job_id, state] += count
            counts[job_id, available] -= count
    return sorted((job_id, state, count) for (job_id, state), count in counts.items() if count)


def done_ranges(connection: sqlite3.Connection, job_id: str, start: int, end: int) -> list[DoneRange]:
    """Return the ranges of a job's done-set that touch [start, end)."""
    rows = connection.execute(statements("reads")["done"], (job_id, start, end)).fetchall()
    touching = [(low, high, state) for low, high, state in rows if high > start]
    return [DoneRange(state=state, start=low, end=high) for low, high, state in join(touching)]  # type: ignore[arg-type]  # the column holds the three words


def waiting_runs(
    connection: sqlite3.Connection, jobs: frozenset[str], limit: int, after: RunRecord | None
) -> list[RunRecord]:
    """Return runs of these jobs that wait for what they need, oldest interval first, behind one seen before."""
    found: list[RunRecord] = []
    place = (_BEFORE_ALL, "") if after is None else (after.interval_start, after.run_id)
    for row in connection.execute(statements("reads")["waiting"], place):
        if row[1] in jobs:
            found.append(live_record(row))
            if len(found) >= limit:
                break
    return found


def find_backfill(connection: sqlite3.Connection, backfill_id: str) -> BackfillRow | None:
    """Return one backfill."""
    row = connection.execute(statements("catalog")["backfill"], (backfill_id,)).fetchone()
    return None if row is None else backfill_row(row)


def list_backfills(
    connection: sqlite3.Connection,
    job_id: str | None,
    states: frozenset[BackfillState],
    before: str | None,
    limit: int,
) -> list[BackfillRow]:
    """Return backfills, newest first."""
    parameters: dict[str, Any] = {"limit": limit, "job_id": job_id, "before": before}  # Any: what SQLite binds
    conditions = ["1" if job_id is None else "job_id = :job_id"]
    if before is not None:
        seen = "(SELECT created_at, backfill_id FROM backfill WHERE backfill_id = :before)"
        conditions.append(f"(created_at, backfill_id) < {seen}")
    if states:
        conditions.append("state IN (SELECT value FROM json_each(:states))")
        parameters["states"] = id_list(sorted(state.value for state in states))
    statement = statements("reads")["backfills"].replace("{where}", " AND ".join(conditions))
    return [backfill_row(row) for row in connection.execute(statement, parameters)]
