"""Messages of workers come out as they went in."""

from tests.unit.concurrency.support_tasks import Block

from mainspring.base import FrameDecoder
from mainspring.concurrency._worker_messages import (
    MAX_MESSAGE_BYTES,
    Kind,
    decode_message,
    encode_message,
    message_bytes,
    pickle_out_of_band,
)


def frame(*parts: bytes | bytearray | memoryview) -> bytes | memoryview:
    (payload,) = FrameDecoder(max_bytes=MAX_MESSAGE_BYTES).feed(b"".join(parts))
    return payload


def test_a_message_without_buffers_keeps_its_header() -> None:
    message = decode_message(frame(*encode_message(7, Kind.RESULT, *pickle_out_of_band("x"), seconds=0.25)))
    assert (7, Kind.RESULT, 0.25) == (message.number, message.kind, message.seconds)
    assert message.unpickle() == "x"


def test_buffers_are_writable_and_aligned_however_large() -> None:
    for sizes in ([1, 0, 33], [3, 200_000]):
        blocks = [Block(bytearray(b"z" * size)) for size in sizes]
        pickled, buffers = pickle_out_of_band(blocks)
        payload = frame(*encode_message(1, Kind.CALL, pickled, buffers))
        message = decode_message(payload)
        assert [b"z" * size for size in sizes] == [bytes(block.data) for block in message.unpickle()]
        assert not any(buffer.readonly for buffer in message.buffers)
        whole = message.buffers[0].obj
        assert len({id(buffer.obj) for buffer in message.buffers}) == 1
        assert all(_offset(buffer, whole) % 16 == 0 for buffer in message.buffers if buffer.nbytes)
        assert len(payload) <= message_bytes(pickled, buffers)


def _offset(part: memoryview, whole: object) -> int:
    """Where a part of zs begins in its whole, found by a mark."""
    assert isinstance(whole, bytearray)
    part[0] = 1
    position = whole.rindex(b"\x01" + bytes(part[1:]))
    part[0] = ord("z")
    return position
