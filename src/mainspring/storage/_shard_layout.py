"""How a sharded store lies on disk: `<path>/sqlshard/<n>/sqlshard.db`, its tables, and what describes it.

Each file says which shard of how many it is, how long keys are and which part decides, so a program that opens
the store with other numbers is told instead of missing its keys.
"""

import fcntl
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import StoreBusyError, StoreMismatchError, StoreOpenError
from mainspring.resilience import check_count
from mainspring.storage._shard_keys import HASH, Key, shard_of
from mainspring.storage._shard_values import ValueCompression
from mainspring.storage._sqlite_files import connect_reader, prepare_path
from mainspring.storage._sqlite_migrate import Migration

APPLICATION = "mainspring-sqlshard"
FOLDER = "sqlshard"
MAX_SHARDS = 4096
PAGE = 500  # rows that an iteration reads at once
_META = "meta"


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """The numbers of a sharded store and the statements that follow from them.

    Raises:
        InvalidArgumentError: a value is outside its range.
    """

    path: Path
    shards: int
    keylen: int
    shardidx: int
    folder: str = FOLDER
    compression: ValueCompression = "zlib"

    def __post_init__(self) -> None:
        check_count("shards", self.shards, at_most=MAX_SHARDS)
        check_count("keylen", self.keylen, at_most=100)
        check_count("shardidx", self.shardidx, at_least=0, at_most=self.keylen - 1)

    def file(self, number: int) -> Path:
        """Return the file of a shard."""
        return self.path / self.folder / str(number) / "sqlshard.db"

    def shard_of(self, key: Key) -> int:
        """Return the number of the shard in which a key lies."""
        return shard_of(key[self.shardidx], self.shards)

    @property
    def columns(self) -> str:
        """The key's columns, as a list in SQL."""
        return ", ".join(f"key_{number}" for number in range(self.keylen))

    @property
    def put(self) -> str:
        """Stores (key..., data)."""
        marks = ", ".join("?" * (self.keylen + 1))
        return f"INSERT INTO db VALUES ({marks}) ON CONFLICT({self.columns}) DO UPDATE SET data = excluded.data"

    @property
    def matches(self) -> str:
        """The condition that picks one key."""
        return " AND ".join(f"key_{number} = ?" for number in range(self.keylen))

    def described(self, number: int) -> dict[str, str]:
        """Return what the file of a shard says about itself."""
        facts = {"shards": self.shards, "keylen": self.keylen, "shardidx": self.shardidx, "shard": number}
        return {
            **{name: str(value) for name, value in facts.items()},
            "hash": HASH,
            "codec": f"json+{self.compression}",
        }

    def migrations(self, number: int) -> Sequence[Migration]:
        """Return the steps that make the file of a shard."""

        def first(connection: sqlite3.Connection) -> None:
            self._refuse_older(connection, number)
            connection.execute(f"CREATE TABLE db({self.columns}, data, PRIMARY KEY({self.columns}))")
            connection.execute(f"CREATE TABLE {_META}(name TEXT PRIMARY KEY, value TEXT)")
            connection.executemany(f"INSERT INTO {_META} VALUES (?, ?)", self.described(number).items())

        return (Migration(1, first),)

    def check(self, connection: sqlite3.Connection, number: int) -> None:
        """Compare what the file of a shard says about itself with these numbers.

        Raises:
            StoreMismatchError: they differ.
        """
        found = read_description(connection)
        for name, wanted in self.described(number).items():
            if found.get(name) != wanted:
                raise StoreMismatchError(
                    store=str(self.file(number)), field=name, found=found.get(name, "nothing"), wanted=wanted
                )

    def _refuse_older(self, connection: sqlite3.Connection, number: int) -> None:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'db'").fetchone():
            raise StoreMismatchError(
                store=str(self.file(number)), field="hash", found="adler32 without metadata", wanted=HASH
            )


def read_description(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Return what the file of a shard says about itself."""
    rows = connection.execute(f"SELECT name, value FROM {_META}")
    return {str(name): str(value) for name, value in rows}


def check_whole(layout: ShardLayout) -> None:
    """See that no file of a store that has keys is gone: it would be made anew, and its keys be missed by nobody.

    No key is ever stored before all files are there, so a store without keys may have been killed while it was made.

    Raises:
        StoreOpenError: a file is gone.
    """
    if not _missing(layout) or not any(_has_keys(layout, number) for number in range(layout.shards)):
        return
    if missing := _missing(layout):  # looked at again: another program may have made it meanwhile
        reason = f"the file of shard {missing[0]} is gone, and others hold keys"
        hint = "restore the file; or keep what is left by SQLShard.reshard()"
        raise StoreOpenError(store=str(layout.file(missing[0])), reason=reason, hint=hint)


def _missing(layout: ShardLayout) -> list[int]:
    return [number for number in range(layout.shards) if not layout.file(number).exists()]


def _has_keys(layout: ShardLayout, number: int) -> bool:
    """Tell whether the file of a shard is there, made with these numbers, and holds keys."""
    if not layout.file(number).exists():
        return False
    connection = connect_reader(layout.file(number))
    try:
        is_ours = read_description(connection) == layout.described(number)
        return is_ours and connection.execute("SELECT 1 FROM db LIMIT 1").fetchone() is not None
    except sqlite3.Error:  # it was not made to its end; or it is damaged, which is told when it is opened
        return False
    finally:
        connection.close()


class StoreLock:
    """Says that a store is open; many may, but none while it is being resharded.

    Raises:
        StoreBusyError: another program has it open, or reshards it.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        file = path / f"{FOLDER}.lock"
        prepare_path(file)
        self._descriptor = os.open(file, os.O_RDWR)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            reason = "somebody has it open" if alone else "it is being resharded"
            raise StoreBusyError(store=str(path), reason=reason, hint="close it there first") from error

    def release(self) -> None:
        """Give the lock back; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
