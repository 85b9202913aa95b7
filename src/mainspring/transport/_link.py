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
        small_headers: what goes before a payload of each small size, where that is all there is to its encoding.
        peer: the other end, for messages.
        deliver: called with what arrives; the inbox's `put_many` at first.
        transport: None before it is connected.
        closed: done when it is gone.
    """

    kind: str
    encoding: str
    small_headers: Sequence[bytes]
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

    def combine(self, records: Sequence[Sequence[Bytes]]) -> Sequence[Bytes]:
        """Return encoded records, in order, as the buffers that the outbox takes for all of them."""
        ...

    def sender(self, links: Sequence["Link"]) -> Callable[[Sequence[Bytes]], None]:
        """Return what gives the same buffers to links of this encoding, while their outboxes are open and empty."""
        ...

    def limit(self, nbytes: int) -> None:
        """Refuse longer records from now on; they are delivered whole."""
        ...

    def close(self, error: Exception | None = None) -> None:
        """Write what was taken, then close."""
        ...

    def abort(self, error: Exception | None = None) -> None:
        """Close at once."""
        ...


def unsent_bytes(transport: asyncio.Transport | None) -> int:
    """Return what a transport has not given to the system yet."""
    return 0 if transport is None or transport.is_closing() else transport.get_write_buffer_size()
