import itertools

from hypothesis import given
from hypothesis import strategies as st

from mainspring.jobs.stores import MemoryData
from mainspring.jobs.stores._done import STRENGTH
from mainspring.jobs.stores._memory_data import IdempotencyKeys, KeyUse

MARKS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.sampled_from(sorted(STRENGTH))), max_size=12)


@given(MARKS)
def test_painting_is_painting_point_by_point(marks: list[tuple[int, int, str]]) -> None:
    data = MemoryData()
    points: dict[int, str] = {}
    for start, length, state in marks:
        data.paint([("job", start, start + length, state)])
        for point in range(start, start + length):
            if STRENGTH[state] >= STRENGTH.get(points.get(point, ""), 0):
                points[point] = state
    found = data.done.get("job", [])
    assert {p: state for start, end, state in found for p in range(start, end)} == points
    assert all(a[1] < b[0] or a[2] != b[2] for a, b in itertools.pairwise(found))
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))


def test_a_key_is_forgotten_at_its_end() -> None:
    keys = IdempotencyKeys()
    first, second = KeyUse("1", None, 10), KeyUse("2", None, 30)
    keys.put("k", first)
    keys.put("other", second)
    assert keys.get("k", 9) is first
    assert keys.get("k", 10) is None
    assert keys.get("other", 29) is second
