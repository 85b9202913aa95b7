"""The dict on disk, as a dict and beyond."""

import math
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    StoreBusyError,
    StoreForkedError,
    StoreMismatchError,
    StoreOpenError,
    StoreReadOnlyError,
)
from mainspring.storage import AsyncSQLShard, SQLShard
from mainspring.storage._sqlshard import MANY


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[SQLShard]:
    with SQLShard(shards=4, path=tmp_path) as opened:
        yield opened


def fill(shard: SQLShard, names: str = "abcdef", times: int = 5) -> dict[tuple[str, int, int], Any]:
    pairs = {(name, time, 0): [name, time] for name in names for time in range(times)}
    shard.update(pairs)
    return pairs


def test_values_come_back_as_json_has_them(shard: SQLShard) -> None:
    shard[(1, 2, 3)] = {"can": "have", "complex": ("structures", 2, 3, ["and", "more"] * 50)}
    shard[(1, 2, 4)] = None
    assert {"can": "have", "complex": ["structures", 2, 3, ["and", "more"] * 50]} == shard[(1, 2, 3)]
    assert shard[(1, 2, 4)] is None
    assert [1, 2, 3] == shard.setdefault((5, 5, 5), [1, 2, 3])


def test_it_survives_being_closed(tmp_path: Path) -> None:
    with SQLShard(shards=3, path=tmp_path) as shard:
        pairs = fill(shard)
    with SQLShard(shards=3, path=tmp_path) as again:
        assert pairs == again
        assert len(pairs) == len(again)
    assert 0o700 == stat.S_IMODE(os.stat(tmp_path / "sqlshard" / "2").st_mode)


def test_keys_that_are_not_there(shard: SQLShard) -> None:
    key = ("a", 1, 1)
    assert key not in shard
    assert "nothing" == shard.get(key, "nothing") == shard.pop(key, "nothing")
    with pytest.raises(KeyError):
        shard[key]
    with pytest.raises(KeyError):
        del shard[key]
    with pytest.raises(KeyError):
        shard.pop(key)


def test_pairs_can_be_removed(shard: SQLShard) -> None:
    pairs = fill(shard)
    del shard[("a", 0, 0)]
    assert ["a", 1] == shard.pop(("a", 1, 0))
    key, value = shard.popitem()
    assert pairs[key] == value  # type: ignore[index]  # the key is one of ours
    assert len(pairs) - 3 == len(shard)
    shard.clear()
    assert not shard
    assert {} == dict(shard)


def test_views_read_many_pages(shard: SQLShard) -> None:
    pairs = {("one", number, 0): number for number in range(1200)}
    shard.update(pairs.items())
    assert list(pairs) == list(shard)
    assert list(pairs.items()) == list(shard.items())
    assert list(range(1200)) == list(shard.values())
    assert (("one", 3, 0), 3) in shard.items()
    assert 7 in shard.values()


def test_an_iteration_survives_changes(shard: SQLShard) -> None:
    fill(shard)
    for key in shard:
        del shard[key]
    assert 0 == len(shard)


def test_a_bulk_is_written_at_the_end(shard: SQLShard) -> None:
    fill(shard, "a", 2)
    with shard.bulk() as bulk:
        bulk["b", 0, 0] = "new"
        bulk.discard(("a", 0, 0))
        bulk.discard(("a", 9, 9))
        assert ("b", 0, 0) not in shard
    assert {("b", 0, 0): "new", ("a", 1, 0): ["a", 1]} == dict(shard)


def test_a_bulk_that_fails_forgets_what_is_not_written(shard: SQLShard) -> None:
    def work() -> None:
        with shard.bulk() as bulk:
            bulk["a", 0, 0] = 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        work()
    assert 0 == len(shard)


def test_a_large_bulk_is_written_in_parts(shard: SQLShard) -> None:
    with shard.bulk() as bulk:
        for number in range(MANY):
            bulk["a", number, 0] = number
        assert MANY == len(shard)
        bulk["b", 0, 0] = 0
    assert MANY + 1 == len(shard)


def test_many_keys_are_read_together(shard: SQLShard) -> None:
    pairs = fill(shard)
    wanted = [("c", 1, 0), ("nobody", 0, 0), ("a", 3, 0)]
    assert [(("c", 1, 0), ["c", 1]), (("a", 3, 0), ["a", 3])] == list(shard.get_many(wanted).items())
    assert pairs == shard.get_many(pairs)
    assert {} == shard.get_many([])


