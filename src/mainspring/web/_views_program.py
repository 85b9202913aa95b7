"""What the API says of the program: its nodes, services, numbers, sinks and what waits on disk for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self  # Any: items hold any JSON

from mainspring.base import from_us
from mainspring.jobs import NodeRow, QueueRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node of the store: a process that runs jobs."""

    epoch: int
    name: str
    alive: bool
    here: bool
    started_at: datetime
    ended_at: datetime | None
    running: int

    @classmethod
    def of(cls, row: NodeRow, *, here: int | None) -> Self:
        """Make it of a row; `here` is the epoch of this process."""
        return cls(
            epoch=row.epoch,
            name=row.name,
            alive=row.alive,
            here=row.epoch == here,
            started_at=from_us(row.started_at),
            ended_at=from_us(row.ended_at),
            running=row.running_count,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """A queue in which runs wait, and since when the oldest of them could have begun."""

    queue: str
    oldest_at: datetime

    @classmethod
    def of(cls, row: QueueRow) -> Self:
        """Make it of a row."""
        return cls(queue=row.queue, oldest_at=from_us(row.oldest_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """A service of this program."""

    name: str
    state: str
    ready: bool
    healthy: bool
    restart_count: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """The services of this program; none when it is no program of services."""

    ready: bool
    healthy: bool
    services: Sequence[ServiceView]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticView:
    """One live number of the program; null where it is none, as a ratio of nothing."""

    kind: str
    name: str | None
    metric: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkView:
    """A sink that takes batches: what waits for it in memory, and what it took since the start."""

    sink: str
    waiting: int
    written: int
    batches: int
    failures: int
    spooled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolView:
    """What this process keeps on disk for sinks."""

    folder: str | None
    waiting: int
    dead: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterView:
    """Items that are not tried any more."""

    letter_id: str
    sink: str
    item_type: str
    job_id: str | None
    run_id: str | None
    spooled_at: datetime
    tries: int
    reason: str
    items: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppView:
    """The app that this server shows."""

    label: str
    version: str
    store: str
    jobs: int
    running: int
    queues: Sequence[QueueView]
