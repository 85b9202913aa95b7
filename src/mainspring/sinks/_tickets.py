"""What travels to a sink that takes batches: items, tickets that know whose they are, and the counts of both."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple  # Any: items have any type

from mainspring.base import Statistic
from mainspring.errors import SinkWriteError
from mainspring.sinks._sink import WriteIntent


class SinkStatistic(Statistic):
    """What went through one sink that takes batches: items written and spooled, batches written, failed attempts."""

    written: int
    spooled: int
    batches: int
    failures: int


class Ticket:
    """What one run, or a service, has on its way to one sink.

    Invariant: `pending` counts the items that are neither written, given up nor withdrawn.
    """

    __slots__ = (
        "changed",
        "count",
        "error",
        "job_id",
        "pending",
        "run_id",
        "sink",
        "spooled",
        "spooled_count",
        "withdrawn",
    )

    def __init__(self, sink: str = "", *, run_id: str | None = None, job_id: str | None = None) -> None:
        self.sink = sink
        self.run_id = run_id
        self.job_id = job_id
        self.count = 0
        self.pending = 0
        self.withdrawn = False
        self.spooled: list[int] = []  # letters on disk, to be taken back if the run fails
        self.spooled_count = 0  # items in those letters
        self.error: SinkWriteError | None = None
        self.changed = asyncio.Event()

    def settle(self, count: int, error: SinkWriteError | None) -> None:
        """Note that `count` items were written, or not."""
        self.pending -= count
        self.error = self.error or error
        self.changed.set()


class Entry(NamedTuple):
    """One item in the queue."""

    ticket: Ticket
    item: Any
    key: str | None
    size: int

    def intent(self) -> WriteIntent:
        """Return the item as a ResultSink gets it."""
        ticket = self.ticket
        return WriteIntent(
            payload=self.item, key=self.key, sink=ticket.sink, job_id=ticket.job_id, run_id=ticket.run_id
        )


Rescue = Callable[[Sequence[Entry], SinkWriteError], Awaitable[list[Entry]]]
"""Keeps items durably; returns those that cannot be kept."""
