"""Ids ascend and stay canonical whatever the clock says."""

import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mainspring.base import SystemClock, new_id, use_clock, use_random


class _Jumping(SystemClock):
    def __init__(self, seconds: list[float]) -> None:
        self._seconds = iter(seconds)

    def time(self) -> float:
        return next(self._seconds)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


@given(seconds=st.lists(st.floats(0, 2.0**47 / 1000 - 1), min_size=1, max_size=50), seed=st.integers())
def test_ids_ascend_and_are_version_7(seconds: list[float], seed: int) -> None:
    with use_random(seed), use_clock(_Jumping(seconds)):
        ids = [new_id() for _ in seconds]
    assert ids == sorted(set(ids))
    assert {7} == {uuid.UUID(text).version for text in ids}
    assert [str(uuid.UUID(text)) for text in ids] == ids
