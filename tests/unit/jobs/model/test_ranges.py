"""A range set answers as a plain set of integers would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.jobs.model import RangeSet

_range = st.tuples(st.integers(0, 40), st.integers(0, 40))
_steps = st.lists(st.tuples(st.booleans(), _range), max_size=30)


@given(_steps, _range)
def test_any_steps_leave_what_a_plain_set_would_hold(
    steps: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int]
) -> None:
    ranges, plain = RangeSet(), set[int]()
    for adds, (start, end) in steps:
        if adds:
            ranges.add(start, end)
            plain |= set(range(start, end))
        else:
            ranges.remove(start, end)
            plain -= set(range(start, end))
    assert plain == {one for start, end in ranges for one in range(start, end)}
    missing = {one for start, end in ranges.gaps(*asked) for one in range(start, end)}
    assert set(range(*asked)) - plain == missing
    assert ranges.covers(*asked) is (set(range(*asked)) <= plain)


@given(_steps)
def test_ranges_stay_sorted_apart_and_not_empty(steps: list[tuple[bool, tuple[int, int]]]) -> None:
    ranges = RangeSet()
    for adds, (start, end) in steps:
        (ranges.add if adds else ranges.remove)(start, end)
    flat = [edge for one in ranges for edge in one]
    assert flat == sorted(set(flat))
    assert len(flat) == 2 * len(ranges)


@given(st.lists(_range, max_size=20))
def test_building_at_once_is_the_same_as_adding(many: list[tuple[int, int]]) -> None:
    one_by_one = RangeSet()
    for start, end in many:
        one_by_one.add(start, end)
    assert one_by_one == RangeSet(many)


def test_it_shows_its_ranges_and_has_no_hash() -> None:
    assert repr(RangeSet([(0, 2), (2, 5)])) == "RangeSet([(0, 5)])"
    assert RangeSet() != [(0, 1)]
    with pytest.raises(TypeError):
        hash(RangeSet())


@given(st.lists(_range, max_size=20), st.lists(_range, max_size=20), st.integers(0, 40))
def test_union_and_prefix_agree_with_a_plain_set(
    one: list[tuple[int, int]], other: list[tuple[int, int]], start: int
) -> None:
    both = RangeSet(one).union(RangeSet(other))
    plain = {number for low, high in (*one, *other) for number in range(low, high)}
    assert plain == {number for low, high in both for number in range(low, high)}
    end = start
    while end in plain:
        end += 1
    assert end == both.prefix_end(start)
