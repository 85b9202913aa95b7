"""What tells how a whole SQLite store is: its nodes, its queues, how far its jobs have come."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from mainspring.base import decode_json
from mainspring.jobs.stores._done import unbroken_end
from mainspring.jobs.stores._records import NodeRow, NodeTakes, QueueRow, StrandedRow
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._stranded import Head, stranded

_HEADS: Final = 20_000  # jobs with waiting runs that are looked at
_LEAST_RANK: Final = -(2**63)


def list_nodes(connection: sqlite3.Connection, before: int | None, limit: int) -> list[NodeRow]:
    """Return nodes, the latest first."""
    rows = connection.execute(statements("overview")["nodes"], (2**62 if before is None else before, limit))
    return [
        NodeRow(
            epoch=epoch,
            name=name,
            alive=bool(alive),
            started_at=started_at,
            ended_at=ended_at,
            running_count=running,
        )
        for epoch, name, alive, started_at, ended_at, running in rows
    ]


def list_queues(connection: sqlite3.Connection, now: int) -> list[QueueRow]:
    """Return the queues in which runs wait; looks at the head of each job, not at each run."""
    oldest: dict[str, int] = dict(connection.execute(statements("overview")["overdue"], (now,)).fetchall())
    for queue, _, available_at, _ in _heads(connection):
        oldest[queue] = min(available_at, oldest.get(queue, available_at))
    return [QueueRow(queue=queue, oldest_at=oldest[queue]) for queue in sorted(oldest)]


def count_queued(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Return (job id, queue, number of runs) of what waits there; looks at an entry of an index for each run."""
    return [(job_id, queue, count) for job_id, queue, count in connection.execute(statements("overview")["queued"])]


def list_stranded(connection: sqlite3.Connection) -> list[StrandedRow]:
    """Return what no living node takes."""
    rows = connection.execute(statements("overview")["takers"]).fetchall()
    return stranded(_heads(connection), [_takes(jobs, queues) for jobs, queues in rows])


def _takes(jobs: str | None, queues: str | None) -> NodeTakes | None:
    if jobs is None or queues is None:
        return None
    return NodeTakes(jobs=decode_json(jobs, frozenset[str]), queues=decode_json(queues, frozenset[str]))


def _heads(connection: sqlite3.Connection) -> Iterator[Head]:
    """Yield the head of each job in each queue and rank."""
    place: tuple[str, int, str] = ("", _LEAST_RANK, "")
    for _ in range(_HEADS):
        head = connection.execute(statements("overview")["next_head"], place).fetchone()
        if head is None:
            return
        queue, rank, job_id, available_at, run_id = head
        place = (queue, rank, job_id)
        yield queue, job_id, available_at, run_id


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
