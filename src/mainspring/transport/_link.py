"""What carries the records of a connection."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from mainspring.transport._inbox import Inbox
from mainspring.transport._outbox import Outbox
from mainspring.transport._pulse import Pulse
from mainspring.transport._records import Bytes, Item


class Link(Protocol):
    """A byte stream or a WebSocket.

    Attributes:
        kind: what both ends call it.
        encoding: links of one encoding take the same encoded records.
        peer: the other end, for messages.
        deliver: called with what arrives; the inbox's `put_many` at first.
        transport: None before it is connected.
        closed: done when it is gone.
    """

    kind: str
    encoding: str
    peer: str
    inbox: Inbox[Item]
    outbox: Outbox
    pulse: Pulse
    deliver: Callable[[list[Item]], None]
    transport: asyncio.Transport | None
    closed: "asyncio.Future[None]"

    def encode(self, payload: Bytes, *, is_text: bool = False) -> Sequence[Bytes]:
        """Return a record as the buffers that the outbox takes."""
        ...

    def close(self, error: Exception | None = None) -> None:
        """Write what was taken, then close."""
        ...

    def abort(self, error: Exception | None = None) -> None:
        """Close at once."""
        ...
