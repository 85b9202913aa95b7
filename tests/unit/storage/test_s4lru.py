"""The segmented LRU: where keys go, what is evicted, what is counted."""

import math
from typing import Any  # Any: what may be no number

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.storage import SegmentedLRU


def levels(lru: SegmentedLRU[str]) -> list[str]:
    """Return the keys of each level as one string, most recent first."""
    return ["".join(key for key, _ in level) for level in lru.levels()]


def filled(keys: str, *, capacity: int = 1000, size: int = 10) -> SegmentedLRU[str]:
    lru = SegmentedLRU[str](capacity)
    for key in keys:
        lru.increment(key, size)
    return lru


def test_a_touch_moves_a_key_to_the_head_of_the_next_level() -> None:
    assert ["dba", "", "", ""] == levels(filled("abd"))
    assert ["d", "a", "b", ""] == levels(filled("abdbab"))
    assert ["", "", "", "ab"] == levels(filled("aaaaabbbbbba"))


def test_increment_tells_whether_the_key_was_known() -> None:
    lru = filled("a")
    assert [True, False] == [lru.increment("a", 1), lru.increment("b", 1)]
    assert (2, 2, True, False) == (len(lru), lru.count, "b" in lru, "c" in lru)
    assert ["a", "b"] == list(lru)


def test_eviction_stops_as_soon_as_the_rest_fits() -> None:
    lru = filled("abcde", capacity=40)
    assert lru.evict_check()
    assert ["a"] == lru.evict()
    assert (40, False) == (lru.size, lru.evict_check())
    assert [] == lru.evict()


def test_upper_levels_are_cut_to_their_share_before_anything_is_evicted() -> None:
    lru = filled("aabbccd", capacity=40)
    lru.increment("e", 10)
    assert ["ed", "cba", "", ""] == levels(lru)
    assert ["d"] == lru.evict()
    assert ["bae", "c", "", ""] == levels(lru)
    assert 40 == lru.size


def test_a_scan_leaves_frequent_keys_alone() -> None:
    lru = filled("abcabcabc", capacity=120)
    for number in range(100):
        lru.increment(f"once-{number}", 10)
        lru.evict()
    assert {"a", "b", "c"} <= set(lru)


def test_a_size_may_change() -> None:
    lru = filled("ab", capacity=50)
    lru.increment("a", 45)
    assert 55 == lru.size
    assert ["b"] == lru.evict()
    lru.increment_boost("a", 5)
    assert (5, [[], [], [], [("a", 5)]]) == (lru.size, lru.levels())


@pytest.mark.parametrize(
    ("size", "first", "then"),
    [(2**20 - 1, 3, 3), (2**20, 2, 3), (2 * 2**20, 1, 3), (3 * 2**20, 0, 1)],
)
def test_a_boost_counts_for_more_the_smaller_the_key(size: int, first: int, then: int) -> None:
    lru = SegmentedLRU[str](2**40)
    assert not lru.increment_boost("k", size)
    assert [("k", size)] == lru.levels()[first]
    assert lru.increment_boost("k", size)
    assert [("k", size)] == lru.levels()[then]


def test_a_boost_stays_within_few_levels() -> None:
    lru = SegmentedLRU[str](100, level_count=2)
    lru.increment_boost("k", 1)
    lru.increment_boost("k", 1)
    assert [[], [("k", 1)]] == lru.levels()


def test_many_touches_equal_single_ones() -> None:
    one, many = filled("abcd"), filled("abcd")
    touches = "abacabadxaaay"
    for key in touches:
        if key in one:
            one.increment(key, 10)
    assert ["x", "y"] == many.touch_many(touches)
    assert one.levels() == many.levels()
    assert list(one.take_changes()) == list(many.take_changes())


def test_an_evicted_key_that_returns_is_new() -> None:
    lru = filled("abc", capacity=20)
    assert ["a"] == lru.evict()
    assert not lru.increment("a", 10)
    assert 30 == lru.size


