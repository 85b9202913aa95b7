"""What a worker pool and its workers say to each other; pure, see docs/topics/worker-protocol.md.

A message is one frame of the house: a header, the lengths of its buffers, a pickle, and the buffers that
pickle protocol 5 left out of it, each at a multiple of 16 bytes so that arrays stay aligned. A length with its
highest bit set belongs to the name of a block of shared memory that holds the buffer.
"""

import pickle
from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate, pairwise
from struct import Struct
from typing import Any, Final, NamedTuple  # Any: what a pickle holds

from mainspring.base import encode_frame
from mainspring.concurrency._shared_block import SharedBlock, read_block

MAX_MESSAGE_BYTES: Final = (1 << 32) - 1
"""What the length of a frame can say."""

ORDER: Final = Struct("<BQ")
"""A message of the control channel: an `Order` and the number of a task."""

_HEADER: Final = Struct("<QBBxxIId")  # number, kind, flags, bytes of the pickle, count of buffers, seconds
_PICKLE_IN_FIRST: Final = 1  # (flag) the first buffer is the pickle
_TELL_BEGIN: Final = 2  # (flag) somebody wants to hear when the function begins
_LENGTH: Final = Struct("<Q")
_ALIGNMENT: Final = 16
_SHARED: Final = 1 << 63


class Kind(IntEnum):
    """What a message of the data channel is for."""

    CALL = 1
    CALL_WITH_MAIN = 2  # the pickle names the main module
    EXIT = 3
    READY = 4
    SETUP_FAILED = 5
    RESULT = 6
    ERROR = 7
    TALK = 8  # what the task says meanwhile: see base.child_talk
    BEGUN = 9  # the call is loaded and its function begins; only for who asked


class Order(IntEnum):
    """What a message of the control channel is for."""

    RECALL = 1  # give the task back if it has not begun
    CANCEL = 2  # the same, and interrupt it if it has
    DROPPED = 3  # (from the worker) it had not begun, and never will
    TAKEN = 4  # the answer's shared memory was opened here


class Message(NamedTuple):
    """A message as it came in; its buffers are writable and belong to whoever has it."""

    number: int
    kind: int
    seconds: float
    pickled: bytes | memoryview
    buffers: Sequence[memoryview]
    shared: frozenset[int] = frozenset()  # the buffers that are names of blocks, by position
    flags: int = 0

    @property
    def tell_begin(self) -> bool:
        """Whether the worker is to say when the function begins."""
        return bool(self.flags & _TELL_BEGIN)

    def unpickle(self) -> Any:
        """Return what the message carries."""
        if not self.shared:
            return pickle.loads(self.pickled, buffers=self.buffers)
        whole = [read_block(bytes(one)) if n in self.shared else one for n, one in enumerate(self.buffers)]
        pickled = whole.pop(0) if self.flags & _PICKLE_IN_FIRST else self.pickled
        return pickle.loads(pickled, buffers=whole)


def encode_message(
    number: int,
    kind: Kind,
    pickled: bytes = b"",
    buffers: Sequence[memoryview | SharedBlock] = (),
    *,
    seconds: float = 0.0,
    pickle_in_first: bool = False,
    tell_begin: bool = False,
) -> list[bytes | bytearray | memoryview]:
    """Return the frame of one message, as parts to write one after the other."""
    flags = pickle_in_first * _PICKLE_IN_FIRST | tell_begin * _TELL_BEGIN
    header = _HEADER.pack(number, kind, flags, len(pickled), len(buffers), seconds)
    if not buffers:
        return encode_frame(header, pickled)
    contents = [buffer.name if isinstance(buffer, SharedBlock) else buffer for buffer in buffers]
    shared = [isinstance(buffer, SharedBlock) * _SHARED for buffer in buffers]
    lengths = b"".join(_LENGTH.pack(one.nbytes | mark) for one, mark in zip(contents, shared, strict=True))
    parts: list[bytes | memoryview] = [header, lengths, pickled]
    position = len(header) + len(lengths) + len(pickled)
    for buffer in contents:
        padding = -position % _ALIGNMENT
        parts += (bytes(padding), buffer)
        position += padding + buffer.nbytes
    return encode_frame(*parts)


def decode_message(payload: bytes | memoryview) -> Message:
    """Return the message in the payload of one frame."""
    number, kind, flags, pickled_bytes, buffer_count, seconds = _HEADER.unpack_from(payload)
    start = _HEADER.size
    if not buffer_count:
        return Message(number, kind, seconds, payload[start : start + pickled_bytes], (), flags=flags)
    # Short payloads come as bytes, but the buffers of a result may be written to.
    whole = memoryview(bytearray(payload)) if isinstance(payload, bytes) else payload
    marked = [_LENGTH.unpack_from(whole, start + n * _LENGTH.size)[0] for n in range(buffer_count)]
    lengths = [length & ~_SHARED for length in marked]
    start += buffer_count * _LENGTH.size
    pickled = whole[start : start + pickled_bytes]
    # Each buffer begins at the next multiple after the one before.
    ends = list(accumulate(lengths, lambda end, length: _aligned(end) + length, initial=start + pickled_bytes))
    buffers = [whole[_aligned(before) : end] for before, end in pairwise(ends)]
    shared = frozenset(n for n, length in enumerate(marked) if length & _SHARED)
    return Message(number, kind, seconds, pickled, buffers, shared, flags)


def message_bytes(pickled: bytes, buffers: Sequence[memoryview]) -> int:
    """Return an upper bound of the size of a message."""
    return _HEADER.size + len(pickled) + sum(buffer.nbytes + _LENGTH.size + _ALIGNMENT for buffer in buffers)


def pickle_out_of_band(value: object) -> tuple[bytes, list[memoryview]]:
    """Return the pickle of `value` and the buffers to send beside it; large arrays are not copied."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return pickled, [buffer.raw() for buffer in buffers]


def _aligned(position: int) -> int:
    return position + -position % _ALIGNMENT
