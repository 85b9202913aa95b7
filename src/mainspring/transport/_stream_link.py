"""The link below a connection over a byte stream: TCP, Unix sockets, TLS."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import cast

from mainspring.base import abort_transport
from mainspring.errors import ClosedError, FrameTooLargeError
from mainspring.transport._link import Link
from mainspring.transport._outbox import Outbox, join_small
from mainspring.transport._records import PIECE_BYTES, Bytes, RecordCodec, small_headers


class StreamLink(Link, asyncio.BufferedProtocol):
    """One stream. A BufferedProtocol: bytes are received where they will be read.

    Args:
        codec: how the stream is cut.
        kind: "tcp", "tcp+tls" or "unix".
        heartbeat, idle_timeout, unread_bytes: see `Link`.

    Attributes:
        keep: what has to live as long as the link.
    """

    def __init__(
        self,
        codec: RecordCodec,
        *,
        kind: str,
        heartbeat: float | None,
        idle_timeout: float | None,
        unread_bytes: int,
    ) -> None:
        name = f"{kind}/{codec.header_bytes}"
        super().__init__(
            kind=name,
            encoding=name,
            small_headers=small_headers(codec.header_bytes),
            outbox=Outbox(self._send, header_bytes=codec.header_bytes),
            heartbeat=heartbeat,
            idle_timeout=idle_timeout,
            unread_bytes=unread_bytes,
        )
        self.codec = codec
        self.peer = kind
        self.keep: object = None
        self._is_in_record = False  # a file is being sent: signs of life wait, they would land inside of it
        self._owes_pong = False

    def encode(self, payload: Bytes, *, is_text: bool = False) -> Sequence[Bytes]:
        """Return a record as the buffers to write, good for every link of this encoding."""
        return self.codec.encode(payload)

    def combine(self, records: Sequence[Sequence[Bytes]]) -> Sequence[Bytes]:
        """Return encoded records as the buffers to write: the small ones are one, good for every link of this kind."""
        return records[0] if len(records) == 1 else list(join_small(list(chain.from_iterable(records))))

    def limit(self, nbytes: int) -> None:
        """Refuse longer records from now on, and those that would come in pieces."""
        limit = self.codec.limit = min(nbytes, PIECE_BYTES)
        if self.codec.begun_bytes > limit:
            self.abort(FrameTooLargeError(size=self.codec.begun_bytes, max_bytes=limit))

    def begin_record(self) -> None:
        """A record is written in pieces from here on."""
        self._is_in_record = True

    def end_record(self) -> None:
        """It is complete."""
        self._is_in_record = False
        if self._owes_pong and self.outbox.error is None:
            self._owes_pong = False
            self.outbox.write([self.codec.pong])

    def close(self, error: Exception | None = None) -> None:
        """Write what was taken, then close; nothing more is received. May be called again."""
        self.outbox.flush()
        self._end(error or ClosedError(what="the connection"))
        if self.transport is not None:
            self.transport.close()

    def abort(self, error: Exception | None = None) -> None:
        """Close at once; what is unsent is lost."""
        self._end(error or ClosedError(what="the connection"))
        if self.transport is not None:
            abort_transport(self.transport)

    # The protocol, called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begin(cast(asyncio.Transport, transport))  # a stream socket gives one

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.codec.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.pulse.was_heard = True
        self.outbox.note_receipt()
        items = self.codec.buffer_updated(nbytes)
        if self.codec.pings:
            self._answer_pings()
        if items:
            self.pulse.note_record()
            self.deliver(items)
        if self.codec.refusal is not None:
            self.abort(self.codec.refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        is_clean = exc is None and self.codec.is_between_records
        if exc is not None:
            reason = f"the link broke ({exc})"
        else:
            reason = "the other end has closed it" if is_clean else "the other end went away inside a record"
        self._finish(self._broken(reason, is_clean=is_clean))

    def pause_writing(self) -> None:
        self.outbox.pause()

    # The rest is this file's own.

    def _send(self, parts: Sequence[Bytes]) -> None:
        if self.transport is None or self.transport.is_closing():
            return  # the next write says why
        if len(parts) == 1:
            self.transport.write(parts[0])
            return
        for part in join_small(parts):  # before 3.12 `writelines` would copy the large ones too
            self.transport.write(part)

    def _ask(self) -> None:
        if not self._is_in_record and self.outbox.error is None:
            self.outbox.write([self.codec.ping])

    def _answer_pings(self) -> None:
        self.codec.pings = 0
        if self._is_in_record:
            self._owes_pong = True
        elif self.outbox.error is None:
            self.outbox.write([self.codec.pong])