def test_a_discarded_key_leaves_no_trace() -> None:
    lru = filled("aab")
    assert lru.discard("a")
    assert not lru.discard("a")
    assert (10, 1, ["b", "", "", ""]) == (lru.size, lru.count, levels(lru))


def test_changes_are_told_once() -> None:
    lru = filled("aab")
    assert [("a", 10, 1, 1), ("b", 10, 0, 0)] == [tuple(change) for change in lru.take_changes()]
    assert [] == list(lru.take_changes())
    lru.increment("b", 12)
    assert [("b", 12, 1, 1)] == [tuple(change) for change in lru.take_changes()]


def test_a_demotion_is_a_change() -> None:
    lru = filled("aabb", capacity=40)
    list(lru.take_changes())
    lru.increment("c", 25)
    assert ["c"] == lru.evict()
    assert [("a", 10, 0, 0)] == [tuple(change) for change in lru.take_changes()]


def test_a_restored_key_is_no_change() -> None:
    lru = SegmentedLRU[str](100, level_count=2)
    lru.restore("a", 10, 7)
    lru.restore("b", 10, 0)
    lru.restore("a", 20, 1)
    assert [[("b", 10)], [("a", 20)]] == lru.levels()
    assert (30, []) == (lru.size, list(lru.take_changes()))


def test_one_level_is_a_plain_lru() -> None:
    lru = SegmentedLRU[str](20, level_count=1)
    for key in "abacc":
        lru.increment(key, 10)
    assert ["b"] == lru.evict()


def test_the_state_is_written_line_by_line() -> None:
    lru = filled("aab", capacity=4000, size=1000)
    said: list[str] = []
    lru.repr("now", said.append)
    assert [
        "============== now ==============",
        "LRU capacity 4,000; size 2,000; count 2",
        "[0] size 1,000 count 1",
        "[0] 0 1,000 b",
        "[1] size 1,000 count 1",
        "[1] 1 1,000 a",
        "[2] size 0 count 0",
        "[3] size 0 count 0",
    ] == said
    said.clear()
    lru.repr(logger=said.append)
    assert "LRU capacity 4,000; size 2,000; count 2" == said[0]
    assert "<SegmentedLRU capacity 4000; size 2000; count 2>" == repr(lru)


def test_values_outside_their_range_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="capacity"):
        SegmentedLRU[str](0)
    with pytest.raises(InvalidArgumentError, match="level_count"):
        SegmentedLRU[str](10, level_count=0)
    lru = filled("a")
    for call in (lru.increment, lru.increment_boost):
        with pytest.raises(InvalidArgumentError, match="size"):
            call("a", -1)
        with pytest.raises(InvalidArgumentError, match="size"):
            call("b", -1)
    with pytest.raises(InvalidArgumentError, match="level"):
        lru.restore("c", 1, -1)
    assert (10, ["a"]) == (lru.size, list(lru))


@pytest.mark.parametrize("size", [-1, math.nan, math.inf, 2**63])
def test_a_size_that_would_spoil_the_sum_is_refused(size: Any) -> None:
    """After one NaN nothing was ever evicted again."""
    lru = SegmentedLRU[str](10)
    lru.increment("known", 4)
    for key in ("known", "new"):
        for note in (lru.increment, lru.increment_boost):
            with pytest.raises(InvalidArgumentError, match="size="):
                note(key, size)
    with pytest.raises(InvalidArgumentError, match="size="):
        lru.restore("other", size, 0)
    assert (4, ["known"]) == (lru.size, list(lru))


@pytest.mark.parametrize(
    ("argument", "bad"),
    [*(("capacity", bad) for bad in (0, "5", 1.5, math.inf)), *(("level_count", bad) for bad in (0, "4", 2.0))],
)
def test_capacities_are_whole_numbers(argument: str, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{argument}="):
        SegmentedLRU[str](**{"capacity": 10, argument: bad})
