"""How many runs of each job are in each state: one statement for all jobs whose number of one state changes."""

import sqlite3
from collections.abc import Mapping

from mainspring.base import encode_json
from mainspring.jobs.stores._sqlite_sql import statements


def add_tally(connection: sqlite3.Connection, state: str, counts: Mapping[str, int]) -> None:
    """Add to the numbers of runs in `state`, by job."""
    if counts:
        connection.execute(statements("runs")["add_tally"], (state, encode_json(counts).decode()))
