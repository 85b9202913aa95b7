"""The two ends of a way between two workers: frames one way, counts of what is done the other way."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from mainspring.base import FrameDecoder
from mainspring.dataflow._ledger import Ledger
from mainspring.dataflow._outbound import Outbound
from mainspring.errors import FrameTooLargeError

Payload = bytes | memoryview


class Link(asyncio.BufferedProtocol):
    """Frames over a socket, handed out as they arrive. How much is unread is bounded by the sender's window."""

    def __init__(self, on_payloads: Callable[[Sequence[Payload]], None], on_lost: Callable[[], None]) -> None:
        self._decoder = FrameDecoder()
        self._on_payloads = on_payloads
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether the other end may still be there."""
        return self._transport is not None

    @property
    def fd(self) -> int | None:
        """The descriptor; None when it is closed."""
        if self._transport is None:
            return None
        end: socket.socket = self._transport.get_extra_info("socket")
        return end.fileno()

    async def open(self, end: socket.socket) -> None:
        """Take over a connected socket."""
        end.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self, end)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)  # a stream: it can write

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio."""
        return self._decoder.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        try:
            payloads = self._decoder.buffer_updated(nbytes)
        except FrameTooLargeError:
            self.close()
            return
        if payloads:
            self._on_payloads(payloads)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._transport = None
        self._on_lost()

    def write(self, data: bytes) -> None:
        """Send; what the other end no longer takes is dropped."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class Inbound:
    """What arrives from one sender, in order, and how much of it is done."""

    def __init__(self) -> None:
        self.link = Link(self._take, self._end)
        self.ledger = Ledger(self._note_done)
        self._payloads: deque[Payload] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False
        self._turn_is_open = False
        self.received_count = 0

    async def take(self) -> list[Payload]:
        """Return what has arrived; wait for it. An empty list is the end."""
        while not self._payloads and not self._has_ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        payloads = list(self._payloads)
        self._payloads.clear()
        return payloads

    def _take(self, payloads: Sequence[Payload]) -> None:
        self._payloads.extend(payloads)
        self.received_count += len(payloads)
        self._wake()

    def _end(self) -> None:
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _note_done(self, count: int) -> None:
        if not self._turn_is_open:
            self._turn_is_open = True
            asyncio.get_running_loop().call_soon(self._acknowledge)

    def _acknowledge(self) -> None:
        self._turn_is_open = False
        self.link.write(b"\x08\0\0\0" + self.ledger.done_count.to_bytes(8, "little"))


async def connect(outbound: Outbound, end: socket.socket) -> Link:
    """Open a way over a socket; what comes back are counts of what is done."""

    def take(payloads: Sequence[Payload]) -> None:
        if outbound.wire is link:  # not the late word of a worker whose place is taken
            outbound.acknowledge(int.from_bytes(payloads[-1], "little"))

    def lose() -> None:
        if outbound.wire is link:
            outbound.detach()

    link = Link(take, lose)
    await link.open(end)
    outbound.attach(link)
    return link
