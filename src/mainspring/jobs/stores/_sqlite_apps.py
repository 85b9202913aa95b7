"""Whose a store in SQLite is."""

import sqlite3

from mainspring.jobs.stores._apps import AppName
from mainspring.jobs.stores._sqlite_rows import id_list
from mainspring.jobs.stores._sqlite_sql import statements


def owner_of(connection: sqlite3.Connection) -> str | None:
    """Return the label of the app that a store belongs to; None in a schema that does not say."""
    sql = statements("apps")
    if connection.execute(sql["known"]).fetchone() is None:
        return None
    row = connection.execute(sql["owner"]).fetchone()
    return None if row is None else str(row[0])


def adopt(connection: sqlite3.Connection, app: AppName, store: str) -> None:
    """Give a store that is nobody's, or that of what the app was, to the app; runs inside a group.

    Raises:
        StoreTakenError: it belongs to another app.
    """
    connection.execute(statements("apps")["adopt"], (app.label, id_list(app.was)))
    app.check(owner_of(connection), store=store)
