"""Records are cut where they were made; long ones come in pieces; signs of life are counted."""

import pytest

from mainspring.errors import FrameTooLargeError, InvalidArgumentError
from mainspring.transport._records import PIECE_BYTES, Item, RecordCodec, RecordStart


def _feed(codec: RecordCodec, wire: bytes, cut: int) -> list[Item]:
    """Feed as a transport does: into the codec's own buffer."""
    items: list[Item] = []
    while wire:
        buffer = codec.get_buffer()
        taken = min(len(buffer), len(wire), cut)
        buffer[:taken] = wire[:taken]
        wire = wire[taken:]
        items += codec.buffer_updated(taken)
    return items


def _wire(codec: RecordCodec, *payloads: bytes) -> bytes:
    return b"".join(b"".join(codec.encode(payload)) for payload in payloads)


@pytest.mark.parametrize("cut", [1, 3, 1000, 1 << 20])
@pytest.mark.parametrize("width", [2, 4])
def test_records_come_out_however_the_stream_is_cut(cut: int, width: int) -> None:
    codec = RecordCodec(header_bytes=width)
    payloads = [b"", b"a", b"x" * 5000, b"y" * 60_000, b"", b"end"]
    assert payloads == _feed(codec, _wire(codec, *payloads), cut)
    assert codec.is_between_records


@pytest.mark.parametrize("width", [1, 3, 4])
@pytest.mark.parametrize(
    "sizes",
    [[100] * 50, [0] * 100, [5] * 40 + [6] + [5] * 40, [5] * 20 + [7, 3] + [5] * 20, [5] * 39 + [4], [200] * 400],
)
def test_records_of_one_size_are_cut_like_others(sizes: list[int], width: int) -> None:
    codec = RecordCodec(header_bytes=width)
    payloads = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    for more in (b"", codec.ping):
        assert payloads == _feed(codec, _wire(codec, *payloads) + more, 1 << 20)
        assert codec.is_between_records
    assert 1 == codec.pings
    strict = RecordCodec(header_bytes=width, limit=99)
    assert [one for one in payloads if len(one) < 100] == _feed(strict, _wire(codec, *payloads), 1 << 20)


@pytest.mark.parametrize("cut", [777, 1 << 20])
def test_a_long_record_is_announced_and_comes_in_pieces(cut: int) -> None:
    codec = RecordCodec()
    long = bytes(range(256)) * (2 * PIECE_BYTES // 256) + b"rest"
    start, *pieces, last = _feed(codec, _wire(codec, long, b"next"), cut)
    assert RecordStart(len(long)) == start
    assert 0 == len(start)
    assert [PIECE_BYTES, PIECE_BYTES, 4] == list(map(len, pieces))
    assert long == b"".join(bytes(piece) for piece in pieces if not isinstance(piece, RecordStart))
    assert b"next" == last


def test_one_mebibyte_comes_whole() -> None:
    codec = RecordCodec()
    assert [b"x" * PIECE_BYTES] == _feed(codec, _wire(codec, b"x" * PIECE_BYTES), 1 << 20)


def test_a_long_record_is_announced_before_anything_of_it_came() -> None:
    codec = RecordCodec()
    assert [RecordStart(3 << 30)] == _feed(codec, codec.header(3 << 30), 100)
    assert not codec.is_between_records
    assert len(codec.get_buffer()) == PIECE_BYTES


def test_signs_of_life_are_no_records() -> None:
    codec = RecordCodec()
    wire = codec.ping + _wire(codec, b"a") + codec.pong + codec.ping + _wire(codec, b"b")
    assert [b"a", b"b"] == _feed(codec, wire, 3)
    assert 2 == codec.pings


@pytest.mark.parametrize("size", [254, 255, 256])
def test_lengths_that_are_signs_cannot_be_sent(size: int) -> None:
    codec = RecordCodec(header_bytes=1)
    for encode in (lambda: codec.encode(bytes(size)), lambda: codec.header(size)):
        with pytest.raises(FrameTooLargeError):
            encode()


@pytest.mark.parametrize("cut", [1, 100])
def test_a_record_above_the_limit_is_refused_after_those_before_it(cut: int) -> None:
    codec = RecordCodec(limit=10)
    assert [b"ok"] == _feed(codec, _wire(codec, b"ok", b"x" * 11, b"never"), cut)
    assert "11 bytes is over the limit of 10" in str(codec.refusal)
    assert [] == codec.buffer_updated(0)


@pytest.mark.parametrize("limit", [0, (1 << 16) - 2])
def test_the_limit_must_fit_the_length(limit: int) -> None:
    with pytest.raises(InvalidArgumentError, match="limit"):
        RecordCodec(header_bytes=2, limit=limit)