def test_a_range_is_cut_by_the_next_part(shard: SQLShard) -> None:
    fill(shard, "ab", 10)
    assert [3, 4, 5] == [key[1] for key, _ in shard.range(("a",), ge=3, le=5)]
    assert [4] == [key[1] for key, _ in shard.range(("a",), gt=3, lt=5)]
    assert [["a", 7]] == [value for _, value in shard.range(("a", 7))]
    assert [("a", 9, 0), ("b", 9, 0)] == sorted(key for key, _ in shard.range((), ge="a") if key[1] == 9)
    assert [] == list(shard.range(("nobody",)))


def test_a_long_range_is_read_in_pages(shard: SQLShard) -> None:
    shard.update({("a", number, 0): number for number in range(1300)})
    assert list(range(100, 1300)) == [value for _, value in shard.range(("a",), ge=100)]


def test_pruning_removes_what_is_older_and_nothing_of_another_kind(shard: SQLShard) -> None:
    fill(shard, "abc", 10)
    shard["a", "text", 0] = "kept"
    shard["a", b"bytes", 0] = "kept"
    assert 12 == shard.prune(before=4)
    assert {4, 5, 6, 7, 8, 9} == {key[1] for key in shard if isinstance(key[1], int)}
    assert 1 == shard.prune(before="zzz")
    assert 1 == shard.prune(before=b"zzz")
    assert 18 == len(shard)
    assert 6 == shard.prune(before="b", column=0)


def test_pruning_goes_on_over_many_groups(tmp_path: Path) -> None:
    with SQLShard(shards=1, path=tmp_path) as shard:
        shard.update({("a", number, 0): 0 for number in range(4500)})
        assert 4400 == shard.prune(before=4400)
        assert 100 == len(shard)


def test_a_query_runs_on_every_shard(shard: SQLShard) -> None:
    fill(shard, "abcdefgh", 2)
    assert [4] == [len(shard.query_all("SELECT count(*) FROM db"))]
    assert list("abcdefgh") == sorted(row[0] for row in shard.query_all("SELECT key_0 FROM db WHERE key_1 = ?", [1]))
    with pytest.raises(StoreReadOnlyError):
        shard.query_all("DELETE FROM db")
    with pytest.raises(sqlite3.OperationalError):
        shard.query_all("SELECT nonsense")


def test_keys_of_one_part_and_another_shard_part(tmp_path: Path) -> None:
    with SQLShard(shards=3, path=tmp_path / "one", keylen=1) as one:
        one[("a",)] = 1
        assert {("a",): 1} == dict(one)
    with SQLShard(shards=3, path=tmp_path / "two", keylen=2, shardidx=1) as two:
        two["a", 1] = 1
        two["a", 2] = 2
        assert {("a", 1): 1, ("a", 2): 2} == dict(two.range(("a",)))
        assert [2] == [value for _, value in two.range(("a",), gt=1)]


@pytest.mark.parametrize(
    ("changed", "field"), [({"shards": 2}, "shards"), ({"keylen": 2}, "keylen"), ({"shardidx": 1}, "shardidx")]
)
def test_other_numbers_than_those_it_was_made_with_are_refused(
    tmp_path: Path, changed: dict[str, int], field: str
) -> None:
    with SQLShard(shards=4, path=tmp_path) as shard:
        fill(shard)
    with pytest.raises(StoreMismatchError, match=field):
        SQLShard(**{"shards": 4, "path": tmp_path, **changed})  # type: ignore[arg-type]  # one is changed
    with SQLShard(shards=4, path=tmp_path) as again:
        assert 30 == len(again)


