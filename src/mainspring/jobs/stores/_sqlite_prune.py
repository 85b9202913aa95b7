"""Removes ended runs from the history in SQLite, a few in one transaction."""

import sqlite3

from mainspring.jobs.stores._sqlite_rows import id_list
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_tally import add_tally
from mainspring.jobs.stores._steering_records import Prune, Pruned


def prune(connection: sqlite3.Connection, command: Prune, now: int) -> Pruned:
    """Remove the oldest runs that are not to be kept. Their logs go by a trigger."""
    sql = statements("prune")
    kept = connection.execute(sql["kept"], (command.job_id, command.state.value)).fetchone()
    excess = 0 if kept is None else kept[0] - command.count
    looked_at = _oldest(connection, command, min(excess, command.limit), now) if excess > 0 else []
    gone = [run_id for run_id, has_key in looked_at if not has_key]
    if gone:
        listed = id_list(gone)
        connection.execute(sql["delete_events"], (listed,))
        connection.execute(sql["delete_runs"], (listed,))
        add_tally(connection, command.state.value, {command.job_id: -len(gone)})
    last = looked_at[-1][0] if len(looked_at) == command.limit else None
    return Pruned(gone=len(gone), spared=len(looked_at) - len(gone), last=last)


def _oldest(connection: sqlite3.Connection, command: Prune, most: int, now: int) -> list[tuple[str, bool]]:
    parameters = {
        "now": now,
        "job_id": command.job_id,
        "state": command.state.value,
        "before": command.ended_before,
        "after": command.after,
        # ids grow with time: what was created later cannot have ended before, and need not be looked at
        "until": _first_id(command.ended_before),
        "most": most,
    }
    return connection.execute(statements("prune")["oldest"], parameters).fetchall()


def _first_id(microseconds: int) -> str:
    """Return what sorts before every id that was made at an instant or later."""
    digits = f"{max(microseconds, 0) // 1000 + 1:012x}"
    return f"{digits[:8]}-{digits[8:]}"
