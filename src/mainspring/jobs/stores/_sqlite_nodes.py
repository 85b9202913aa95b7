"""Nodes in SQLite: epochs, leases on the host's monotonic clock, heartbeats and rescue."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from mainspring.base import encode_json
from mainspring.errors import StoreOpenError
from mainspring.jobs.stores._ends import rescued
from mainspring.jobs.stores._instants import monotonic_us
from mainspring.jobs.stores._records import HeartbeatAnswer, NodeTakes, RunRecord
from mainspring.jobs.stores._sqlite_ends import Change, settle
from mainspring.jobs.stores._sqlite_kept import let_go_of_dead
from mainspring.jobs.stores._sqlite_locks import NodeLock, boot_id, look, remove
from mainspring.jobs.stores._sqlite_rows import ATTEMPT, CANCEL_REQUESTED, EPOCH, ERROR, RESCUES, Row, id_list
from mainspring.jobs.stores._sqlite_sql import statements

RENEWED_FROM = 0.9
"""The share of a lease that is left at least after a heartbeat: above it a renewal is not worth a write."""

KEPT_EPOCHS_US = 7 * 86_400 * 1_000_000


@dataclass(slots=True)
class Opening:
    """A node on its way into the file: a group may be tried again, and none of it may have been kept."""

    name: str
    takes: NodeTakes | None
    lock: NodeLock | None = None
    epoch: int | None = None


class Nodes:
    """The nodes of one store as this process sees them; its methods run inside a group.

    Args:
        database: the file, or None when it lies in memory and nobody else can reach it.
        lease: seconds that an epoch lives without a heartbeat.
    """

    def __init__(self, database: Path | None, *, lease: float) -> None:
        self._database = database
        self._lease_us = round(lease * 1_000_000)
        self._boot_id = boot_id()
        self._own: dict[int, NodeLock | None] = {}
        self.other_count = 0

    def open(self, connection: sqlite3.Connection, opening: Opening, now: int) -> int:
        """Register a node; return its epoch. Whoever does not get that calls `abandon`.

        Raises:
            StoreOpenError: a node of another host has the file open.
        """
        self._refuse_other_hosts(connection)
        self._disown(opening)
        if self._database is not None and opening.lock is None:
            opening.lock = NodeLock(self._database)
        opening.epoch = epoch = self._insert_epoch(connection, opening, now)
        self._own[epoch] = opening.lock
        self._count_others(connection)
        return epoch

    def abandon(self, opening: Opening) -> None:
        """Let a node that nobody knows of be dead: its number is not ours if it was not kept, and unused if it was."""
        self._disown(opening)
        if opening.lock is not None:
            opening.lock.release()

    def close(self, connection: sqlite3.Connection, epoch: int, now: int) -> None:
        """End an epoch of this process and free what it held; a rescue of this kind is not counted."""
        connection.execute(statements("nodes")["kill"], (now, epoch))
        let_go_of_dead(connection, now)
        self._free_orphans(connection, now, max_rescues=None)
        self.forget(epoch)

    def forget(self, epoch: int) -> None:
        """Drop the lock of an epoch."""
        lock = self._own.pop(epoch, None)
        if lock is not None:
            lock.release()

    def forget_all(self) -> None:
        """Drop every lock: the store is closed."""
        for epoch in list(self._own):
            self.forget(epoch)

    def heartbeat(self, connection: sqlite3.Connection, epoch: int, now: int) -> HeartbeatAnswer:
        """Renew a lease, if it is worth a write, and tell what others asked for."""
        sql = statements("nodes")
        lease = connection.execute(sql["lease"], (epoch,)).fetchone()
        if lease is None:
            self.forget(epoch)
        elif lease[0] - monotonic_us() < self._lease_us * RENEWED_FROM:
            connection.execute(sql["renew"], (self._expiry(), epoch))
        cancelled = connection.execute(sql["cancel_requests"], (epoch,)).fetchall()
        self._count_others(connection)
        return HeartbeatAnswer(
            alive=lease is not None,
            cancelled=tuple(row[0] for row in cancelled),
            version=connection.execute(sql["version"]).fetchone()[0],
            now=now,
        )

    def rescue(self, connection: sqlite3.Connection, max_rescues: int, now: int) -> list[RunRecord]:
        """Mark dead epochs and free their runs; also runs of epochs that died before."""
        for epoch, _, boot, lock_file, expires_at in connection.execute(statements("nodes")["living"]).fetchall():
            if self._is_dead(epoch, boot, lock_file, expires_at):
                connection.execute(statements("nodes")["kill"], (now, epoch))
                if self._database is not None and lock_file:
                    remove(self._lock_path(lock_file))
        self._count_others(connection)
        let_go_of_dead(connection, now)
        return self._free_orphans(connection, now, max_rescues=max_rescues)

    def _is_dead(self, epoch: int, boot: str, lock_file: str, expires_at: int) -> bool:
        if boot == self._boot_id and expires_at < monotonic_us():
            return True
        if epoch in self._own:
            return False
        return self._database is None or look(self._lock_path(lock_file)) != "held"

    def _disown(self, opening: Opening) -> None:
        if opening.epoch is not None:
            self._own.pop(opening.epoch, None)
            opening.epoch = None

    def _insert_epoch(self, connection: sqlite3.Connection, opening: Opening, now: int) -> int:
        sql = statements("nodes")
        connection.execute(sql["forget_epochs"], (now - KEPT_EPOCHS_US,))
        lock_file = "" if opening.lock is None else opening.lock.path.name
        said: tuple[str | None, ...] = (None, None)
        if opening.takes is not None:
            said = tuple(encode_json(sorted(one)).decode() for one in (opening.takes.jobs, opening.takes.queues))
        row = (opening.name, self._boot_id, lock_file, self._expiry(), now, *said)
        return connection.execute(sql["insert_epoch"], row).lastrowid or 0

    def _refuse_other_hosts(self, connection: sqlite3.Connection) -> None:
        if self._database is None:
            return
        for _, name, boot, lock_file, _ in connection.execute(statements("nodes")["living"]):
            if boot != self._boot_id and look(self._lock_path(lock_file)) == "held":
                raise StoreOpenError(
                    store=str(self._database),
                    reason=f"node {name!r} of another host has it open",
                    hint="nodes on several hosts need a server store: PostgreSQL or MySQL",
                )

    def _free_orphans(self, connection: sqlite3.Connection, now: int, *, max_rescues: int | None) -> list[RunRecord]:
        rows = connection.execute(statements("nodes")["orphans"]).fetchall()
        if not rows:
            return []
        # a late finish of the dead node must not find its epoch in the record and take it for its own
        connection.execute(statements("runs")["clear_epoch"], (id_list([row[0] for row in rows]),))
        changes = [_rescued(row, max_rescues, now) for row in rows]
        return settle(connection, changes, now)

    def _count_others(self, connection: sqlite3.Connection) -> None:
        living = {row[0] for row in connection.execute(statements("nodes")["living"])}
        self.other_count = len(living - set(self._own))

    def _expiry(self) -> int:
        return monotonic_us() + self._lease_us

    def _lock_path(self, lock_file: str) -> Path:
        database = self._database or Path()
        return database.with_name(database.name + "-nodes") / lock_file


def _rescued(row: Row, max_rescues: int | None, now: int) -> Change:
    return rescued(
        [*row[:EPOCH], None, *row[EPOCH + 1 :]],
        epoch=row[EPOCH],
        attempt=row[ATTEMPT],
        rescues=row[RESCUES],
        cancel_requested=bool(row[CANCEL_REQUESTED]),
        trouble=tuple(row[ERROR]),
        max_rescues=max_rescues,
        now=now,
    )
