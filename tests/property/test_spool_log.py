"""The log of the spool against a plain dict: after any steps and any restart, and with any bytes on disk."""

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import DecodeError, SpoolFullError
from mainspring.sinks._letters import Letter, decode_letter
from mainspring.sinks._segments import SegmentLog

_DATA = st.binary(min_size=1, max_size=120)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "done", "failed", "bury", "revive", "reopen"]),
        st.lists(_DATA, min_size=1, max_size=4),
        st.sets(st.integers(1, 12), max_size=4),
    ),
    max_size=40,
)

Kept = dict[int, tuple[bytes, int, str | None]]


def opened(folder: Path) -> SegmentLog:
    log = SegmentLog(folder, max_bytes=2_000, segment_bytes=300)
    log.open()
    return log


def state_of(log: SegmentLog) -> Kept:
    return {number: (log.read(number) or b"", place.tries, place.dead) for number, place in log.places.items()}


def expected(model: Kept, step: str, ids: set[int]) -> Kept:
    after = dict(model)
    for number in ids & model.keys():
        data, tries, dead = model[number]
        if step == "done":
            del after[number]
        else:
            after[number] = {
                "failed": (data, tries + 1, dead),
                "bury": (data, tries, "why"),
                "revive": (data, 0, None),
            }[step]
    return after


@settings(deadline=None)
@given(steps=_STEPS)
def test_the_log_is_what_a_dict_is_after_any_restart(steps: list[tuple[str, list[bytes], set[int]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        log, model = opened(Path(name)), Kept()
        for step, contents, ids in steps:
            if step == "reopen":
                log.close()
                log = opened(Path(name))
            elif step == "put":
                with suppress(SpoolFullError):
                    model |= {n: (data, 0, None) for n, data in zip(log.put(contents), contents, strict=True)}
            else:
                getattr(log, step)(*([ids, "why"] if step == "bury" else [ids]))
                model = expected(model, step, ids)
            assert model == state_of(log)
            assert log.size <= 2_000 + 600  # notes may pass the bound a little: they make room
        log.close()


@settings(deadline=None)
@given(noise=st.binary(max_size=200), item=st.binary(max_size=20))
def test_noise_is_no_letter_and_says_so(noise: bytes, item: bytes) -> None:
    letter = Letter("sink", "bytes", None, "run", datetime(2013, 1, 1, tzinfo=UTC), [(None, item)])
    assert letter == decode_letter(letter.encoded())
    with pytest.raises(DecodeError):
        decode_letter(noise + b"\xc1")


@settings(deadline=None)
@given(
    contents=st.lists(_DATA, min_size=1, max_size=8),
    changes=st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 255)), max_size=6),
    tail=st.binary(max_size=60),
)
def test_damaged_bytes_lose_what_they_hit_and_invent_nothing(
    contents: list[bytes], changes: list[tuple[int, int]], tail: bytes
) -> None:
    with tempfile.TemporaryDirectory() as name:
        log = SegmentLog(Path(name), max_bytes=100_000)
        log.open()
        ids = log.put(contents)
        places = {number: (log.places[number].offset, log.places[number].length) for number in ids}
        log.close()
        (path,) = Path(name).glob("*.seg")
        data = bytearray(path.read_bytes())
        hit: set[int] = set()
        for position, mask in changes:
            where = position % len(data)
            data[where] ^= mask
            hit |= {number for number, (offset, length) in places.items() if offset <= where < offset + length}
        path.write_bytes(data + tail)
        again = SegmentLog(Path(name), max_bytes=100_000)
        again.open()
        found = {number: again.read(number) for number in again.places}
        whole = dict(zip(ids, contents, strict=True))
        assert found.items() <= whole.items()
        assert whole.keys() - hit <= found.keys()
        assert again.put([b"after"]) > []
        again.close()