@pytest.mark.parametrize(
    "numbers", [{"shards": 0}, {"shards": 5000}, {"keylen": 0}, {"keylen": 2, "shardidx": 2}, {"shardidx": -1}]
)
def test_numbers_outside_their_range_are_refused(tmp_path: Path, numbers: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        SQLShard(path=tmp_path, **numbers)
    assert [] == list(tmp_path.iterdir())


def test_arguments_that_do_not_fit_are_refused(shard: SQLShard) -> None:
    with pytest.raises(InvalidArgumentError, match="tuple of 3"):
        shard[("a", 1)] = 1
    with pytest.raises(InvalidArgumentError, match="tuples"):
        shard.update(a=1)
    with pytest.raises(InvalidArgumentError, match="column"):
        shard.prune(before=1, column=3)
    with pytest.raises(InvalidArgumentError, match="at most 2"):
        shard.range(("a", 1, 2), ge=1)
    with pytest.raises(InvalidArgumentError, match="at most 3"):
        shard.range(("a", 1, 2, 3))


def test_a_closed_store_refuses_everything(tmp_path: Path) -> None:
    shard = SQLShard(shards=1, path=tmp_path)
    assert "open shards=1 keylen=3 shardidx=0" in repr(shard)
    shard.close()
    shard.close()
    assert "closed" in repr(shard)
    with pytest.raises(ClosedError):
        shard["a", 1, 1] = 1


def test_a_child_may_not_use_the_connections_of_its_parent(shard: SQLShard) -> None:
    shard._process = os.getpid() + 1
    with pytest.raises(StoreForkedError):
        len(shard)


def test_a_path_that_cannot_hold_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreOpenError):
        SQLShard(path=tmp_path / "file")
    (tmp_path / "sqlshard").touch()
    with pytest.raises(StoreOpenError):
        SQLShard(path=tmp_path)


def test_threads_write_side_by_side(shard: SQLShard) -> None:
    def work(name: str) -> None:
        for number in range(50):
            shard[name, number, 0] = number

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(name, number, 0): number for name in "abcd" for number in range(50)} == dict(shard)


def test_one_of_many_gets_what_is_popped(shard: SQLShard) -> None:
    shard["a", 0, 0] = "prize"
    won: list[object] = []
    threads = [threading.Thread(target=lambda: won.append(shard.pop(("a", 0, 0), None))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == won.count("prize")


def test_two_programs_share_a_store(tmp_path: Path) -> None:
    with SQLShard(shards=2, path=tmp_path) as one, SQLShard(shards=2, path=tmp_path) as two:
        one["a", 0, 0] = 1
        assert 1 == two["a", 0, 0]
        two["a", 0, 0] = 2
        assert 2 == one["a", 0, 0]
        with pytest.raises(StoreBusyError, match="open"):
            SQLShard.reshard(tmp_path, shards=3)


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        *(("shards", bad) for bad in ("8", 2.5, True, 0)),
        *(("keylen", bad) for bad in ("3", 2.5, 101)),
        *(("shardidx", bad) for bad in (1.0, "0", 3)),
        ("durability", "ram"),
        ("compression", None),
    ],
)
def test_what_is_no_number_of_a_store_is_refused_before_a_file_is_made(tmp_path: Path, argument: str, bad: Any) -> None:
    for kind in (SQLShard, AsyncSQLShard):
        with pytest.raises(InvalidArgumentError, match=f"^{argument}="):
            kind(path=tmp_path, **{argument: bad})
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("prefix", ["abc", b"abc", 5, None])
def test_a_prefix_is_a_tuple_and_no_text(shard: SQLShard, prefix: Any) -> None:
    """A text was taken for the parts that its characters are, and nothing was found."""
    fill(shard, "abc", 2)
    with pytest.raises(InvalidArgumentError, match="prefix="):
        shard.range(prefix)


@pytest.mark.parametrize("column", [3, -1, "1", 1.0])
def test_a_column_is_a_part_of_keys(shard: SQLShard, column: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="column="):
        shard.prune(before=1, column=column)


@pytest.mark.parametrize("options", [{"compression": "rle"}, {"durability": "ram"}, {"shards": "2"}])
def test_resharding_refuses_what_would_spoil_the_store(tmp_path: Path, options: dict[str, Any]) -> None:
    """A store that was given an unknown compression could not be opened any more."""
    with SQLShard(2, tmp_path) as shard:
        pairs = fill(shard)
    given: dict[str, Any] = {"shards": 3, **options}
    with pytest.raises(InvalidArgumentError, match=f"^{next(iter(options))}="):
        SQLShard.reshard(tmp_path, **given)
    with SQLShard(2, tmp_path) as shard:
        assert pairs == dict(shard.items())


def test_numbers_that_json_cannot_say_become_none(shard: SQLShard) -> None:
    shard["a", 1, 1] = [math.nan, math.inf]
    assert [None, None] == shard["a", 1, 1]
