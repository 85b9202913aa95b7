"""Leases by name in SQLite; the functions that write run inside a group."""

import sqlite3

from mainspring.errors import LeaseLostError
from mainspring.jobs.stores._sqlite_finish import epoch_alive
from mainspring.jobs.stores._sqlite_rows import Row
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._steering_records import LeaseRow, TakeLease


def take_lease(connection: sqlite3.Connection, command: TakeLease, now: int) -> LeaseRow:
    """Take a lease that no living node holds; return who holds it then."""
    if not epoch_alive(connection, command.epoch):
        raise LeaseLostError(epoch=command.epoch)
    sql = statements("leases")
    held = connection.execute(sql["of_name"], (command.lease,)).fetchone()
    if held is None:
        fence = connection.execute(statements("runs")["next_fence"]).fetchone()[0]
        connection.execute(sql["take"], (command.lease, command.holder, command.epoch, fence, now))
        held = connection.execute(sql["of_name"], (command.lease,)).fetchone()
    return _lease_row(held)


def drop_lease(connection: sqlite3.Connection, lease: str, holder: str) -> None:
    """Give a lease back, if this holder has it."""
    connection.execute(statements("leases")["drop"], (lease, holder))


def list_leases(connection: sqlite3.Connection) -> list[LeaseRow]:
    """Return the leases that living nodes hold, by name."""
    return [_lease_row(row) for row in connection.execute(statements("leases")["held"])]


def _lease_row(row: Row) -> LeaseRow:
    lease, holder, epoch, node, fence, taken_at = row
    return LeaseRow(lease=lease, holder=holder, epoch=epoch, node=node, fence=fence, taken_at=taken_at)
