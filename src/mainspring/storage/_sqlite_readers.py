"""The reading side of a SQLite owner: a few connections, each read one snapshot of bounded age."""

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mainspring.base import current_clock
from mainspring.errors import StoreReadTimeoutError
from mainspring.storage._sqlite_errors import primary_code, translated
from mainspring.storage._sqlite_files import connect_reader

T = TypeVar("T")

READ_LIMIT = 1.0  # seconds; a longer snapshot would keep the write-ahead log from shrinking
STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's virtual machine, between two looks at the clock


class Readers:
    """Reader connections, opened when needed; there are never more than threads that read at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()  # append and pop are safe from any thread

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one snapshot; safe from several threads.

        Raises:
            StoreReadTimeoutError: the snapshot was held for longer than a second.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect_reader(self._path)
        try:
            return self._in_snapshot(connection, work)
        except sqlite3.Error as exc:
            if primary_code(exc) == sqlite3.SQLITE_INTERRUPT:
                raise StoreReadTimeoutError(store=str(self._path), limit=READ_LIMIT) from exc
            raise translated(exc, str(self._path)) from exc
        finally:
            connection.set_progress_handler(None, STEPS_BETWEEN_LOOKS)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.popleft().close()

    def _in_snapshot(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        clock = current_clock()
        deadline = clock.monotonic() + READ_LIMIT
        connection.set_progress_handler(lambda: clock.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
        connection.execute("BEGIN")
        return work(connection)
