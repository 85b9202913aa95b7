"""What a store says about itself."""

import sqlite3
from pathlib import Path

from mainspring.storage import SQLShard
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
