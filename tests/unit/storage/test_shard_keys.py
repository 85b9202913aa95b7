"""Which keys a sharded store takes, and where they lie."""

import math
from typing import Any  # Any: what may be no key

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidArgumentError
from mainspring.storage._shard_keys import Key, check_key, check_keys, shard_of

PARTS = st.one_of(st.integers(-(2**63) - 1, 2**63), st.floats(), st.text(max_size=2), st.binary(max_size=2), st.none())


def test_tuples_of_scalars_are_keys() -> None:
    key = (1, 2.5, "é", b"\x00", True)
    assert key == check_key(key, 5)


@pytest.mark.parametrize(
    "key",
    [
        "abc",
        ["a", "b", "c"],
        ("a", "b"),
        ("a", "b", None),
        ("a", "b", 2**63),
        ("a", "b", -(2**63) - 1),
        ("a", "b", math.nan),
        ("a", "b", "\ud800"),
        ("a", "b", ("c",)),
    ],
)
def test_everything_else_is_refused(key: object) -> None:
    with pytest.raises(InvalidArgumentError, match="key"):
        check_key(key, 3)


@given(st.lists(st.tuples(PARTS, PARTS), max_size=5))
def test_many_keys_are_checked_as_each_alone(keys: list[Any]) -> None:
    try:
        expected: list[Key] | None = [check_key(key, 2) for key in keys]
    except InvalidArgumentError:
        expected = None
    if expected is None:
        with pytest.raises(InvalidArgumentError, match="key"):
            check_keys(keys, 2)
    else:
        assert expected == check_keys(iter(keys), 2)


@pytest.mark.parametrize("key", ["ab", ["a", 1], ("a",), ("a", 1, 2), ("a", 2**63), ("a", None), (1, "\ud800")])
def test_one_bad_key_among_many_is_told(key: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="key"):
        check_keys([("a", 1), key, ("b", 2)], 2)


def test_equal_parts_lie_in_the_same_shard() -> None:
    for equal in ((1, 1.0, True), (0, -0.0, False), (2**62, float(2**62)), (-7, -7.0)):
        assert 1 == len({shard_of(part, 1024) for part in equal})


def test_the_shard_of_a_key_never_changes() -> None:
    """Stores on disk depend on it."""
    parts = (1, 2.5, math.inf, 1e300, "a", "é", b"a", b"")
    long = "a" * 65  # whose hash is not remembered
    for _ in range(2):
        assert [186, 34] == [shard_of(part, 256) for part in (long, long[1:])]
    assert [10, 64, 42, 216, 19, 243, 122, 117] == [shard_of(part, 256) for part in parts]


def test_keys_are_spread_evenly() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[shard_of(number, 16)] += 1
    assert 800 < min(counts) <= max(counts) < 1200
