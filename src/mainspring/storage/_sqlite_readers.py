"""The reading side of a SQLite owner: a few connections, each read one snapshot of bounded age."""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar  # Any: a row has the types that the statement gives it

from mainspring.base import current_clock
from mainspring.errors import StoreReadTimeoutError
from mainspring.storage._sqlite_errors import primary_code, translated
from mainspring.storage._sqlite_files import connect_reader

T = TypeVar("T")

READ_LIMIT = 1.0  # seconds; a longer snapshot would keep the write-ahead log from shrinking
STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's virtual machine, between two looks at the clock


class Readers:
    """Reader connections, opened when needed; there are never more than threads that read at once.

    Args:
        path: the file.
        limit: seconds after which a read is ended.
    """

    def __init__(self, path: Path, *, limit: float = READ_LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._idle: deque[sqlite3.Connection] = deque()  # append and pop are safe from any thread

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one snapshot; safe from several threads.

        Raises:
            StoreReadTimeoutError: the snapshot was held for longer than `limit`.
        """
        connection = self._take()
        try:
            return self._in_snapshot(connection, work)
        except sqlite3.Error as exc:
            if primary_code(exc) == sqlite3.SQLITE_INTERRUPT:
                raise StoreReadTimeoutError(store=str(self._path), limit=self._limit) from exc
            raise translated(exc, str(self._path)) from exc
        finally:
            connection.set_progress_handler(None, STEPS_BETWEEN_LOOKS)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    def fetch_one(self, statement: str, parameters: Sequence[object]) -> tuple[Any, ...] | None:
        """Return the first row of a statement that is quick by itself, a look-up by key; safe from several threads."""
        connection = self._take()
        try:
            row: tuple[Any, ...] | None = connection.execute(statement, parameters).fetchone()
        except sqlite3.Error as exc:
            raise translated(exc, str(self._path)) from exc
        finally:
            self._idle.append(connection)
        return row

    def look_up(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a work of a single statement that is quick by itself, for which no snapshot need be begun."""
        connection = self._take()
        try:
            return work(connection)
        except sqlite3.Error as exc:
            raise translated(exc, str(self._path)) from exc
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.popleft().close()

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return connect_reader(self._path)

    def _in_snapshot(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        clock = current_clock()
        deadline = clock.monotonic() + self._limit
        connection.set_progress_handler(lambda: clock.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
        connection.execute("BEGIN")
        return work(connection)
