"""What tells how a whole SQLite store is: its nodes, its queues, how far its jobs have come."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from mainspring.jobs.stores._done import unbroken_end
from mainspring.jobs.stores._records import NodeRow, QueueRow
from mainspring.jobs.stores._sqlite_sql import statements

_HEADS: Final = 20_000  # jobs with waiting runs that are looked at
_LEAST_RANK: Final = -(2**63)


def list_nodes(connection: sqlite3.Connection, limit: int) -> list[NodeRow]:
    """Return nodes, the latest first."""
    return [
        NodeRow(
            epoch=epoch,
            name=name,
            alive=bool(alive),
            started_at=started_at,
            ended_at=ended_at,
            running_count=running,
        )
        for epoch, name, alive, started_at, ended_at, running in connection.execute(
            statements("overview")["nodes"], (limit,)
        )
    ]


def list_queues(connection: sqlite3.Connection, now: int) -> list[QueueRow]:
    """Return the queues in which runs wait; looks at the head of each job, not at each run."""
    sql = statements("overview")
    oldest: dict[str, int] = dict(connection.execute(sql["overdue"], (now,)).fetchall())
    place: tuple[str, int, str] = ("", _LEAST_RANK, "")
    for _ in range(_HEADS):
        head = connection.execute(sql["next_head"], place).fetchone()
        if head is None:
            break
        queue, rank, job_id, available_at = head
        place = (queue, rank, job_id)
        oldest[queue] = min(available_at, oldest.get(queue, available_at))
    return [QueueRow(queue=queue, oldest_at=oldest[queue]) for queue in sorted(oldest)]


def list_watermarks(connection: sqlite3.Connection, jobs: Sequence[str] | None) -> list[tuple[str, int]]:
    """Return how far these jobs have come, or all; reads each done-set up to its first gap."""
    sql = statements("overview")
    found: list[tuple[str, int]] = []
    wanted = [row[0] for row in connection.execute(sql["job_ids"])] if jobs is None else jobs
    for job_id in wanted:
        end = unbroken_end(connection.execute(sql["done_from_start"], (job_id,)))
        if end is not None:
            found.append((job_id, end))
    return found
