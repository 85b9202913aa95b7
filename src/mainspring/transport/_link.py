"""What carries the records of a connection: the half that byte streams and WebSockets have in common."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from mainspring.errors import ConnectionClosedError
from mainspring.transport._inbox import Inbox
from mainspring.transport._outbox import HIGH_WATER, Outbox
from mainspring.transport._pulse import Pulse
from mainspring.transport._records import Bytes, Item


class Link(ABC):
    """A byte stream or a WebSocket.

    Args:
        heartbeat, idle_timeout: see `Pulse`.
        unread_bytes: what may wait to be read before receiving stops.

    Attributes:
        kind: what both ends call it.
        encoding: links of one encoding take the same encoded records.
        small_headers: what goes before a payload of each small size, where that is all there is to its encoding.
        peer: the other end, for messages.
        deliver: called with what arrives; the inbox's `put_many` at first.
        transport: None before it is connected.
        closed: done when it is gone.
        on_connected: called once with the link, when records can be sent.
    """

    def __init__(
        self,
        *,
        kind: str,
        encoding: str,
        small_headers: Sequence[bytes],
        outbox: Outbox,
        heartbeat: float | None,
        idle_timeout: float | None,
        unread_bytes: int,
    ) -> None:
        self.kind = kind
        self.encoding = encoding
        self.small_headers = small_headers
        self.peer = kind
        self.inbox: Inbox[Item] = Inbox("the connection", pause=self._pause, resume=self._resume, limit=unread_bytes)
        self.outbox = outbox
        self.deliver: Callable[[list[Item]], None] = self.inbox.put_many
        self.transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_connected: Callable[[Link], None] | None = None
        self.pulse = Pulse(
            heartbeat,
            idle_timeout,
            is_deaf=lambda: self.inbox.is_paused,
            unsent=lambda: unsent_bytes(self.transport),
            ask=self._ask,
            lost=lambda reason: self.abort(self._broken(reason)),
        )

    @abstractmethod
    def encode(self, payload: Bytes, *, is_text: bool = False) -> Sequence[Bytes]:
        """Return a record as the buffers that the outbox takes, good for every link of this encoding."""

    @abstractmethod
    def combine(self, records: Sequence[Sequence[Bytes]]) -> Sequence[Bytes]:
        """Return encoded records, in order, as the buffers that the outbox takes for all of them."""

    def sender(self, links: "Sequence[Link]") -> Callable[[Sequence[Bytes]], None]:
        """Return what gives the same buffers to links of this encoding, while their outboxes are open and empty."""
        sends = [link.outbox.send for link in links]

        def send(parts: Sequence[Bytes]) -> None:
            for one in sends:
                one(parts)

        return send

    @abstractmethod
    def limit(self, nbytes: int) -> None:
        """Refuse longer records from now on, and those that would come in pieces."""

    @abstractmethod
    def close(self, error: Exception | None = None) -> None:
        """Write what was taken, then close; nothing more is received. May be called again."""

    @abstractmethod
    def abort(self, error: Exception | None = None) -> None:
        """Close at once; what is unsent is lost."""

    def resume_writing(self) -> None:
        """The transport takes more again: the other end has taken what it was sent."""
        self.pulse.was_heard = True
        self.outbox.resume()

    # For the two kinds of link.

    @abstractmethod
    def _ask(self) -> None:
        """Ask the other end for a sign of life."""

    def _begin(self, transport: asyncio.Transport) -> None:
        """Records can be sent."""
        self.transport = transport
        transport.set_write_buffer_limits(HIGH_WATER)
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self.peer = f"{name[0]}:{name[1]}"
        self.pulse.start()
        if self.on_connected is not None:
            self.on_connected(self)

    def _broken(self, reason: str, *, is_clean: bool = False) -> ConnectionClosedError:
        return ConnectionClosedError(what=f"the connection to {self.peer}", reason=reason, is_clean=is_clean)

    def _end(self, error: Exception) -> None:
        """Nothing is written or received any more; the first reason counts."""
        self.outbox.end(error)
        self.inbox.end(error)

    def _finish(self, error: Exception) -> None:
        """The transport is gone."""
        self.pulse.stop()
        self._end(error)
        self.closed.set_result(None)

    def _pause(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def _resume(self) -> None:
        self.pulse.was_heard = True
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


def unsent_bytes(transport: asyncio.Transport | None) -> int:
    """Return what a transport has not given to the system yet."""
    return 0 if transport is None or transport.is_closing() else transport.get_write_buffer_size()
