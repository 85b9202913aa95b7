"""Length-prefixed frames: how bytes become messages on every pipe, socket and worker of the house.

A frame is a length (4 bytes, unsigned, big-endian) and as many bytes of payload. The codec is pure; whoever
reads and writes owns it. Two ways in: `feed()` for what a Protocol receives, and `get_buffer()` with
`buffer_updated()` for a BufferedProtocol, where a large payload is received in place.

Who owns what: small payloads are cut from the received bytes as `bytes` of their own. A payload that arrives
in more than one piece is collected in a buffer of its exact size and, when it is large, handed out as a
memoryview of that buffer, which nobody else keeps. So a payload stays valid as long as its reader wants.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final

from mainspring.errors import FrameTooLargeError, InvalidArgumentError

_HEADER: Final = Struct(">I")
_HEADER_BYTES: Final = _HEADER.size
_LONGEST: Final = (1 << 32) - 1
_RECEIVE_BYTES: Final = 1 << 16
_LARGE_BYTES: Final = 1 << 17
_JOIN_BYTES: Final = 1 << 14

DEFAULT_MAX_FRAME_BYTES: Final = 64 << 20
"""The longest payload that a decoder takes unless told otherwise: 64 MiB."""


def encode_frame(*parts: bytes | bytearray | memoryview) -> list[bytes | bytearray | memoryview]:
    """Return one frame whose payload is `parts` in order, as buffers for `writelines`.

    Small frames come as a single buffer; parts of large ones are passed through without a copy.

    Raises:
        FrameTooLargeError: the payload is longer than a length of 4 bytes can say.
    """
    size = sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in parts)
    if size > _LONGEST:
        raise FrameTooLargeError(size=size, max_bytes=_LONGEST)
    header = _HEADER.pack(size)
    if size <= _JOIN_BYTES:
        return [b"".join((header, *parts))]
    return [header, *parts]


class FrameDecoder:
    """Cuts a stream of bytes into the payloads of its frames.

    Not thread-safe; one decoder for each stream. After FrameTooLargeError the stream has no meaning any
    more, and every further call raises the same error.

    Args:
        max_bytes: the longest payload to accept; a longer one is refused as soon as its length is read.

    Raises:
        InvalidArgumentError: `max_bytes` is not between 1 and 2**32 - 1.
    """

    __slots__ = ("_filled", "_partial", "_receive", "_refused", "_rest", "max_bytes")

    def __init__(self, *, max_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        if not 1 <= max_bytes <= _LONGEST:
            raise InvalidArgumentError(argument="max_bytes", value=max_bytes, expected="1 to 2**32 - 1")
        self.max_bytes = max_bytes
        self._rest = b""  # the first bytes of a header, fewer than 4
        self._partial: memoryview | None = None  # the payload being collected, at its full size
        self._filled = 0
        self._receive: memoryview | None = None
        self._refused = 0

    def __repr__(self) -> str:
        return f"<FrameDecoder max_bytes={self.max_bytes} pending_bytes={self.pending_bytes}>"

    @property
    def pending_bytes(self) -> int:
        """The bytes received of a frame that is not complete; 0 between frames."""
        return len(self._rest) + (self._filled + _HEADER_BYTES if self._partial is not None else 0)

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """Take the next bytes of the stream; return the payloads that they complete, in order.

        Raises:
            FrameTooLargeError: a frame is longer than `max_bytes`; payloads before it are dropped.
        """
        if self._refused:
            raise FrameTooLargeError(size=self._refused, max_bytes=self.max_bytes)
        payloads: list[bytes | memoryview] = []
        if self._partial is not None:
            used = min(len(data), len(self._partial) - self._filled)
            self._partial[self._filled : self._filled + used] = data[:used]
            payloads.extend(self._grow(used))
            data = data[used:]
        if data:
            self._split(self._rest + data if self._rest else data, payloads)
        return payloads

    def get_buffer(self) -> memoryview:
        """Return where to receive the next bytes; a large payload's missing part is received in place."""
        if self._partial is not None and len(self._partial) - self._filled >= _RECEIVE_BYTES:
            return self._partial[self._filled :]
        if self._receive is None:
            self._receive = memoryview(bytearray(_RECEIVE_BYTES))
        return self._receive

    def buffer_updated(self, nbytes: int) -> list[bytes | memoryview]:
        """Take the `nbytes` that were received into the buffer that `get_buffer()` returned last.

        Raises:
            FrameTooLargeError: a frame is longer than `max_bytes`; payloads before it are dropped.
        """
        if self._partial is not None and len(self._partial) - self._filled >= _RECEIVE_BYTES:
            return list(self._grow(nbytes))
        # `get_buffer()` has made it. One copy for all small frames of it is cheaper than one for each.
        return self.feed(bytes(self.get_buffer()[:nbytes]))

    def _grow(self, nbytes: int) -> Iterator[bytes | memoryview]:
        """Count `nbytes` of the partial payload; yield it when it is complete."""
        self._filled += nbytes
        partial = self._partial
        if partial is not None and self._filled == len(partial):
            self._partial = None
            yield partial if len(partial) >= _LARGE_BYTES else bytes(partial)

    def _split(self, data: bytes, payloads: list[bytes | memoryview]) -> None:
        """Cut whole frames from `data`, which begins with a header; keep what remains."""
        unpack, limit = _HEADER.unpack_from, self.max_bytes
        position, end = 0, len(data)
        while position + _HEADER_BYTES <= end:
            (size,) = unpack(data, position)
            if size > limit:
                self._refused = size
                raise FrameTooLargeError(size=size, max_bytes=limit)
            position += _HEADER_BYTES
            stop = position + size
            if stop > end:
                self._rest = b""
                self._start_partial(size, data[position:])
                return
            payloads.append(data[position:stop])
            position = stop
        self._rest = data[position:]

    def _start_partial(self, size: int, first: bytes) -> None:
        # An exact buffer from the start: joining piece to piece would cost the square of their number.
        self._partial = memoryview(bytearray(size))
        self._partial[: len(first)] = first
        self._filled = len(first)
