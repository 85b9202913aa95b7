"""A range set answers as a plain set of integers would."""

from hypothesis import given
from hypothesis import strategies as st

from mainspring.jobs.model import RangeSet

_range = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(st.lists(_range, max_size=20), _range)
def test_it_holds_and_lacks_what_a_plain_set_would(many: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    ranges, plain = RangeSet(many), {one for start, end in many for one in range(start, end)}
    assert plain == {one for start, end in ranges for one in range(start, end)}
    missing = {one for start, end in ranges.gaps(*asked) for one in range(start, end)}
    assert set(range(*asked)) - plain == missing
    assert ranges.covers(*asked) is (set(range(*asked)) <= plain)


@given(st.lists(_range, max_size=20))
def test_ranges_are_sorted_apart_and_not_empty(many: list[tuple[int, int]]) -> None:
    flat = [edge for one in RangeSet(many) for edge in one]
    assert flat == sorted(set(flat))


def test_it_shows_its_ranges() -> None:
    assert repr(RangeSet([(0, 2), (2, 5)])) == "RangeSet([(0, 5)])"
