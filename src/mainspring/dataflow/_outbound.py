"""One sender's end of the way to one worker: what waits, what is in flight, what must be sent again."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol  # Any: messages are what a program makes them

from mainspring.base import DEFAULT_MAX_FRAME_BYTES, encode_json
from mainspring.dataflow._ledger import Token, current_token
from mainspring.dataflow._topology import Edge
from mainspring.errors import FrameTooLargeError

_PLAIN: Final = Edge()


class Wire(Protocol):
    """What carries frames to the worker."""

    def write(self, data: bytes) -> None:
        """Send, or keep until it can be sent."""
        ...


class Outbound:
    """The way to one worker of the next stage: `p.outbound[i]`.

    `send` never waits: it keeps up to `max_waiting` messages beyond the `max_in_flight` that are on their way.
    The dataflow waits for room between two messages of a worker; a callback that sends very many for one
    message waits itself with `await p.drain()`.
    """

    def __init__(
        self,
        *,
        edge: Edge = _PLAIN,
        accepts: Callable[[Any], object] | None = None,
        redelivers: bool = True,
    ) -> None:
        self._edge = edge
        self._accepts = accepts
        self._redelivers = redelivers
        self.on_full: Callable[[Outbound], None] = _nobody
        self.on_room: Callable[[Outbound], None] = _nobody
        self.wire: Wire | None = None
        self.max_bytes = DEFAULT_MAX_FRAME_BYTES
        self._waiting: deque[tuple[bytes, Token | None]] = deque()
        self._in_flight: deque[tuple[bytes, Token | None]] = deque()
        self._acknowledged = 0  # on this wire
        self._turn_is_open = False
        self.sent_count = 0
        self.sent_bytes = 0
        self.acknowledged_count = 0
        self.dropped_count = 0
        self.lost_count = 0
        self.redelivered_count = 0

    def __repr__(self) -> str:
        state = "open" if self.is_attached else "no worker"
        return f"<Outbound {state} in_flight={len(self._in_flight)} waiting={len(self._waiting)}>"

    @property
    def is_attached(self) -> bool:
        """Whether its worker is there."""
        return self.wire is not None

    @property
    def is_full(self) -> bool:
        """Whether a sender should wait: as much waits as may."""
        return len(self._waiting) >= self._edge.max_waiting

    @property
    def has_room(self) -> bool:
        """Whether its worker is there and keeps up."""
        return self.wire is not None and len(self._waiting) < self._edge.max_waiting

    @property
    def load(self) -> int:
        """Messages that wait or are in flight."""
        return len(self._waiting) + len(self._in_flight)

    def send(self, message: object) -> bool:
        """Send a message if the worker's filter accepts it; return whether it did.

        Raises:
            EncodeError: the message has no JSON form.
            FrameTooLargeError: it is longer than 16 MiB, or than the NATS server of its edge takes.
        """
        if self._accepts is not None and not self._accepts(message):
            return False
        self.send_encoded(encode_json(message))
        return True

    def send_always(self, message: object) -> None:
        """Send a message without asking the filter."""
        self.send_encoded(encode_json(message))

    def send_encoded(self, data: bytes | memoryview) -> None:
        """Send what is JSON already, as it is."""
        size = len(data)
        if size > self.max_bytes:
            raise FrameTooLargeError(size=size, max_bytes=self.max_bytes)
        if len(self._waiting) >= self._edge.max_waiting and self._edge.overflow != "block":
            self.dropped_count += 1
            if self._edge.overflow == "drop-newest":
                return
            _, dropped = self._waiting.popleft()
            if dropped is not None:
                dropped.release()
        token = current_token.get()
        if token is not None:
            token.holds += 1
        self._waiting.append((size.to_bytes(4, "little") + data, token))
        if len(self._waiting) == self._edge.max_waiting and self._edge.overflow == "block":
            self.on_full(self)
        if not self._turn_is_open:
            self._turn_is_open = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def attach(self, wire: Wire) -> None:
        """Take the way to a new worker; what the last one has not acknowledged is sent again, in order."""
        if self.wire is not None:  # its end has not been heard yet
            self.detach()
        self.wire = wire
        self._acknowledged = 0
        if self._in_flight:
            self.redelivered_count += len(self._in_flight)
            wire.write(b"".join([frame for frame, _ in self._in_flight]))
        self.flush()

    def detach(self) -> None:
        """Note that the worker is gone."""
        self.wire = None
        if not self._redelivers:
            lost = list(self._in_flight)
            self._in_flight.clear()
            self.lost_count += len(lost)
            _release([token for _, token in lost])

    def acknowledge(self, count: int) -> None:
        """Note that the worker is done with its first `count` messages."""
        fresh = count - self._acknowledged
        self._acknowledged = count
        self.acknowledged_count += fresh
        pop = self._in_flight.popleft
        tokens = [pop()[1] for _ in range(fresh)]
        self.flush()
        _release(tokens)
        if not self.load:
            self.on_room(self)

    def flush(self) -> None:
        """Send what waits, as far as the window allows."""
        waiting, in_flight = self._waiting, self._in_flight
        count = min(len(waiting), self._edge.max_in_flight - len(in_flight))
        if self.wire is None or count <= 0:
            return
        moved = [waiting.popleft() for _ in range(count)]
        in_flight.extend(moved)
        data = b"".join([frame for frame, _ in moved])
        self.sent_count += count
        self.sent_bytes += len(data) - 4 * count
        self.wire.write(data)
        if len(waiting) < self._edge.max_waiting:
            self.on_room(self)

    def _end_turn(self) -> None:
        self._turn_is_open = False
        self.flush()


def _release(tokens: list[Token | None]) -> None:
    for token in tokens:
        if token is not None:
            token.release()


def _nobody(outbound: Outbound) -> None:
    pass
