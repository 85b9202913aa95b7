"""The event stream of an app: what happens to its runs in this process, for whoever listens in it.

Nothing is kept of it: rows are written by the store, for what a run's record cannot say. Publishing costs nothing
while nobody listens. Secrets are looked for when an event is read.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Final, Literal, Self

from mainspring.base import current_clock
from mainspring.errors import ClosedError, InvalidArgumentError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import RunRecord

EventName = Literal[
    "started", "retried", "handed_back", "lease_lost", "succeeded", "failed", "cancelled", "skipped", "late", "stranded"
]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a run in this process; `record` is the run as it then stood, without secrets."""

    name: EventName
    at: datetime
    record: RunRecord


_ENDS: Final[dict[RunState, EventName]] = {
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.SKIPPED: "skipped",
    RunState.RETRYING: "retried",
}


class EventStream:
    """Hands events to listeners, in the call, and to subscriptions, which have a bound.

    Args:
        shown: returns what a reader may see of a record; listeners, which belong to the app, get it as it is.
    """

    def __init__(self, shown: Callable[[RunRecord], RunRecord]) -> None:
        self._listeners: list[Callable[[JobEvent], None]] = []
        self.shown = shown

    def listen(self, listener: Callable[[JobEvent], None]) -> Callable[[], None]:
        """Call `listener`, which must neither wait nor raise, with every event; call what is returned to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def subscribe(self, *, most: int = 1000) -> "Subscription":
        """Return a subscription, not open yet.

        Args:
            most: events that wait to be read; the oldest of more are dropped, and counted.

        Raises:
            InvalidArgumentError: `most` is not above 0.
        """
        if most < 1:
            raise InvalidArgumentError(argument="most", value=most, expected="an int >= 1")
        return Subscription(self, most)

    def started(self, record: RunRecord) -> None:
        """Tell that an attempt begins."""
        self.publish("started", record)

    def ended(self, record: RunRecord) -> None:
        """Tell how an attempt ended."""
        if self._listeners:
            freed: EventName = "lease_lost" if record.epoch is None else "handed_back"
            self.publish(_ENDS.get(record.state, freed), record)

    def publish(self, name: EventName, record: RunRecord) -> None:
        """Tell all who listen."""
        if self._listeners:
            event = JobEvent(name, current_clock().now(), record)
            for listener in tuple(self._listeners):
                listener(event)


class Subscription:
    """Reads events, one after the other: `async with app.events() as events: async for event in events`.

    Attributes:
        dropped_count: events that were not read in time.
    """

    def __init__(self, stream: EventStream, most: int) -> None:
        self._stream = stream
        self._waiting: deque[JobEvent] = deque(maxlen=most)
        self._ready = asyncio.Event()
        self._end: Callable[[], None] | None = None
        self.dropped_count = 0

    def _put(self, event: JobEvent) -> None:
        self.dropped_count += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(event)
        self._ready.set()

    async def __aenter__(self) -> Self:
        self._end = self._stream.listen(self._put)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()
        self._ready.set()

    def __aiter__(self) -> AsyncIterator[JobEvent]:
        return self

    async def __anext__(self) -> JobEvent:
        """Wait for the next event; ends when the subscription is left.

        Raises:
            ClosedError: it is not open.
        """
        while not self._waiting:
            if self._end is None:
                if self._ready.is_set():
                    raise StopAsyncIteration
                raise ClosedError(what="the subscription", hint="read it inside of `async with`")
            self._ready.clear()
            await self._ready.wait()
        event = self._waiting.popleft()
        return replace(event, record=self._stream.shown(event.record))

    def __repr__(self) -> str:
        return f"<Subscription {len(self._waiting)} waiting, {self.dropped_count} dropped>"
