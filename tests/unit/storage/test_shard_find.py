"""Many keys looked up together: the same answers as one by one."""

import re
import sqlite3
from pathlib import Path
from typing import Any  # Any: a value is whatever JSON can say

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import DecodeError
from mainspring.storage import SQLShard
from mainspring.storage._shard_find import FIRST, GROUP, ROUND, Lookup
from mainspring.storage._shard_keys import Key
from mainspring.storage._shard_layout import ShardLayout
from mainspring.storage._shard_values import value_encoder

LAYOUT = ShardLayout(Path("store"), 1, 2, 0)
LONG = ["word"] * 100  # which is compressed


def table(values: dict[Key, Any], layout: ShardLayout = LAYOUT) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    layout.migrations(0)[0].work(connection)  # type: ignore[operator]  # it is a function
    encode = value_encoder("zlib")
    connection.executemany(layout.put, [(*key, encode(value)) for key, value in values.items()])
    return connection


def found(connection: sqlite3.Connection, keys: list[Key], layout: ShardLayout = LAYOUT) -> dict[Key, Any]:
    lookup = Lookup(layout, keys)
    for _, work, _ in lookup.works():
        work(connection)
    return lookup.found()


@given(
    st.lists(st.sampled_from([None, 0, "", "a,b", [1, [2]], {"a": "],["}, LONG]), max_size=2 * GROUP + 9),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_values_of_all_kinds_come_to_their_keys(values: list[Any], every: int, chance: Any) -> None:
    stored: dict[Key, Any] = {("k", place): value for place, value in enumerate(values) if place % 5 >= every}
    keys: list[Key] = [("k", place % len(values)) for place in range(2 * len(values))]
    chance.shuffle(keys)
    connection = table(stored)
    answer = found(connection, keys)
    connection.close()
    assert {key: stored[key] for key in keys if key in stored} == answer
    assert [key for key in dict.fromkeys(keys) if key in stored] == list(answer)


@pytest.mark.parametrize("place", [0, FIRST - 1, FIRST, FIRST + GROUP, 2 * GROUP])
@pytest.mark.parametrize("data", [b"", b"1,2", b"{", b"\x78\x01"])
def test_a_damaged_value_is_told_wherever_it_lies(place: int, data: bytes) -> None:
    keys: list[Key] = [("k", number) for number in range(3 * GROUP)]
    connection = table(dict.fromkeys(keys, 1))
    connection.execute(LAYOUT.put, (*keys[place], data))
    with pytest.raises(DecodeError):
        found(connection, keys)
    connection.close()


def test_few_statements_serve_all_numbers_of_keys() -> None:
    """Each one is prepared for each connection, which takes longer than to run it."""
    keys: list[Key] = [("k", number) for number in range(2 * GROUP)]
    connection = table(dict.fromkeys(keys, 1))
    said: set[str] = set()
    for count in range(1, 2 * GROUP):
        lookup = Lookup(LAYOUT, keys[:count])
        connection.set_trace_callback(lambda statement: said.add(re.sub(r"'k'|NULL|[0-9.]+", "", statement)))
        _, work, is_single = lookup.works()[0]
        assert is_single == (count <= GROUP)
        work(connection)
        connection.set_trace_callback(None)
        assert count == len(lookup.found())
    connection.close()
    assert len(said) <= 2 * GROUP // ROUND


def test_values_that_are_too_long_together_are_read_one_by_one() -> None:
    keys: list[Key] = [("k", number) for number in range(2 * GROUP)]
    noise = {key: str(number) * 40 for number, key in enumerate(keys)}
    connection = table(noise)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
    assert noise == found(connection, keys)
    connection.close()


def test_keys_of_a_hundred_parts_are_found() -> None:
    layout = ShardLayout(Path("store"), 1, 100, 0)
    keys: list[Key] = [(*range(99), number) for number in range(700)]
    connection = table({key: key[-1] for key in keys}, layout)
    assert {key: key[-1] for key in keys} == found(connection, keys, layout)
    connection.close()


def test_each_shard_is_asked_for_its_own_keys() -> None:
    layout = ShardLayout(Path("store"), 7, 2, 1)
    keys: list[Key] = [("k", part) for part in (1, 1.0, True, "a", b"a", "a", 2.5, "é" * 70)]
    connection = table({key: repr(key[1]) for key in keys}, layout)
    for number, *_ in Lookup(layout, keys).works():
        lookup = Lookup(layout, keys)
        {shard: work for shard, work, _ in lookup.works()}[number](connection)
        assert {key for key in keys if layout.shard_of(key) == number} == set(lookup.found())
    connection.close()


def test_a_store_answers_for_all_keys_or_for_a_few(tmp_path: Path) -> None:
    pairs: dict[Key, Any] = {(f"k{n % 13}", n, 0): LONG if n % 7 == 0 and n < 400 else n for n in range(3000)}
    with SQLShard(4, tmp_path) as shard:
        shard.update(pairs)
        assert pairs == shard.get_many(pairs)
        some: list[Key] = [("k1", n, 0) for n in range(3000)]
        assert {key: pairs[key] for key in some if key in pairs} == shard.get_many(some)
