"""The segmented LRU against plain lists, and on recorded traces: the levels agree after every step."""

import csv
import io
import itertools
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.demo._flight_file import find_archive
from mainspring.storage import SegmentedLRU

KEYS = "abcdefgh"
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("increment"), st.sampled_from(KEYS), st.integers(0, 12)),
        st.tuples(st.just("boost"), st.sampled_from(KEYS), st.sampled_from([1, 2**20, 2**21, 2**22])),
        st.tuples(st.just("touch"), st.text(KEYS, max_size=6), st.just(0)),
        st.tuples(st.just("discard"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("evict"), st.just(""), st.just(0)),
    ),
    max_size=60,
)


class Model:
    """The same rules, said with lists: each level holds (key, size), most recent first."""

    def __init__(self, capacity: int, level_count: int) -> None:
        self.capacity, self.share = capacity, capacity // level_count
        self.levels: list[list[tuple[str, int]]] = [[] for _ in range(level_count)]

    def find(self, key: str) -> int | None:
        return next((n for n, level in enumerate(self.levels) if key in dict(level)), None)

    def size(self) -> int:
        return sum(size for level in self.levels for _, size in level)

    def access(self, key: str, size: int | None, jump: int, first: int) -> bool:
        found = self.find(key)
        target = first if found is None else found + jump
        if found is not None:
            kept = dict(self.levels[found])[key]
            self.levels[found].remove((key, kept))
            size = kept if size is None else size
        if size is not None:
            self.levels[min(target, len(self.levels) - 1)].insert(0, (key, size))
        return found is not None

    def discard(self, key: str) -> bool:
        found = self.find(key)
        if found is not None:
            self.levels[found] = [(one, size) for one, size in self.levels[found] if one != key]
        return found is not None

    def evict(self) -> list[str]:
        for number in range(len(self.levels) - 1, 0, -1):
            while sum(size for _, size in self.levels[number]) > self.share:
                self.levels[number - 1].insert(0, self.levels[number].pop())
        gone: list[str] = []
        while self.size() > self.capacity:
            gone.append(self.levels[0].pop()[0])
        return gone


def step(lru: SegmentedLRU[str], model: Model, action: str, key: str, size: int) -> None:
    """Do the same to both and compare what they answer."""
    if action == "increment":
        assert model.access(key, size, 1, 0) == lru.increment(key, size)
    elif action == "boost":
        jump = 4 if size < 2**20 else 3 if size < 2**21 else 2 if size < 3 * 2**20 else 1
        assert model.access(key, size, jump, jump - 1) == lru.increment_boost(key, size)
    elif action == "touch":
        assert [one for one in key if not model.access(one, None, 1, 0)] == lru.touch_many(key)
    elif action == "discard":
        assert model.discard(key) == lru.discard(key)
    else:
        assert model.evict() == lru.evict()
        assert not lru.evict_check()


@given(steps=STEPS, capacity=st.integers(1, 60), level_count=st.integers(1, 5))
def test_levels_sizes_and_evictions_are_those_of_the_model(
    steps: list[tuple[str, str, int]], capacity: int, level_count: int
) -> None:
    lru, model = SegmentedLRU[str](capacity, level_count), Model(capacity, level_count)
    for action, key, size in steps:
        step(lru, model, action, key, size)
        assert model.levels == lru.levels()
        assert model.size() == lru.size
        assert len(lru) == len(list(lru)) == sum(len(level) for level in lru.levels())


@given(steps=STEPS)
def test_the_sum_of_all_changes_is_the_state(steps: list[tuple[str, str, int]]) -> None:
    """Whoever applies the changes as they come, and drops what is evicted, ends with the same keys."""
    lru, model = SegmentedLRU[str](30), Model(30, 4)
    kept: dict[str, tuple[int, int]] = {}
    for number, (action, key, size) in enumerate(steps):
        step(lru, model, action, key, size)
        if number % 3 == 0:
            kept.update({change.key: (change.size, change.level) for change in lru.take_changes()})
    kept.update({change.key: (change.size, change.level) for change in lru.take_changes()})
    state = {key: (size, number) for number, level in enumerate(lru.levels()) for key, size in level}
    assert state == {key: value for key, value in kept.items() if key in lru}


def recorded(hot: str, scan: int) -> list[str]:
    """Return a trace: some keys again and again, with a scan of one-shot keys in between."""
    trace = list(hot) * 5
    for number in range(scan):
        trace.append(f"scan-{number}")
        if number % 5 == 0:
            trace.append(hot[number // 5 % len(hot)])
    return trace + list(hot)


def test_recorded_traces_give_the_hits_of_the_model_and_survive_scans() -> None:
    for hot, scan in (("abcd", 0), ("abcd", 200), ("abcdefgh", 500)):
        lru, model = SegmentedLRU[str](16), Model(16, 4)
        hits: list[bool] = []
        for key in recorded(hot, scan):
            hits.append(lru.increment(key, 1))
            assert hits[-1] == model.access(key, 1, 1, 0)
            if lru.evict_check():
                assert model.evict() == lru.evict()
        assert [True] * len(hot) == hits[-len(hot) :]


def planes(most: int) -> list[str]:
    """Return a trace that was recorded: the planes that left New York in 2013, departure by departure."""
    with zipfile.ZipFile(find_archive()) as archive, archive.open("flights.csv") as file:
        rows = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
        return [row["tailnum"] for row in itertools.islice(rows, most)]


@pytest.mark.extras
def test_a_year_of_departures_gives_the_hits_and_levels_of_the_model(
    mainspring_count: Callable[[int, int], int],
) -> None:
    trace = planes(mainspring_count(6_000, 336_776))
    sizes = {plane: 1 + len(plane) % 3 * number % 7 for number, plane in enumerate(dict.fromkeys(trace))}
    lru, model = SegmentedLRU[str](400), Model(400, 4)
    for plane in trace:
        assert model.access(plane, sizes[plane], 1, 0) == lru.increment(plane, sizes[plane])
        if lru.evict_check():
            assert model.evict() == lru.evict()
    assert model.levels == lru.levels()
    assert len(lru) < len(sizes)  # something was evicted
