"""How a connection cuts its stream: frames as everywhere, the long ones in pieces, and two signs of life.

A record above 1 MiB does not come whole. It is announced by a `RecordStart` as soon as its length is read, and
its bytes follow in pieces of exactly 1 MiB and a rest, each received in place. So a reader may refuse a length
before anything is allocated, and read a file larger than memory.

The two highest lengths mean no record but "are you there" and "I am". Pure.
"""

import functools
from dataclasses import dataclass
from struct import iter_unpack
from typing import Final, TypeAlias

from mainspring.base import length_reader, longest_payload
from mainspring.errors import FrameTooLargeError, InvalidArgumentError

PIECE_BYTES: Final = 1 << 20

_RECEIVE_BYTES: Final = 1 << 16
_LARGE_BYTES: Final = 1 << 17
_JOIN_BYTES: Final = 1 << 14
_SMALL_BYTES: Final = 1 << 10
_RUN_COUNT: Final = 16


@dataclass(frozen=True, slots=True)
class RecordStart:
    """A record of `total` bytes begins; its bytes are the next items."""

    total: int

    def __len__(self) -> int:
        return 0


class TextPayload(bytes):
    """The payload of a message that its sender marked as text: only WebSockets do."""

    __slots__ = ()


Item: TypeAlias = bytes | memoryview | RecordStart
Bytes: TypeAlias = bytes | bytearray | memoryview


@functools.cache
def small_headers(header_bytes: int) -> tuple[bytes, ...]:
    """Return the lengths of small records as they are written: to look one up takes a third of making it."""
    return tuple(
        size.to_bytes(header_bytes, "little") for size in range(min(_SMALL_BYTES, (1 << 8 * header_bytes) - 2))
    )


