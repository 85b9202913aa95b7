"""Keeps the ends of an edge on a connection to their NATS server: on the next one when it is lost."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from mainspring.base import Backoff, current_clock
from mainspring.dataflow._jetstream import JetStream
from mainspring.dataflow.nats import NatsSession
from mainspring.errors import EdgeUnavailableError

log = logging.getLogger(__name__)

_AGAIN: Final = Backoff(0.1, maximum=5.0)
_HEALTHY_AFTER: Final = 10.0
_WATCH_SECONDS: Final = 10.0


class End(Protocol):
    """One end of an edge, on one connection after the other."""

    @property
    def progress(self) -> int | None:
        """What grows while the server answers; None when nothing is expected of it."""
        ...

    async def run(self, session: NatsSession) -> None:
        """Work on a connection until cancelled."""
        ...


class NatsLine:
    """The ends of one edge in one worker.

    Attributes:
        ready: set once there was a connection.
    """

    def __init__(self, stream: JetStream, ends: Sequence[End]) -> None:
        self._stream = stream
        self._ends = ends
        self.ready = asyncio.Event()

    async def keep(self) -> None:
        """Work on one connection after the other, until cancelled."""
        clock, delays = current_clock(), _AGAIN.delays()
        while True:
            began = clock.monotonic()
            try:
                await self._use(NatsSession(self._stream))
            except EdgeUnavailableError as error:
                if clock.monotonic() - began >= _HEALTHY_AFTER:
                    delays = _AGAIN.delays()
                delay = next(delays)
                log.warning("%s; the next try is in %.1f s", error, delay)
                await asyncio.sleep(delay)

    async def _use(self, session: NatsSession) -> None:
        """Work on a connection until it is lost.

        Raises:
            EdgeUnavailableError: it is, or there was none.
        """
        await session.open()
        tasks: list[asyncio.Task[object]] = [
            asyncio.create_task(end.run(session), name="dataflow-nats") for end in self._ends
        ]
        tasks.append(asyncio.create_task(session.lost.wait(), name="dataflow-nats-lost"))
        try:
            await asyncio.sleep(0)  # the ends begin: who sends is to know what the server takes
            self.ready.set()
            await self._watch(session, tasks)
        finally:
            for task in tasks:
                task.cancel()
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:  # whoever is cancelled a second time
                await session.close()

    async def _watch(self, session: NatsSession, tasks: Sequence["asyncio.Task[object]"]) -> None:
        before: list[int | None] = []
        while not session.lost.is_set():
            done, _ = await asyncio.wait(tasks, timeout=_WATCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            now = [end.progress for end in self._ends]
            if not done and any(one is not None and one == other for one, other in zip(now, before, strict=False)):
                session.fail("it does not answer")
            before = now
        raise session.unavailable(session.reason)


async def check_stream(stream: JetStream, *, width: int) -> None:
    """Make a stream, unless it is there; warn of messages for places that the stage no longer has.

    Raises:
        EdgeUnavailableError: the server is away, refuses, or has something else under the stream's name.
    """
    session = NatsSession(stream)
    await session.open()
    try:
        stored = await session.count_stored(stream.all_subjects)
    finally:
        await session.close()
    places = {subject: subject.rpartition(".")[2] for subject in stored}  # somebody else's may be no numbers
    stranded = sum(stored[subject] for subject, place in places.items() if place.isdecimal() and int(place) >= width)
    if stranded:
        log.warning(
            "%d messages of the stream %r wait for workers beyond the stage's %d", stranded, stream.stream, width
        )
