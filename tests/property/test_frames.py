"""However the stream is cut, the same frames come out."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from mainspring.base import FrameDecoder, encode_frame
from mainspring.errors import FrameTooLargeError

_PAYLOADS = st.lists(st.binary(max_size=300), max_size=8)
_CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=20)


@given(payloads=_PAYLOADS, cuts=_CUTS, split=st.integers(0, 300))
def test_frames_survive_every_cut_of_the_stream(payloads: list[bytes], cuts: list[int], split: int) -> None:
    wire = b"".join(b"".join(encode_frame(each[:split], each[split:])) for each in payloads)
    decoder, out, turn = FrameDecoder(max_bytes=300), list[bytes](), 0
    while wire:
        taken, turn = cuts[turn % len(cuts)], turn + 1
        out.extend(bytes(payload) for payload in decoder.feed(wire[:taken]))
        wire = wire[taken:]
    assert payloads == out
    assert decoder.pending_bytes == 0


@given(payloads=_PAYLOADS, cuts=_CUTS)
def test_buffered_reading_equals_feeding(payloads: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(b"".join(encode_frame(each)) for each in payloads)
    fed, buffered, turn = FrameDecoder(), FrameDecoder(), 0
    while wire:
        taken, turn = min(cuts[turn % len(cuts)], len(wire)), turn + 1
        buffered.get_buffer()[:taken] = wire[:taken]
        assert fed.feed(wire[:taken]) == buffered.buffer_updated(taken)
        wire = wire[taken:]


@given(noise=st.binary(max_size=200), limit=st.integers(1, 64))
def test_noise_gives_bounded_payloads_or_one_clear_error(noise: bytes, limit: int) -> None:
    decoder, payloads = FrameDecoder(max_bytes=limit), list[bytes | memoryview]()
    with suppress(FrameTooLargeError):
        payloads = decoder.feed(noise)
    assert all(len(payload) <= limit for payload in payloads)
    assert decoder.pending_bytes <= limit + 4


@given(noise=st.binary(max_size=200), limit=st.integers(1, 64), cuts=_CUTS, width=st.sampled_from([1, 2, 3, 4, 8]))
def test_noise_gives_the_same_frames_and_refusal_however_it_is_cut(
    noise: bytes, limit: int, cuts: list[int], width: int
) -> None:
    whole, cut = FrameDecoder(max_bytes=limit, header_bytes=width), FrameDecoder(max_bytes=limit, header_bytes=width)
    expected, out, turn, rest = list[bytes | memoryview](), list[bytes | memoryview](), 0, noise
    with suppress(FrameTooLargeError):
        expected = whole.feed(noise)
    while rest and cut.refusal is None:
        taken, turn = cuts[turn % len(cuts)], turn + 1
        with suppress(FrameTooLargeError):
            out.extend(cut.feed(rest[:taken]))
        rest = rest[taken:]
    assert expected == out
    assert str(whole.refusal) == str(cut.refusal)
