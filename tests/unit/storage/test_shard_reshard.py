"""Spreading a store over other shards: every key, at any moment."""

import os
import shutil
import sqlite3
import zlib
from pathlib import Path
from typing import Any  # Any: parts of keys are ints and strings here

import pytest

from mainspring.errors import InvalidArgumentError, StoreBusyError, StoreCorruptError, StoreMismatchError
from mainspring.storage import SQLShard
from mainspring.storage._shard_layout import StoreLock
from mainspring.storage._shard_reshard import finish_swap

PAIRS = {(name, number, 0): [name] * 60 for name in "abcdef" for number in range(30)}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with SQLShard(shards=4, path=tmp_path) as shard:
        shard.update(PAIRS)
    return tmp_path


def read(path: Path, shards: int, shardidx: int = 0) -> dict[Any, object]:
    with SQLShard(shards=shards, path=path, shardidx=shardidx) as shard:
        assert all(key in shard for key in shard)
        return dict(shard)


@pytest.mark.parametrize("shards", [1, 4, 7])
def test_every_key_is_there_afterwards(store: Path, shards: int) -> None:
    assert len(PAIRS) == SQLShard.reshard(store, shards=shards)
    assert PAIRS == read(store, shards)
    assert {"sqlshard", "sqlshard.lock"} == {entry.name for entry in store.iterdir()}


def test_another_part_may_decide(store: Path) -> None:
    SQLShard.reshard(store, shards=4, shardidx=1, durability="disk")
    assert PAIRS == read(store, 4, shardidx=1)
    SQLShard.reshard(store, shards=2)
    assert PAIRS == read(store, 2, shardidx=1)


@pytest.mark.extras
def test_another_compression_is_used_from_then_on(store: Path) -> None:
    with pytest.raises(StoreMismatchError, match=r"json\+zlib, not json\+zstd"):
        SQLShard(shards=4, path=store, compression="zstd")
    SQLShard.reshard(store, shards=4, compression="zstd")
    with SQLShard(shards=4, path=store, compression="zstd") as shard:
        shard["new", 0, 0] = ["word"] * 200
        assert PAIRS | {("new", 0, 0): ["word"] * 200} == dict(shard)
    assert len(PAIRS) + 1 == SQLShard.reshard(store, shards=2)
    SQLShard(shards=2, path=store, compression="zstd").close()


def test_files_of_the_older_library_are_converted(tmp_path: Path) -> None:
    for number in range(2):
        file = tmp_path / "sqlshard" / str(number) / "sqlshard.db"
        file.parent.mkdir(parents=True)
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE db(key_0, key_1, data, PRIMARY KEY(key_0, key_1))")
        connection.execute("INSERT INTO db VALUES (?, ?, ?)", (f"k{number}", number, zlib.compress(b'{"a": 1}', 1)))
        connection.commit()
        connection.close()
    with pytest.raises(StoreMismatchError, match="adler32"):
        SQLShard(shards=2, path=tmp_path, keylen=2)
    assert 2 == SQLShard.reshard(tmp_path, shards=3)
    with SQLShard(shards=3, path=tmp_path, keylen=2) as shard:
        assert {("k0", 0): {"a": 1}, ("k1", 1): {"a": 1}} == dict(shard)


def test_a_copy_that_was_cut_off_is_made_anew(store: Path) -> None:
    shutil.copytree(store / "sqlshard" / "0", store / "sqlshard.new" / "0")
    assert PAIRS == read(store, 4)
    SQLShard.reshard(store, shards=2)
    assert PAIRS == read(store, 2)


def test_a_swap_that_was_cut_off_is_finished_by_the_next_who_opens(store: Path) -> None:
    whole = store / "whole"
    with SQLShard(shards=2, path=whole) as shard:
        shard.update(PAIRS)
    os.rename(store / "sqlshard", store / "sqlshard.old")
    os.rename(whole / "sqlshard", store / "sqlshard.new")
    assert PAIRS == read(store, 2)
    finish_swap(store)
    SQLShard.reshard(store, shards=3)
    assert PAIRS == read(store, 3)
    assert not (store / "sqlshard.old").exists()


def test_nothing_is_done_when_another_program_was_quicker(tmp_path: Path) -> None:
    (tmp_path / "sqlshard.old").mkdir()
    finish_swap(tmp_path)
    assert not (tmp_path / "sqlshard").exists()


def test_a_store_is_not_opened_while_it_is_resharded(store: Path) -> None:
    lock = StoreLock(store, alone=True)
    with pytest.raises(StoreBusyError, match="resharded"):
        SQLShard(shards=4, path=store)
    lock.release()
    lock.release()
    assert PAIRS == read(store, 4)


def test_a_place_without_a_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="store"):
        SQLShard.reshard(tmp_path, shards=2)
    SQLShard(shards=1, path=tmp_path).close()
    with pytest.raises(InvalidArgumentError, match="shards"):
        SQLShard.reshard(tmp_path, shards=0)


@pytest.mark.parametrize("number", [0, 3])
def test_a_damaged_file_is_named_and_the_others_stay(store: Path, number: int) -> None:
    file = store / "sqlshard" / str(number) / "sqlshard.db"
    whole = file.read_bytes()
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreCorruptError, match=f"{number}/sqlshard.db"):
        SQLShard.reshard(store, shards=2)
    file.write_bytes(whole)
    assert PAIRS == read(store, 4)
