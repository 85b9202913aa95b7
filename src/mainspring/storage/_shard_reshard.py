"""Spreads the keys of a store over another number of shards, so that a crash at any moment leaves a whole store.

The copy is made beside the store, in `sqlshard.new`; then the old directory steps aside as `sqlshard.old` and
the new one takes its name. Only a complete copy is ever followed by the first rename, so when a program died
between the two, whoever opens the store next does the second.
"""

import os
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mainspring.base import sync_path
from mainspring.errors import InvalidArgumentError
from mainspring.storage._shard_file import GROUP, Change, ShardFile
from mainspring.storage._shard_keys import check_key
from mainspring.storage._shard_layout import FOLDER, ShardLayout, StoreLock
from mainspring.storage._shard_together import by_shard
from mainspring.storage._shard_values import ValueCompression, value_encoder
from mainspring.storage._sqlite_errors import translated
from mainspring.storage._sqlite_files import Durability, check_durability, connect_reader

NEW, OLD = f"{FOLDER}.new", f"{FOLDER}.old"


def finish_swap(path: Path) -> None:
    """Do what a program that died while it swapped the directories could not do."""
    if (path / OLD).exists() and not (path / FOLDER).exists():
        try:
            os.rename(path / NEW, path / FOLDER)
        except FileNotFoundError:  # another program was quicker
            return


def reshard(
    path: Path, *, shards: int, shardidx: int | None, compression: ValueCompression | None, durability: Durability
) -> int:
    """Copy the store in `path` to other shards and put the copy in its place; return the number of keys."""
    check_durability(durability)
    if compression is not None:
        value_encoder(compression)  # which refuses what is none, or not installed
    lock = StoreLock(path, alone=True)
    try:
        finish_swap(path)
        sources = sorted(path.glob(f"{FOLDER}/*/sqlshard.db"))
        if not sources:
            raise InvalidArgumentError(argument="path", value=str(path), expected="the directory of a store")
        keylen, decided_by, compressed_by = _numbers(sources[0])
        shutil.rmtree(path / NEW, ignore_errors=True)
        layout = ShardLayout(
            path,
            shards,
            keylen,
            decided_by if shardidx is None else shardidx,
            folder=NEW,
            compression=compression or compressed_by,
        )
        count = _copy(sources, layout, durability)
        shutil.rmtree(path / OLD, ignore_errors=True)
        os.rename(path / FOLDER, path / OLD)
        os.rename(path / NEW, path / FOLDER)
        sync_path(path)
        shutil.rmtree(path / OLD, ignore_errors=True)
    finally:
        lock.release()
    return count


def _numbers(file: Path) -> tuple[int, int, ValueCompression]:
    """Return keylen, shardidx and compression of a store; files of mutil leave the last two to its defaults."""
    with _reading(file) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(db)")]
        told = dict(connection.execute("SELECT name, value FROM meta").fetchall() if _has_meta(connection) else ())
    compression: ValueCompression = "zstd" if told.get("codec") == "json+zstd" else "zlib"
    return sum(column.startswith("key_") for column in columns), int(told.get("shardidx", 0)), compression


@contextmanager
def _reading(file: Path) -> Generator[sqlite3.Connection]:
    """Open a file of the store; what is wrong with it is told as of a store.

    Raises:
        StorageError: it cannot be read, or is damaged.
    """
    connection = connect_reader(file)
    try:
        yield connection
    except sqlite3.Error as error:
        raise translated(error, str(file)) from error
    finally:
        connection.close()


def _has_meta(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is not None


def _copy(sources: list[Path], layout: ShardLayout, durability: Durability) -> int:
    files = [ShardFile(layout, number, durability=durability, busy_timeout=0.0) for number in range(layout.shards)]
    count = 0
    try:
        for source in sources:
            with _reading(source) as connection:
                cursor = connection.execute(f"SELECT {layout.columns}, data FROM db")
                while rows := cursor.fetchmany(GROUP):
                    changes: list[Change] = [(check_key(row[:-1], layout.keylen), row[-1]) for row in rows]
                    for number, part in by_shard(layout, changes, lambda change: change[0]):
                        files[number].change(part)
                    count += len(rows)
    finally:
        for file in files:
            file.close()
    return count
