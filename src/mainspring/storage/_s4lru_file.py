"""The file behind an `S4LRU`: takes changes at once, writes them in groups in a thread of its own.

What waits is kept by key, so the newest state of a key replaces the one before and memory is bounded by the
number of keys. The thread lives while there is something to write and a moment longer; it is no daemon, so a
program that ends by itself writes what it handed in.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mainspring.errors import ClosedError, StorageError, StoreForkedError
from mainspring.storage._sqlite_errors import translated
from mainspring.storage._sqlite_files import Durability, connect_reader
from mainspring.storage._sqlite_migrate import Migration
from mainspring.storage._sqlite_writer import Writer

LINGER = 0.05  # seconds; a thread costs less to keep for that long than to start for every key
GROUP = 10_000

_SCHEMA = "CREATE TABLE IF NOT EXISTS lru(key TEXT PRIMARY KEY, size INTEGER, level INTEGER, count INTEGER)"
_MIGRATIONS = (Migration(1, _SCHEMA),)
_LOAD = "SELECT key, size, level FROM lru ORDER BY level, count, rowid"
_NEW = "INSERT OR REPLACE INTO lru VALUES (?1, ?2, ?3, ?4)"
_ADD = """INSERT INTO lru VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT(key) DO UPDATE SET size = ?2, level = ?3, count = count + ?4"""
_DROP = "DELETE FROM lru WHERE key = ?1"


class LruRow(NamedTuple):
    """The state of a key on its way to the file; `new` replaces what an evicted key of that name left."""

    size: int
    level: int
    touches: int
    new: bool


_Entry = tuple[str, LruRow | None]


class LruFile:
    """Rows of an LRU on disk; every method may be called from any thread.

    Raises:
        StorageError: the file cannot be opened (see `SqliteOwner.open`).
    """

    def __init__(self, path: Path, *, durability: Durability, busy_timeout: float = 30.0) -> None:
        self.path = path
        self._state = threading.Condition()
        self._waiting: dict[str, LruRow | None] = {}
        self._writing = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None  # of the last attempt; what it concerns still waits
        self._dropped: BaseException | None = None  # of rows that can never be stored, until a flush tells it
        self.closed = False
        self._process = os.getpid()
        self._writer = Writer(path, durability=durability, busy_timeout=busy_timeout, pause=_pause)
        self._channel = self._writer.add_handler(_write_rows)
        self._writer.open(_MIGRATIONS, application="mainspring-s4lru")
        weakref.finalize(self, self._writer.close)  # an LRU that nobody closes must not leave a connection

    def load(self) -> list[tuple[str, int, int]]:
        """Return (key, size, level) of every row, least used first within its level."""
        connection = connect_reader(self.path)
        try:
            return connection.execute(_LOAD).fetchall()
        finally:
            connection.close()

    def put(self, key: str, row: LruRow | None) -> None:
        """Hand in the new state of a key, None when it is gone; does not wait.

        Raises:
            ClosedError: the file was closed.
            StoreForkedError: the file was opened by a parent process.
        """
        with self._state:
            self._check_open()
            self._waiting[key] = _merged(self._waiting.get(key), row)
            self._wake()

    def flush(self) -> None:
        """Wait until what was handed in is committed; what failed before is tried again.

        Raises:
            StorageError: it cannot be written; it stays and the next call tries again.
            OverflowError: a size is beyond 64 bits; that row was dropped.
        """
        with self._state:
            self._check_open()
            self._failure = None
            if self._waiting:
                self._wake()
            self._state.wait_for(lambda: self._failure is not None or not (self._waiting or self._writing))
            failure, self._dropped = self._failure or self._dropped, None
            if failure is not None:
                raise failure

    def close(self) -> None:
        """Write what was handed in, then close the file; may be called again.

        Raises:
            StorageError: it cannot be written; the file is closed all the same.
        """
        if self.closed:
            return
        try:
            self.flush()
        finally:
            with self._state:
                self.closed = True
                thread = self._thread
                self._state.notify_all()
            if thread is not None:
                thread.join()
            self._writer.close()

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError(what=f"the LRU {self.path}")
        if os.getpid() != self._process:
            raise StoreForkedError(store=str(self.path))

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="mainspring-s4lru", daemon=False)
            self._thread.start()
        else:
            self._state.notify_all()

    def _next_group(self) -> list[_Entry]:
        """Take what waits; an empty list ends the thread."""
        with self._state:
            if not self._waiting and not self.closed:
                self._state.wait_for(lambda: self._waiting or self.closed, timeout=LINGER)
            group = list(islice(self._waiting.items(), GROUP))
            for key, _ in group:
                del self._waiting[key]
            self._writing = bool(group)
            if not group:
                self._thread = None
            return group

    def _write(self) -> None:
        while group := self._next_group():
            answers = self._writer.write([(self._channel, entry) for entry in group])
            failed = [(*entry, one) for entry, one in zip(group, answers, strict=True) if one is not None]
            with self._state:
                self._writing = False
                self._failure = self._give_back(failed)
                self._state.notify_all()
                if self._failure is not None:
                    self._thread = None
                    return

    def _give_back(self, failed: Sequence[tuple[str, LruRow | None, BaseException]]) -> BaseException | None:
        """Keep what the store did not take for the next attempt, but no row that can never be stored."""
        last: BaseException | None = None
        for key, row, error in failed:
            failure = translated(error, str(self.path))
            if not isinstance(failure, StorageError):
                self._dropped = failure
            else:
                last = failure
                # what came meanwhile is newer than what failed
                self._waiting[key] = _merged(row, self._waiting[key]) if key in self._waiting else row
        return last


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _merged(before: LruRow | None, after: LruRow | None) -> LruRow | None:
    if before is None or after is None or after.new:
        return after
    return LruRow(after.size, after.level, before.touches + after.touches, before.new)


def _write_rows(connection: sqlite3.Connection, entries: Sequence[_Entry]) -> list[BaseException | None]:
    rows = [(row.new, (key, row.size, row.level, row.touches)) for key, row in entries if row is not None]
    connection.executemany(_DROP, [(key,) for key, row in entries if row is None])
    connection.executemany(_NEW, [row for new, row in rows if new])
    connection.executemany(_ADD, [row for new, row in rows if not new])
    return [None] * len(entries)
