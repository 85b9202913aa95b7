"""A thread that renews the leases of this process's nodes while its loop is blocked, for a bounded time.

A handler that computes on the loop for twenty seconds is bad manners, but no reason to give its node's runs to
another. The thread has a connection of its own, since the writer may be in the middle of a group.
"""

import logging
import math
import sqlite3
import threading
from pathlib import Path

from mainspring.base import current_clock
from mainspring.errors import StorageError
from mainspring.jobs.stores._instants import monotonic_us
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.storage import connect, is_busy

log = logging.getLogger(__name__)

BEATS_PER_LEASE = 6
BUSY_POLL = 0.005  # seconds between two tries at a locked file


class Heart:
    """Beats for the epochs it was given; its methods are called on the loop.

    Args:
        database: the file that the store has opened.
        lease: seconds that a beat is good for.
        max_block: seconds without a `tick` after which it beats no more, until the next one.
    """

    def __init__(self, database: Path, *, lease: float, max_block: float) -> None:
        self._database = database
        self._lease = lease
        self._max_block = max_block
        self._epochs: set[int] = set()
        self._lease_ends: dict[int, float] = {}
        self._ticked_at = 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def beat_for(self, epoch: int) -> None:
        """Renew this epoch from now on."""
        self.tick()
        self._epochs.add(epoch)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mainspring-heartbeat", daemon=True)
            self._thread.start()

    def forget(self, epoch: int) -> None:
        """Renew this epoch no more."""
        self._epochs.discard(epoch)
        self._lease_ends.pop(epoch, None)

    def lease_end(self, epoch: int) -> float:
        """Return until when the thread has renewed this epoch, on the monotonic clock; minus infinity if never."""
        return self._lease_ends.get(epoch, -math.inf)

    def tick(self) -> None:
        """Show that the loop runs."""
        self._ticked_at = current_clock().monotonic()

    def stop(self) -> None:
        """End the thread; it waits nowhere longer than a few milliseconds."""
        self._epochs.clear()
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def beat(self, connection: sqlite3.Connection) -> int:
        """Renew the leases if the loop has ticked lately; return how many still live."""
        epochs = tuple(self._epochs)
        if not epochs or current_clock().monotonic() - self._ticked_at > self._max_block:
            return 0
        expires_at = monotonic_us() + round(self._lease * 1_000_000)
        count = connection.executemany(statements("nodes")["renew"], [(expires_at, e) for e in epochs]).rowcount
        if count == len(epochs):  # else one of them is dead, and its node is about to learn that
            self._lease_ends.update(dict.fromkeys(epochs, expires_at / 1_000_000))
        return count

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        wait = self._lease / BEATS_PER_LEASE
        try:
            while not self._stopped.wait(wait):
                wait = self._lease / BEATS_PER_LEASE
                try:
                    # here and not before: another process may be recovering the file, which locks out openers too
                    connection = connection or connect(self._database, durability="process")
                    self.beat(connection)
                except (sqlite3.Error, StorageError) as exc:
                    if isinstance(exc, sqlite3.Error) and is_busy(exc):  # somebody is in the middle of a group
                        wait = BUSY_POLL
                    else:
                        log.warning("a heartbeat of %s failed: %s", self._database, exc)
        finally:
            if connection is not None:
                connection.close()
