"""Brings runs in SQLite that have not ended under the limits, and the priority, that their job has now."""

import sqlite3
from collections.abc import Sequence

from mainspring.base import encode_json
from mainspring.jobs.stores._catalog_records import JobRegistration
from mainspring.jobs.stores._limits import job_key
from mainspring.jobs.stores._sqlite_rows import encode_limits
from mainspring.jobs.stores._sqlite_sql import statements

_RENAMES = ("rename_runs", "rename_kept", "rename_parked", "rename_counter", "rename_drop")


def rename_limits(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Count the runs of a renamed job, those that hold a place as well, under its new name."""
    parameters = {"old": job_key(old), "new": job_key(new)}
    # a quote within a JSON string is escaped, so that nothing but a whole key looks like this
    before, after = (f"[{encode_json(key).decode()}," for key in parameters.values())
    parameters |= {"before": before, "after": after}
    for name in _RENAMES:
        connection.execute(statements("backlog")[name], parameters)


def renew_backlog(connection: sqlite3.Connection, jobs: Sequence[JobRegistration], now: int) -> None:
    """Give runs the limits and priorities of their jobs: one look at all jobs, and two statements for each changed."""
    wanted = {
        job.job_id: (-job.priority, encode_limits(job.limits) if job.limits else None)
        for job in jobs
        if job.limits is not None
    }
    sql = statements("backlog")
    outdated = connection.execute(sql["outdated"], (encode_json(wanted).decode(),)).fetchall()
    for (job_id,) in outdated:
        rank, limits = wanted[job_id]
        for name in ("renew", "renew_running"):
            connection.execute(sql[name], {"job": job_id, "rank": rank, "limits": limits, "now": now})
