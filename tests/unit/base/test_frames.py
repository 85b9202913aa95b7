"""Frames are cut where they were made; properties over all cuts are in tests/property."""

import pytest

from mainspring.base import FrameDecoder, encode_frame, longest_payload
from mainspring.errors import FrameTooLargeError, InvalidArgumentError

LARGE = 200_000


def _wire(*payloads: bytes) -> bytes:
    return b"".join(b"".join(encode_frame(payload)) for payload in payloads)


def test_small_frames_are_one_buffer_and_large_parts_are_not_copied() -> None:
    assert encode_frame(b"a", memoryview(b"bc")) == [b"\x03\x00\x00\x00abc"]
    large = bytearray(LARGE)
    header, part, tail = encode_frame(large, b"x")
    assert (LARGE + 1).to_bytes(4, "little") == header
    assert part is large
    assert tail == b"x"


def test_a_memoryview_counts_its_bytes_not_its_items() -> None:
    numbers = memoryview(bytearray(80)).cast("q")
    assert len(b"".join(encode_frame(numbers))) == 84


def test_a_payload_beyond_the_length_field_is_refused() -> None:
    page = memoryview(bytearray(1 << 20))
    with pytest.raises(FrameTooLargeError):
        encode_frame(*[page] * 4096)


def test_several_frames_in_one_piece_come_out_in_order() -> None:
    assert FrameDecoder().feed(_wire(b"a", b"", b"ccc")) == [b"a", b"", b"ccc"]


def test_single_bytes_are_collected() -> None:
    decoder = FrameDecoder()
    wire = _wire(b"hello", b"you")
    out = [payload for byte in wire for payload in decoder.feed(bytes([byte]))]
    assert out == [b"hello", b"you"]
    assert decoder.pending_bytes == 0


def test_pending_bytes_tell_a_cut_stream() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(_wire(b"hello")[:3]) == []
    assert decoder.pending_bytes == 3
    assert decoder.feed(_wire(b"hello")[3:6]) == []
    assert decoder.pending_bytes == 6
    assert repr(decoder) == "<FrameDecoder max_bytes=16777216 pending_bytes=6>"
    assert decoder.feed(b"") == []


def test_a_large_payload_is_handed_out_without_a_copy_and_stays_valid() -> None:
    decoder = FrameDecoder()
    wire = _wire(b"x" * LARGE, b"next")
    (first,) = decoder.feed(wire[:1000]) + decoder.feed(wire[1000:-6])
    assert isinstance(first, memoryview)
    assert decoder.feed(wire[-6:]) == [b"next"]
    assert first == b"x" * LARGE


def test_buffered_reading_gives_the_same_payloads() -> None:
    payloads = [b"a", b"y" * LARGE, b"b" * 70_000, b"", b"c"]
    wire, decoder, out = _wire(*payloads), FrameDecoder(), list[bytes]()
    while wire:
        buffer = decoder.get_buffer()
        taken = min(len(buffer), len(wire), 50_000)
        buffer[:taken] = wire[:taken]
        wire = wire[taken:]
        out.extend(bytes(payload) for payload in decoder.buffer_updated(taken))
    assert payloads == out


def test_a_frame_above_the_limit_is_refused_by_its_header_and_for_ever() -> None:
    decoder = FrameDecoder(max_bytes=4)
    assert decoder.feed(_wire(b"four")) == [b"four"]
    for data in (_wire(b"fives")[:4], b"anything"):
        with pytest.raises(FrameTooLargeError, match="a frame of 5 bytes is over the limit of 4"):
            decoder.feed(data)


def test_frames_before_one_that_is_too_large_come_out() -> None:
    decoder = FrameDecoder(max_bytes=4)
    assert decoder.feed(_wire(b"four", b"fives")) == [b"four"]
    assert decoder.refusal is not None
    with pytest.raises(FrameTooLargeError, match="5 bytes"):
        decoder.feed(b"")


@pytest.mark.parametrize("max_bytes", [0, 1 << 32])
def test_the_limit_must_fit_the_length_field(max_bytes: int) -> None:
    with pytest.raises(InvalidArgumentError, match="max_bytes"):
        FrameDecoder(max_bytes=max_bytes)


@pytest.mark.parametrize("width", range(1, 9))
def test_every_width_of_the_length_works_both_ways(width: int) -> None:
    wire = b"".join(b"".join(encode_frame(payload, header_bytes=width)) for payload in (b"", b"x" * 255))
    decoder = FrameDecoder(header_bytes=width)
    assert [b"", b"x" * 255] == [payload for byte in wire for payload in decoder.feed(bytes([byte]))]
    assert bytes(width) == wire[:width]


def test_a_payload_beyond_a_narrow_length_is_refused_before_it_is_sent() -> None:
    with pytest.raises(FrameTooLargeError, match="256 bytes is over the limit of 255"):
        encode_frame(bytes(256), header_bytes=1)


@pytest.mark.parametrize("width", [0, 9])
def test_a_length_has_one_to_eight_bytes(width: int) -> None:
    with pytest.raises(InvalidArgumentError, match="header_bytes"):
        longest_payload(width)
