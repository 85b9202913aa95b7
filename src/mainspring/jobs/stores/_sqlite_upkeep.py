"""Looking after a store in SQLite: what contradicts itself, a copy, the version of its schema.

Each has a connection and a snapshot of its own: it may take longer than any reader is allowed to.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.storage import connect_reader, has_file, translated

T = TypeVar("T")


def find_problems(connection: sqlite3.Connection) -> list[str]:
    """Return a sentence for each thing that contradicts another, twenty of a kind at most."""
    return [str(row[0]) for sql in statements("check").values() for row in connection.execute(sql)]


def look(path: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work` in one snapshot of a file, however long it takes.

    Raises:
        StorageError: the file cannot be read (each its own class).
    """
    try:
        with closing(connect_reader(path)) as connection:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")
    except sqlite3.Error as exc:
        raise translated(exc, str(path)) from exc


def file_version(path: Path) -> int | None:
    """Return the version of a file's schema, None when there is no file.

    Raises:
        StorageError: the file cannot be read (each its own class).
    """
    return look(path, _version) if has_file(path) else None


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
