"""Places under limits that ended attempts have kept in SQLite: let go by their node, or at its end."""

import sqlite3
from collections import Counter

from mainspring.jobs.stores._sqlite_ends import lower_counters
from mainspring.jobs.stores._sqlite_rows import decode_limits
from mainspring.jobs.stores._sqlite_sql import statements


def let_go(connection: sqlite3.Connection, run_id: str, fence: int, now: int) -> None:
    """Give back the places that an ended attempt has kept, if it still does."""
    _delete(connection, statements("runs")["let_go"], (run_id, fence), now)


def let_go_of_dead(connection: sqlite3.Connection, now: int) -> None:
    """Give back all places that epochs keep which have ended, also those that a node of an older version has ended."""
    _delete(connection, statements("runs")["let_go_of_dead"], (), now)


def _delete(connection: sqlite3.Connection, delete: str, whose: tuple[object, ...], now: int) -> None:
    rows = connection.execute(delete, whose).fetchall()
    if rows:
        lower_counters(connection, Counter(key for (limits,) in rows for key, _ in decode_limits(limits)), now)
