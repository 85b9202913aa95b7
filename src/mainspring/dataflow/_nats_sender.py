"""The sender's end of an edge that a NATS stream carries: the wire of an `Outbound`.

What the server has stored counts as acknowledged, in order. What it may not have had when the connection broke is
sent again, in order and under the same id, so that the server drops what it has already.
"""

import asyncio
import logging
from collections import deque
from typing import Any, Final  # Any: answers of nats-py

from mainspring.base import Backoff, new_id
from mainspring.dataflow._jetstream import JetStream
from mainspring.dataflow._ledger import Ledger
from mainspring.dataflow._outbound import Outbound
from mainspring.dataflow.nats import NatsSession

log = logging.getLogger(__name__)

_ROOM_PAUSES: Final = Backoff(0.01, maximum=0.5)


class NatsSender:
    """Carries what an Outbound sends to one worker of the next stage.

    Args:
        outbound: the way to the worker.
        stream: what carries the edge.
        sender, receiver: the places of both workers.
    """

    def __init__(self, outbound: Outbound, stream: JetStream, *, sender: int, receiver: int) -> None:
        self._outbound = outbound
        self._stream = stream
        self._subject = stream.subject(sender, receiver)
        self._id = new_id()
        self._frames: deque[bytes] = deque()
        self._ledger = Ledger(self._note_stored)
        self._has_frames = asyncio.Event()
        self._number = 0
        self._room = 0

    @property
    def progress(self) -> int | None:
        """Messages that the server has stored, on this connection."""
        return self._ledger.done_count if self._ledger.open_count else None

    def write(self, data: bytes) -> None:
        """Take frames from the Outbound."""
        start = 0
        while start < len(data):
            end = start + 4 + int.from_bytes(data[start : start + 4], "little")
            self._frames.append(data[start + 4 : end])
            start = end
        self._has_frames.set()

    async def run(self, session: NatsSession) -> None:
        """Publish what is written, in order."""
        outbound = self._outbound
        self._frames.clear()
        self._room = 0
        self._ledger = ledger = Ledger(self._note_stored)
        self._number = outbound.acknowledged_count + outbound.lost_count
        outbound.max_bytes = min(outbound.max_bytes, session.max_bytes)
        outbound.attach(self)
        try:
            while True:
                await self._until_frames()
                await self._until_room(session, ledger)
                await self._publish(session, ledger, self._frames.popleft())
        finally:
            if outbound.wire is self:
                outbound.detach()

    async def _publish(self, session: NatsSession, ledger: Ledger, payload: bytes) -> None:
        token = ledger.open()
        if len(payload) > session.max_bytes:  # it was sent when the server took longer ones
            log.error("a message of %d bytes is dropped: the NATS server takes %d", len(payload), session.max_bytes)
            self._number += 1
            self._outbound.dropped_count += 1
            token.release()
            return
        stored = await session.publish(self._subject, payload, f"{self._id}-{self._subject}-{self._number}")
        self._number += 1
        self._room -= 1

        def settle(future: "asyncio.Future[Any]") -> None:
            if future.cancelled():
                return
            if (error := future.exception()) is not None:
                session.fail(f"{type(error).__name__}: {error}")
            elif ledger is self._ledger:
                token.release()

        stored.add_done_callback(settle)

    async def _until_frames(self) -> None:
        while not self._frames:
            self._has_frames.clear()
            await self._has_frames.wait()

    async def _until_room(self, session: NatsSession, ledger: Ledger) -> None:
        """Wait until the stream holds less of this sender for this receiver than it may."""
        delays = _ROOM_PAUSES.delays()
        while self._room <= 0:
            unanswered = ledger.open_count  # before asking: the answer may know of them or not
            stored = (await session.count_stored(self._subject)).get(self._subject, 0)
            self._room = self._stream.max_stored - stored - unanswered
            if self._room <= 0:
                await asyncio.sleep(next(delays))

    def _note_stored(self, count: int) -> None:
        if self._outbound.wire is self:
            self._outbound.acknowledge(count)
