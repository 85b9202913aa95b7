"""Removes ended runs from the history in SQLite, a few in one transaction."""

import sqlite3

from mainspring.jobs.stores._sqlite_rows import id_list
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_tally import add_tally
from mainspring.jobs.stores._steering_records import Prune


def prune(connection: sqlite3.Connection, command: Prune) -> int:
    """Remove the oldest runs that are not to be kept; return how many. Their logs go by a trigger."""
    ids = _too_old(connection, command)
    ids += _too_many(connection, command, ids)
    if ids:
        sql, listed = statements("prune"), id_list(ids)
        connection.execute(sql["delete_events"], (listed,))
        connection.execute(sql["delete_runs"], (listed,))
        add_tally(connection, command.state.value, {command.job_id: -len(ids)})
    return len(ids)


def _too_old(connection: sqlite3.Connection, command: Prune) -> list[str]:
    if command.ended_before is None:
        return []
    before = min(command.ended_before, command.spare_since)
    # ids grow with time: what was created later cannot have ended before, and need not be looked at
    parameters = (command.job_id, command.state.value, before, _first_id(before), command.limit)
    return [row[0] for row in connection.execute(statements("prune")["old"], parameters)]


def _too_many(connection: sqlite3.Connection, command: Prune, gone: list[str]) -> list[str]:
    if command.count is None:
        return []
    sql, key = statements("prune"), (command.job_id, command.state.value)
    kept = connection.execute(sql["kept"], key).fetchone()
    excess = 0 if kept is None else kept[0] - command.count
    wanted = min(excess, command.limit) - len(gone)
    if wanted <= 0:
        return []
    rows = connection.execute(sql["oldest"], (*key, command.spare_since, min(excess, command.limit)))
    known = set(gone)
    return [row[0] for row in rows if row[0] not in known][:wanted]


def _first_id(microseconds: int) -> str:
    """Return what sorts before every id that was made at an instant or later."""
    digits = f"{max(microseconds, 0) // 1000 + 1:012x}"
    return f"{digits[:8]}-{digits[8:]}"
