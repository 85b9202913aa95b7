"""What a store says about itself."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from mainspring.errors import StoreMismatchError, StoreOpenError
from mainspring.storage import AsyncSQLShard, SQLShard
from mainspring.storage._shard_layout import read_description


def test_each_file_describes_itself(tmp_path: Path) -> None:
    SQLShard(shards=2, path=tmp_path, keylen=4, shardidx=1).close()
    connection = sqlite3.connect(tmp_path / "sqlshard" / "1" / "sqlshard.db")
    assert {
        "shards": "2",
        "keylen": "4",
        "shardidx": "1",
        "shard": "1",
        "hash": "blake2b-64",
        "codec": "json+zlib",
    } == dict(read_description(connection))
    connection.close()


@pytest.mark.parametrize("number", [0, 2])
async def test_a_store_whose_file_is_gone_is_not_opened_as_if_it_had_no_keys(tmp_path: Path, number: int) -> None:
    with SQLShard(3, tmp_path, keylen=1) as shard:
        shard.update({(key,): key for key in range(100)})
    shutil.rmtree(tmp_path / "sqlshard" / str(number))
    for _ in range(2):
        with pytest.raises(StoreOpenError, match=f"shard {number} is gone"):
            SQLShard(3, tmp_path, keylen=1)
        with pytest.raises(StoreOpenError, match=f"shard {number} is gone"):
            await AsyncSQLShard(3, tmp_path, keylen=1).open()
    with pytest.raises(StoreMismatchError, match="shards=3, not 4"):
        SQLShard(4, tmp_path, keylen=1)
    left = SQLShard.reshard(tmp_path, shards=3)
    with SQLShard(3, tmp_path, keylen=1) as shard:
        assert 0 < left == len(shard) < 100


def test_a_store_that_was_not_made_to_its_end_is_made_to_it(tmp_path: Path) -> None:
    for gone in (0, 1, 2):
        with SQLShard(3, tmp_path, keylen=1) as shard:
            assert 0 == len(shard)
        shutil.rmtree(tmp_path / "sqlshard" / str(gone))
        (tmp_path / "sqlshard" / str((gone + 1) % 3) / "sqlshard.db").write_bytes(b"")
    with SQLShard(3, tmp_path, keylen=1) as shard:
        shard["a",] = 1
