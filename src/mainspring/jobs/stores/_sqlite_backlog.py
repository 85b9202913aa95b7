"""Brings runs in SQLite that have not ended under the limits, and the priority, that their job has now."""

import sqlite3
from collections.abc import Iterable, Sequence

from mainspring.base import encode_json
from mainspring.jobs.stores._catalog_records import JobRegistration
from mainspring.jobs.stores._limits import Registered, job_key
from mainspring.jobs.stores._sqlite_rows import decode_limits, encode_limits, id_list
from mainspring.jobs.stores._sqlite_sql import statements

RENEWED_AT_ONCE = 5000
"""Runs in one transaction: others write between two parts."""

_RENAMES = ("rename_runs", "rename_kept", "rename_parked", "rename_counter", "rename_drop")


def rename_limits(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Count the runs of a renamed job, those that hold a place as well, under its new name."""
    parameters = {"old": job_key(old), "new": job_key(new)}
    # a quote within a JSON string is escaped, so that nothing but a whole key looks like this
    before, after = (f"[{encode_json(key).decode()}," for key in parameters.values())
    parameters |= {"before": before, "after": after}
    for name in _RENAMES:
        connection.execute(statements("backlog")[name], parameters)


def register_limits(connection: sqlite3.Connection, jobs: Sequence[JobRegistration]) -> None:
    """Remember what the code says today; runs that live under something else are behind from now on."""
    said = {job.job_id: (-job.priority, None if job.limits is None else encode_limits(job.limits)) for job in jobs}
    connection.execute(statements("backlog")["register_limits"], (encode_json(said).decode(),))


def registered_limits(connection: sqlite3.Connection, jobs: Iterable[str]) -> dict[str, Registered]:
    """Return what runs of these jobs are to have, of those whose code says it."""
    rows = connection.execute(statements("backlog")["registered"], (id_list(sorted(jobs)),))
    return {
        job_id: Registered(tuple((key, most) for key, most in decode_limits(limits)), -rank)
        for job_id, limits, rank in rows
    }


def renew_backlog(connection: sqlite3.Connection, now: int) -> bool:
    """Bring one part of the runs that are behind under what their jobs say; tell whether there may be more."""
    sql = statements("backlog")
    left = RENEWED_AT_ONCE
    while (found := connection.execute(sql["behind"]).fetchone()) is not None:
        if left <= 0:
            return True
        job_id, after, rank, limits = found
        count, upto = connection.execute(sql["part"], (job_id, after, left)).fetchone()
        parameters = {"job": job_id, "after": after, "upto": upto, "rank": rank, "limits": limits, "now": now}
        connection.execute(sql["renew"], parameters)
        connection.execute(sql["reach"], (upto if count == left else None, job_id))
        left -= max(count, 1)
    return False
