"""One shard: groups, answers, failures."""

import sqlite3
from pathlib import Path

import pytest

from mainspring.errors import StoreBusyError, StoreMismatchError
from mainspring.storage._shard_file import GROUP, ShardFile, count_rows
from mainspring.storage._shard_layout import ShardLayout


def open_file(tmp_path: Path, number: int = 0, shards: int = 2, *, busy_timeout: float = 30.0) -> ShardFile:
    layout = ShardLayout(tmp_path, shards, 1, 0)
    return ShardFile(layout, number, durability="process", busy_timeout=busy_timeout)


def test_each_change_is_answered(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    assert [True, True] == file.change([(("a",), b"1"), (("a",), b"2")])
    assert [False, True, True, False] == file.change([(("x",), None), (("b",), b"3"), (("a",), None), (("a",), None)])
    assert (b"3",) == file.fetch_one("SELECT data FROM db", ())
    file.close()


def test_more_than_a_group_is_written(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    file.change([((number,), b"1") for number in range(2 * GROUP + 1)])
    assert 2 * GROUP + 1 == file.read(count_rows)
    file.close()


def test_a_file_of_another_place_is_refused(tmp_path: Path) -> None:
    open_file(tmp_path).close()
    (tmp_path / "sqlshard" / "0").rename(tmp_path / "sqlshard" / "1")
    with pytest.raises(StoreMismatchError, match="shard=0, not 1"):
        open_file(tmp_path, 1)


def test_a_file_that_another_program_holds_is_busy(tmp_path: Path) -> None:
    file = open_file(tmp_path, busy_timeout=0.0)
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        file.change([(("a",), b"1")])
    other.execute("COMMIT")
    other.close()
    file.change([(("a",), b"1")])
    file.close()


def test_a_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    file = open_file(tmp_path)

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO db VALUES ('a', 1)")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        file.write(half)
    assert 0 == file.read(count_rows)
    file.close()