class RecordCodec:
    """Both directions of one stream.

    Args:
        header_bytes: the width of the length, 1 to 8.
        limit: the longest record that is accepted; None for what the length can say.
        has_signs: whether the two highest lengths are signs of life. They are records to peers of other kinds.

    Attributes:
        pings: times the other end asked for a sign of life since this was set to 0.
        refusal: why nothing can be read any more, or None.
    """

    __slots__ = (
        "_filled", "_left", "_partial", "_receive", "_rest", "_unpack", "header_bytes", "limit", "longest",
        "ping", "pings", "pong", "refusal",
    )  # fmt: skip

    def __init__(self, *, header_bytes: int = 4, limit: int | None = None, has_signs: bool = True) -> None:
        capacity = longest_payload(header_bytes)
        self.header_bytes = header_bytes
        self._unpack = length_reader(header_bytes)
        self.longest = capacity - 2 if has_signs else capacity
        self.limit = self.longest if limit is None else limit
        if not 1 <= self.limit <= self.longest:
            raise InvalidArgumentError(argument="limit", value=limit, expected=f"1 to {self.longest}")
        self.ping = capacity.to_bytes(header_bytes, "little")
        self.pong = (capacity - 1).to_bytes(header_bytes, "little")
        self.pings = 0
        self.refusal: FrameTooLargeError | None = None
        self._rest = b""  # the first bytes of a header
        self._left = 0  # bytes of the announced record that belong to no piece yet
        self._partial: memoryview | None = None  # the record or piece being collected, at its full size
        self._filled = 0
        self._receive: memoryview | None = None

    def encode(self, payload: Bytes) -> list[Bytes]:
        """Return one record as buffers to write: a large payload is not copied.

        Raises:
            FrameTooLargeError: the length has no room for its size.
        """
        # The hot path of every writer: `encode_frame` takes three times as long.
        size = len(payload)
        if size > self.longest:
            raise FrameTooLargeError(size=size, max_bytes=self.longest)
        header = size.to_bytes(self.header_bytes, "little")
        return [header + payload] if size <= _JOIN_BYTES else [header, payload]

    def header(self, size: int) -> bytes:
        """Return what goes before a record of `size` bytes that are written in pieces.

        Raises:
            FrameTooLargeError: the length has no room for its size.
        """
        if size > self.longest:
            raise FrameTooLargeError(size=size, max_bytes=self.longest)
        return size.to_bytes(self.header_bytes, "little")

    @property
    def is_between_records(self) -> bool:
        """Whether the stream may end here."""
        return not self._rest and self._partial is None and not self._left

    @property
    def begun_bytes(self) -> int:
        """What is here and is to come of a record that has begun, without the pieces that have come out."""
        return 0 if self._partial is None else len(self._partial) + self._left

    def get_buffer(self) -> memoryview:
        """Return where to receive the next bytes; the missing part of a long record is received in place."""
        if self._partial is not None and len(self._partial) - self._filled >= _RECEIVE_BYTES:
            return self._partial[self._filled :]
        if self._receive is None:
            self._receive = memoryview(bytearray(_RECEIVE_BYTES))
        return self._receive

    def buffer_updated(self, nbytes: int) -> list[Item]:
        """Take the `nbytes` received into the buffer that `get_buffer()` returned last; return what they complete.

        After a record that is too long nothing more comes out, and `refusal` says why.
        """
        items: list[Item] = []
        if self.refusal is not None:
            return items
        if self._partial is not None and len(self._partial) - self._filled >= _RECEIVE_BYTES:
            self._grow(nbytes, items)
        else:
            self.feed(bytes(self.get_buffer()[:nbytes]), items)
        return items

    def feed(self, data: bytes, items: list[Item]) -> None:
        """Take the next bytes of the stream; append what they complete."""
        while data and self.refusal is None:
            if self._partial is not None:
                used = min(len(data), len(self._partial) - self._filled)
                self._partial[self._filled : self._filled + used] = data[:used]
                self._grow(used, items)
                data = data[used:]
            else:
                data = self._split(self._rest + data if self._rest else data, items)

    def _split(self, data: bytes, items: list[Item]) -> bytes:
        """Cut whole records from `data`, which begins with a header; return what follows a header of a long one."""
        unpack, width, limit, end = self._unpack, self.header_bytes, self.limit, len(data)
        whole = min(limit, PIECE_BYTES)
        position = self._take_run(data, items, whole)
        while position + width <= end:
            (size,) = unpack(data, position)
            start = position + width
            position = start + size
            if position <= end and size <= whole:
                items.append(data[start:position])
            elif size > limit:
                position = start
                if not self._take_sign(size):
                    return b""
            else:
                self._rest = b""
                self._begin(size, items)
                return data[start:]
        self._rest = data[position:]
        return b""

    def _take_run(self, data: bytes, items: list[Item], whole: int) -> int:
        """Cut the records at the beginning, if all in `data` have one size, in a third of the time; return the end.

        The same length at every such distance, looked at byte by byte of the lengths, means that each is a length.
        """
        width = self.header_bytes
        header = data[:width]
        size = int.from_bytes(header, "little")
        stride = width + size
        count = len(data) // stride
        end = count * stride
        if count < _RUN_COUNT or size > whole or data[end - stride : end - size] != header:
            return 0
        if any(data[place:end:stride] != header[place : place + 1] * count for place in range(width)):
            return 0
        items += [record for (record,) in iter_unpack(f"{width}x{size}s", memoryview(data)[:end])]
        return end

    def _take_sign(self, size: int) -> bool:
        """Tell whether this length is a sign of life, and count it; refuse the stream when it is none."""
        if size <= self.longest:
            self.refusal = FrameTooLargeError(size=size, max_bytes=self.limit)
            return False
        self.pings += size == self.longest + 2
        return True

    def _begin(self, size: int, items: list[Item]) -> None:
        if size > PIECE_BYTES:
            items.append(RecordStart(size))
        self._left = size
        self._next_piece()

    def _next_piece(self) -> None:
        size = min(self._left, PIECE_BYTES)
        self._left -= size
        self._filled = 0
        self._partial = memoryview(bytearray(size)) if size else None

    def _grow(self, nbytes: int, items: list[Item]) -> None:
        """Count `nbytes` of the partial record or piece; let it go when it is complete."""
        self._filled += nbytes
        partial = self._partial
        if partial is not None and self._filled == len(partial):
            items.append(partial if len(partial) >= _LARGE_BYTES else bytes(partial))
            self._next_piece()
