"""Length-prefixed frames: how bytes become messages on every pipe, socket and worker of the house.

A frame is a length (1 to 8 bytes, 4 unless told otherwise, unsigned, little-endian) and as many bytes of
payload, possibly none. The codec is pure; whoever reads and writes owns it. Two ways in: `feed()` for what a
Protocol receives, and `get_buffer()` with `buffer_updated()` for a BufferedProtocol, where a large payload is
received in place.

Who owns what: small payloads are cut from the received bytes as `bytes` of their own. A payload that arrives
in more than one piece is collected in a buffer of its exact size and, when it is large, handed out as a
memoryview of that buffer, which nobody else keeps. So a payload stays valid as long as its reader wants.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

from mainspring.errors import FrameTooLargeError, InvalidArgumentError

_DEFAULT_HEADER_BYTES: Final = 4
_WIDEST_HEADER: Final = 8
_RECEIVE_BYTES: Final = 1 << 16
_LARGE_BYTES: Final = 1 << 17
_JOIN_BYTES: Final = 1 << 14

DEFAULT_MAX_FRAME_BYTES: Final = 16 << 20
"""The longest payload that a decoder takes unless told otherwise: 16 MiB."""


def _unpacker(header_bytes: int) -> Callable[[bytes, int], tuple[int]]:
    """Return what reads the length at a position: struct where it knows the width, which takes 0.7 of the time."""
    code = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}.get(header_bytes)
    if code is not None:
        return Struct(code).unpack_from  # pyright: ignore[reportReturnType]  # a code of one number gives one
    return lambda data, position: (int.from_bytes(data[position : position + header_bytes], "little"),)


_UNPACKERS: Final = {width: _unpacker(width) for width in range(1, _WIDEST_HEADER + 1)}


def longest_payload(header_bytes: int) -> int:
    """Return the longest payload whose length fits `header_bytes` bytes.

    Raises:
        InvalidArgumentError: `header_bytes` is not between 1 and 8.
    """
    if header_bytes not in _UNPACKERS:
        raise InvalidArgumentError(argument="header_bytes", value=header_bytes, expected="1 to 8")
    return (1 << 8 * header_bytes) - 1


def encode_frame(
    *parts: bytes | bytearray | memoryview, header_bytes: int = _DEFAULT_HEADER_BYTES
) -> list[bytes | bytearray | memoryview]:
    """Return one frame whose payload is `parts` in order, as buffers for `writelines`.

    Small frames come as a single buffer; parts of large ones are passed through without a copy.

    Args:
        parts: the payload.
        header_bytes: the width of the length, 1 to 8; the decoder of the other end must have the same.

    Raises:
        FrameTooLargeError: the payload is longer than such a length can say.
    """
    size = sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in parts)
    try:
        header = size.to_bytes(header_bytes, "little")
    except OverflowError:
        raise FrameTooLargeError(size=size, max_bytes=longest_payload(header_bytes)) from None
    if size <= _JOIN_BYTES:
        return [b"".join((header, *parts))]
    return [header, *parts]


def length_reader(header_bytes: int) -> Callable[[bytes, int], tuple[int]]:
    """Return what reads the length at a position of the bytes, as a tuple of one."""
    longest_payload(header_bytes)
    return _UNPACKERS[header_bytes]


class FrameDecoder:
    """Cuts a stream of bytes into the payloads of its frames.

    Not thread-safe; one decoder for each stream. After a frame that is too large the stream has no meaning
    any more: the frames before it come out, `refusal` says why there are no others, and every further call
    raises it.

    Args:
        max_bytes: the longest payload to accept; a longer one is refused as soon as its length is read.
            None is 16 MiB, or what the length can say if that is less.
        header_bytes: the width of the length, 1 to 8.

    Raises:
        InvalidArgumentError: `header_bytes` is not between 1 and 8, or `max_bytes` not between 1 and what
            such a length can say.
    """

    __slots__ = ("_filled", "_header_bytes", "_partial", "_receive", "_rest", "_unpack", "max_bytes", "refusal")

    def __init__(self, *, max_bytes: int | None = None, header_bytes: int = _DEFAULT_HEADER_BYTES) -> None:
        longest = longest_payload(header_bytes)
        if max_bytes is None:
            max_bytes = min(DEFAULT_MAX_FRAME_BYTES, longest)
        if not 1 <= max_bytes <= longest:
            raise InvalidArgumentError(argument="max_bytes", value=max_bytes, expected=f"1 to {longest}")
        self.max_bytes = max_bytes
        self._header_bytes = header_bytes
        self._unpack = _UNPACKERS[header_bytes]
        self._rest = b""  # the first bytes of a header
        self._partial: memoryview | None = None  # the payload being collected, at its full size
        self._filled = 0
        self._receive: memoryview | None = None
        self.refusal: FrameTooLargeError | None = None

    def __repr__(self) -> str:
        return f"<FrameDecoder max_bytes={self.max_bytes} pending_bytes={self.pending_bytes}>"

    @property
    def pending_bytes(self) -> int:
        """The bytes received of a frame that is not complete; 0 between frames."""
        return len(self._rest) + (self._filled + self._header_bytes if self._partial is not None else 0)

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """Take the next bytes of the stream; return the payloads that they complete, in order.

        Raises:
            FrameTooLargeError: a frame is longer than `max_bytes`, and none came before it in `data`.
        """
        if self.refusal is not None:
            raise self.refusal
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
            FrameTooLargeError: a frame is longer than `max_bytes`, and none came before it.
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
        unpack, width, limit = self._unpack, self._header_bytes, self.max_bytes
        position, end = 0, len(data)
        while position + width <= end:
            (size,) = unpack(data, position)
            if size > limit:
                self.refusal = FrameTooLargeError(size=size, max_bytes=limit)
                if payloads:
                    return
                raise self.refusal
            position += width
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
