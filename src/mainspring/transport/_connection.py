"""Connection: messages and files between two ends that know each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from os import PathLike
from typing import Any, Final, Self, TypeVar, cast, overload  # Any: decoded data has the type that was asked for

from mainspring.base import decode_json, decode_msgpack, encode_json, encode_msgpack
from mainspring.errors import ConnectionClosedError, FrameTooLargeError, MisuseError
from mainspring.resilience import timeout
from mainspring.transport._files import receive_file, send_file
from mainspring.transport._link import Link, unsent_bytes
from mainspring.transport._outbox import HIGH_WATER
from mainspring.transport._prepared import Prepared
from mainspring.transport._records import PIECE_BYTES, Bytes, Item, RecordStart
from mainspring.transport._stats import TransportStats

T = TypeVar("T")

DEFAULT_MAX_BYTES: Final = 16 << 20

_CLOSE_SECONDS: Final = 5.0


class Connection:
    """One end of a link that carries records: JSON, MessagePack, bytes or files. Made by `serve` and `connect`.

    Any number of tasks may write, records never mix; one reads. Writing waits while 256 KiB are unsent,
    receiving stops while 1 MiB is unread. A cancelled read loses no record, unless it gives it away in parts, as a
    stream or to a file; a cancelled write has sent its record whole or not at all, except for `send_file`, which
    has to close the connection. Not thread-safe.

    Attributes:
        peer: the other end, as an address, for messages.
    """

    def __init__(self, link: Link, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.link = link
        self.max_bytes = max_bytes
        self._outbox = link.outbox
        self._small_headers = link.small_headers
        self._small_count = len(link.small_headers)
        self._header_bytes = len(link.small_headers[0]) if link.small_headers else 0
        self._left = 0  # bytes of the announced record that nobody has read
        self._whole: memoryview | None = None  # the announced record, as far as a read that was cancelled has got it
        self._writing: asyncio.Future[None] | None = None  # a record that is written in pieces
        self._received_count = 0
        self._received_bytes = 0

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "open"
        return f"<Connection {self.peer} {state} received={self._received_count} sent={self._outbox.sent()[0]}>"

    @property
    def peer(self) -> str:
        """The other end, for messages."""
        return self.link.peer

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self.link.outbox.error is not None

    @property
    def is_full(self) -> bool:
        """Whether a write would wait now."""
        return not self._outbox.is_open and self._outbox.error is None

    # Reading

    async def read_bytes(self) -> bytes | memoryview:
        """Return the next record, which stays valid; a long one is a memoryview, a WebSocket's text a TextPayload.

        Raises:
            ConnectionClosedError: the other end is gone; `is_clean` tells whether that was between two records.
            FrameTooLargeError: the record is longer than `max_bytes`; the connection is closed.
            ClosedError: this end was closed.
            MisuseError: another task is reading.
        """
        if self._whole is not None:
            return await self._collect(self._whole)
        # `_next_record`, without a second coroutine in the usual case.
        record = await self._next_record() if self._left else self._noted(await self.link.inbox.get())
        if not isinstance(record, RecordStart):
            if len(record) > self.max_bytes:
                raise self._refused(len(record))
            return record
        if record.total > self.max_bytes:
            raise self._refused(record.total)
        self._whole = memoryview(bytearray(record.total))
        return await self._collect(self._whole)

    @overload
    async def read_json(self, type: type[T]) -> T: ...
    @overload
    async def read_json(self, type: Any = Any) -> Any: ...
    async def read_json(self, type: Any = Any) -> Any:
        """Return what the next record says as JSON, checked and converted to `type`.

        Raises:
            DecodeError: it is not JSON, or does not fit; the next record can still be read.
            Exception: as `read_bytes`.
        """
        return decode_json(await self.read_bytes(), type)

    @overload
    async def read_msgpack(self, type: type[T]) -> T: ...
    @overload
    async def read_msgpack(self, type: Any = Any) -> Any: ...
    async def read_msgpack(self, type: Any = Any) -> Any:
        """Return what the next record says as MessagePack, checked and converted to `type`; see `read_json`."""
        return decode_msgpack(await self.read_bytes(), type)

    async def read_bytes_streaming(self) -> AsyncIterator[tuple[int, bytes | memoryview]]:
        """Yield `(total_size, chunk)` of the next record, whatever its length.

        Up to 1 MiB comes as one chunk, more as chunks of 1 MiB and a rest. What is not asked for is skipped by
        the next read.

        Raises:
            ConnectionClosedError: the other end is gone.
        """
        if self._whole is not None:
            whole = await self._collect(self._whole)
            for start in range(0, len(whole), PIECE_BYTES):
                yield len(whole), whole[start : start + PIECE_BYTES]
            return
        record = await self._next_record()
        if not isinstance(record, RecordStart):
            yield len(record), record
            return
        while self._left:
            piece = await self._next_piece()
            yield record.total, piece

    async def messages(self) -> AsyncIterator[bytes | memoryview]:
        """Yield records until the other end closes, or this one does.

        Raises:
            ConnectionClosedError: the link broke, or a record was cut.
        """
        while True:
            try:
                record = await self.read_bytes()
            except ConnectionClosedError as error:
                if not error.is_clean:
                    raise
                return
            yield record

    def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        return self.messages()

    async def receive_file(self, path: str | PathLike[str]) -> int:
        """Write the next record to a file; return its size.

        The file appears whole, with its bytes on the disk, or not at all: they go to another name beside it
        first. Folders that are missing are made.

        Raises:
            ConnectionClosedError: the other end is gone.
            OSError: the file cannot be written; the next read skips what is left of the record.
        """
        return await receive_file(self.read_bytes_streaming(), path)

    # Writing

    async def write_bytes(self, payload: Bytes) -> None:
        """Send one record; wait first while too much is unsent. Do not change a bytearray afterwards.

        Raises:
            ConnectionClosedError: the other end is gone.
            FrameTooLargeError: the length has no room for its size; nothing is sent.
            ClosedError: this end was closed.
        """
        outbox = self._outbox
        if outbox.is_collecting and type(payload) is bytes and (size := len(payload)) < self._small_count:
            # `_put`, as far as small records need it, without a call: see `Outbox.is_collecting`.
            outbox.parts.append(self._small_headers[size] + payload)
            outbox.unsent_bytes += size + self._header_bytes
            if outbox.unsent_bytes > HIGH_WATER:
                outbox.look()
            return
        if not outbox.is_open:
            await self._until_writable()
        self._put(payload)

    async def write_text(self, text: str) -> None:
        """Send a text, which a WebSocket marks as such; see `write_bytes`."""
        if self.is_full:
            await self._until_writable()
        self._put(text.encode(), is_text=True)

    async def write_json(self, value: object) -> None:
        """Send `value` as JSON.

        Raises:
            EncodeError: it has no JSON form; nothing is sent.
            Exception: as `write_bytes`.
        """
        encoded = encode_json(value)
        if self.is_full:
            await self._until_writable()
        self._put(encoded, is_text=True)

    async def write_encoded_json(self, encoded: bytes) -> None:
        """Send what is JSON already; see `write_bytes`."""
        if self.is_full:
            await self._until_writable()
        self._put(encoded, is_text=True)

    async def write_msgpack(self, value: object) -> None:
        """Send `value` as MessagePack; see `write_json`."""
        await self.write_bytes(encode_msgpack(value))

    async def write_prepared(self, prepared: Prepared) -> None:
        """Send what `prepare` has encoded; see `write_bytes`."""
        if self.is_full:
            await self._until_writable()
        self._outbox.write(prepared.frame_for(self.link))
        self._outbox.note_sent(1, len(prepared))

    def try_write_bytes(self, payload: Bytes | Prepared) -> bool:
        """Send one record if that needs no wait; return whether it was taken.

        Raises:
            Exception: as `write_bytes`.
        """
        if self.is_full:
            return False
        if isinstance(payload, Prepared):
            self._outbox.write(payload.frame_for(self.link))
            self._outbox.note_sent(1, len(payload))
        else:
            self._put(payload)
        return True

    async def send_file(self, path: str | PathLike[str], prefix: Bytes = b"") -> int:
        """Send one record: `prefix`, then what the file holds; return the size of the record.

        The kernel copies it to a plain socket; for TLS it is read in a thread. The other writers wait meanwhile.
        When it cannot be sent to its end, because of an error, a file that becomes shorter or a cancellation,
        the connection is closed: half a record cannot be taken back.

        Raises:
            OSError: the file cannot be read.
            FrameTooLargeError: the length has no room for its size; nothing is sent.
            ConnectionClosedError: the other end is gone.
        """
        if not self._outbox.is_open:
            await self._until_writable()
        self._outbox.flush()  # what was written before goes before
        self._outbox.claim(True)
        done = self._writing = asyncio.get_running_loop().create_future()
        try:
            size = await send_file(self.link, path, prefix)
        finally:
            self._writing = None
            self._outbox.claim(False)
            done.set_result(None)
        self._outbox.note_sent(1, size)
        return size

    async def flush(self) -> None:
        """Wait until a write need not wait; see `write_bytes` for what it raises."""
        if not self._outbox.is_open:
            await self._until_writable()

    # The rest of its life

    def listen(self, callback: Callable[[bytes | memoryview], object]) -> None:
        """Call `callback` with each record from now on, at once, instead of letting it be read.

        What has arrived and was not read is delivered first. The callback must not wait, and may write with
        `try_write_bytes`; what it raises closes the connection. Records above 1 MiB close it as well.

        Raises:
            MisuseError: a record is partly read.
        """
        if self._left:
            raise MisuseError(what="the connection", problem="is inside a record", hint="read it to its end before")

        def deliver(records: list[bytes | memoryview]) -> None:
            self._received_count += len(records)
            self._received_bytes += sum(map(len, records))
            for record in records:
                callback(record)

        for item in self.link.inbox.take_all():
            size = item.total if isinstance(item, RecordStart) else len(item)
            if isinstance(item, RecordStart) or size > self.max_bytes:
                self._refused(size)
                return
            deliver([item])
        self.link.limit(self.max_bytes)
        self.link.deliver = cast(Callable[[list[Item]], None], deliver)  # the limit leaves nothing to be announced

    async def wait_closed(self) -> None:
        """Wait until the link is gone."""
        await asyncio.shield(self.link.closed)  # shielded: others wait for it too

    async def close(self) -> None:
        """Send what was written, for up to 5 s, and close."""
        self.link.close()
        try:
            async with timeout(_CLOSE_SECONDS):
                await self.wait_closed()
        except TimeoutError:
            pass
        finally:
            self.link.abort()
        with contextlib.suppress(TimeoutError):  # the transport tells at the next turn of the loop
            async with timeout(_CLOSE_SECONDS):
                await self.wait_closed()

    def abort(self) -> None:
        """Close at once; what is unsent is lost."""
        self.link.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def stats(self) -> TransportStats:
        """Return what has been carried so far."""
        sent_count, sent_bytes = self._outbox.sent()
        return TransportStats(
            received_count=self._received_count,
            received_bytes=self._received_bytes,
            sent_count=sent_count,
            sent_bytes=sent_bytes,
            unread_bytes=self.link.inbox.unread_bytes,
            unsent_bytes=self._outbox.unsent_bytes + unsent_bytes(self.link.transport),
        )

    async def _next_record(self) -> Item:
        """Return the next record, or the announcement of a long one; skip what is left of the one before."""
        while self._left:
            await self._next_piece()
        return self._noted(await self.link.inbox.get())

    async def _collect(self, whole: memoryview) -> memoryview:
        """Return the announced record when it is complete; who is cancelled leaves it to the next read."""
        while self._left:
            piece = await self._next_piece()
            start = len(whole) - self._left - len(piece)
            whole[start : start + len(piece)] = piece
        self._whole = None
        return whole

    def _noted(self, record: Item) -> Item:
        self._received_count += 1
        if isinstance(record, RecordStart):
            self._left = record.total
        else:
            self._received_bytes += len(record)
        return record

    async def _next_piece(self) -> bytes | memoryview:
        # The bytes of an announced record are the very next items.
        piece = cast(bytes | memoryview, await self.link.inbox.get())
        self._left -= len(piece)
        self._received_bytes += len(piece)
        return piece

    def _put(self, payload: bytes | bytearray | memoryview, *, is_text: bool = False) -> None:
        if isinstance(payload, memoryview):
            payload = payload.cast("B")
        self._outbox.write(self.link.encode(payload, is_text=is_text))
        self._outbox.note_sent(1, len(payload))

    def _refused(self, size: int) -> FrameTooLargeError:
        error = FrameTooLargeError(size=size, max_bytes=self.max_bytes)
        self.link.abort(error)
        return error

    async def _until_writable(self) -> None:
        while not self._outbox.is_open:  # a file may have begun while this one waited for room
            if self._writing is not None:
                await asyncio.shield(self._writing)  # shielded: every writer waits for it
            else:
                await self._outbox.drain()
