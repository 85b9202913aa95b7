"""The writing side of a SQLite owner: takes the lock fairly, writes groups, keeps them short."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from mainspring.base import current_clock
from mainspring.errors import ClosedError, MainspringError, StoreBusyError
from mainspring.storage._sqlite_errors import is_busy, store_error, translated
from mainspring.storage._sqlite_files import MEMORY, Durability, connect, prepare_path
from mainspring.storage._sqlite_group import Batch, Handler, write_group
from mainspring.storage._sqlite_guard import guard
from mainspring.storage._sqlite_migrate import Migration, is_current, is_found, migrate

BUSY_POLL = 0.0005  # seconds; well below the pause that a polite neighbour makes after each group
MAX_BUSY_POLL = 0.01
_WAL = "PRAGMA journal_mode=WAL"


class Writer:
    """One writing connection; every method but `add_handler` is called by one thread at a time.

    Args:
        path: the file, or ":memory:".
        durability: what a commit survives.
        busy_timeout: seconds to wait for another process.
        pause: waits that many seconds between two tries.
    """

    def __init__(
        self, path: Path, *, durability: Durability, busy_timeout: float, pause: Callable[[float], None]
    ) -> None:
        self._path = path
        self._durability: Durability = durability
        self._busy_timeout = busy_timeout
        self._pause = pause
        self._connection: sqlite3.Connection | None = None
        self._guarded: Collection[Path] = ()
        self._handlers: list[Handler] = []
        self.costs: list[float] = []  # by channel: seconds that one of its commands took of late
        self.commit_cost = 0.0  # seconds that a commit took of late

    def add_handler(self, handler: Handler) -> int:
        """Take on the handler of a channel; return its number, which is also its place in a group."""
        self._handlers.append(handler)
        self.costs.append(0.0)
        return len(self._handlers) - 1

    def open(
        self,
        migrations: Sequence[Migration],
        *,
        application: str,
        admit: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """Open the file and bring its schema up to date; see `SqliteOwner.open`."""
        in_memory = str(self._path) == MEMORY
        if not in_memory:
            prepare_path(self._path)
            self._guarded = guard.add(self._path)
        try:
            # Until the file is known, SQLite itself waits: whoever closes the file last locks it for a moment.
            place, wait_ms = MEMORY if in_memory else self._path, int(self._busy_timeout * 1000)
            self._connection = connect(place, durability=self._durability, wait_ms=wait_ms)
            found = bool(migrations) and is_found(self._connection, application=application)
            if not found:
                if admit is not None:
                    admit(self._connection)
                self._connection.execute(_WAL)
            current = not migrations or is_current(self._connection, migrations, application=application)
            self._connection.execute("PRAGMA busy_timeout=0")
            if not current:
                self._migrate(self._connection, migrations, application)
            if found:  # it has been taken over; one that is refused stays as it was, its journal too
                self._connection.execute(_WAL)
        except sqlite3.Error as exc:
            raise translated(exc, str(self._path)) from exc

    def close(self) -> None:
        """Close the connection; may be called again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        guard.remove(self._guarded)
        self._guarded = ()

    def write(self, entries: Sequence[tuple[int, Any]]) -> list[Any]:
        """Write (channel number, command) pairs as one group; return an answer or an exception for each."""
        places: list[list[int]] = [[] for _ in self._handlers]
        for place, (channel, _) in enumerate(entries):
            places[channel].append(place)
        used = [channel for channel, found in enumerate(places) if found]
        batches = [(partial(self._handle, channel), [entries[p][1] for p in places[channel]]) for channel in used]
        try:
            if self._connection is None:
                raise ClosedError(what=f"the store {self._path}")
            answers = self._write_group(self._connection, batches, most=len(entries))
        except Exception as error:  # noqa: BLE001  # supervisor: the group's error is everybody's answer
            return _for_everyone(translated(error, str(self._path)), len(entries))
        placed: list[Any] = [None] * len(entries)
        for channel, batch in zip(used, answers, strict=True):
            for place, answer in zip(places[channel], batch, strict=True):
                placed[place] = answer
        return placed

    def _write_group(
        self, connection: sqlite3.Connection, batches: Sequence[Batch], *, most: int
    ) -> list[Sequence[Any]]:
        """Write a group, and write it again when a command made SQLite give the transaction up.

        The handler of that command is expected to answer it by itself then, so that the others do not suffer.
        """
        for _ in range(most):
            try:
                return write_group(connection, batches, begin=self._begin, commit=self._commit)
            except sqlite3.Error as error:
                if store_error(error, str(self._path)) is not None:
                    raise
        return write_group(connection, batches, begin=self._begin, commit=self._commit)

    def _handle(self, channel: int, connection: sqlite3.Connection, commands: Sequence[Any]) -> Sequence[Any]:
        """Run the commands of one channel, and note what each of them cost."""
        started = current_clock().monotonic()
        answers = self._handlers[channel](connection, commands)
        seconds = (current_clock().monotonic() - started) / len(commands)
        self.costs[channel] += (seconds - self.costs[channel]) / 4
        return answers

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock, waiting for other processes in small steps so that nobody starves."""
        deadline: float | None = None
        poll = BUSY_POLL
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as exc:
                if not is_busy(exc):
                    raise
                now = current_clock().monotonic()
                deadline = now + self._busy_timeout if deadline is None else deadline
                if now >= deadline:
                    raise self._held_too_long() from exc
                self._pause(poll)
                poll = min(poll * 1.2, MAX_BUSY_POLL)
            else:
                return

    def _commit(self, connection: sqlite3.Connection) -> None:
        """Commit, and note what that cost: the lock is held until the disk has answered."""
        started = current_clock().monotonic()
        connection.execute("COMMIT")
        self.commit_cost += (current_clock().monotonic() - started - self.commit_cost) / 4

    def _held_too_long(self) -> StoreBusyError:
        return StoreBusyError(
            store=str(self._path),
            reason=f"another process kept it locked for {self._busy_timeout:g} s",
            hint="look for a program that holds a transaction open on this file",
        )

    def _migrate(self, connection: sqlite3.Connection, migrations: Sequence[Migration], application: str) -> None:
        self._begin(connection)
        try:
            migrate(connection, migrations, application=application, store=str(self._path))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _for_everyone(error: BaseException, count: int) -> list[BaseException]:
    """Return one error per caller; a shared instance would gather all their tracebacks."""
    if not isinstance(error, MainspringError):
        return [error] * count
    copies: list[BaseException] = [copy(error) for _ in range(count)]
    for one in copies:
        one.__cause__ = error.__cause__
    return copies
