"""A dict on disk, spread over several SQLite files, for synchronous programs."""

import os
import sqlite3
import weakref
from collections.abc import Generator, ItemsView, Iterable, Iterator, MutableMapping, Sequence, ValuesView
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self  # Any: a value is whatever JSON can say

from mainspring.errors import ClosedError, InvalidArgumentError, StoreForkedError
from mainspring.storage._shard_file import (
    Change,
    Cut,
    Row,
    ShardFile,
    bounds_of,
    clear,
    count_rows,
    in_groups,
    pop_one,
    prune_some,
)
from mainspring.storage._shard_find import Lookup
from mainspring.storage._shard_keys import Key, Part, check_key, check_parts
from mainspring.storage._shard_layout import ShardLayout, StoreLock, check_whole
from mainspring.storage._shard_reshard import finish_swap, reshard
from mainspring.storage._shard_together import by_shard, check_column, check_prefix, pairs_of, rows_of, run_beside
from mainspring.storage._shard_values import ValueCompression, decode_value, value_encoder
from mainspring.storage._sqlite_files import Durability, check_durability

BUSY_TIMEOUT = 30.0  # seconds to wait for another process
MANY = 10_000  # changes that are encoded before they are written

_NOTHING: Any = object()


class SQLShard(MutableMapping[Key, Any]):
    """A persistent dict: keys are tuples of scalars, values whatever JSON can say.

    A change is committed when the call returns. `bulk`, `update` and `get_many` share a transaction between many
    keys and are many times faster. Values come back as JSON has them: tuples as lists, keys of dicts as strings, NaN
    and infinities as None.
    Iteration goes shard by shard, by key within a shard, and sees changes made meanwhile. Safe from several
    threads and processes. Every call waits for the disk: in async code use `AsyncSQLShard`.

    Args:
        shards: how many files.
        path: the directory in which the directory `sqlshard` lies; missing ones are made with mode 0700.
        keylen: parts of every key.
        shardidx: the part that decides in which shard a key lies.
        durability: what a commit survives: "process" the program's being killed, "disk" a power cut.
        compression: of values above 200 bytes; "zstd" needs Python 3.14 or an extra.

    Raises:
        InvalidArgumentError: a value is outside its range.
        MissingExtraError: the compression needs an extra that is not installed.
        StoreMismatchError: the store was made with other numbers; `reshard` converts it.
        StoreBusyError: the store is being resharded.
        StorageError: a file cannot be opened (see `SqliteOwner.open`).
    """

    def __init__(
        self,
        shards: int = 16,
        path: str | Path = Path("."),
        keylen: int = 3,
        shardidx: int = 0,
        *,
        durability: Durability = "process",
        compression: ValueCompression = "zlib",
    ) -> None:
        check_durability(durability)
        self._encode = value_encoder(compression)
        self.layout = ShardLayout(Path(path), shards, keylen, shardidx, compression=compression)
        self._process = os.getpid()
        self._find = f"SELECT data FROM db WHERE {self.layout.matches}"
        self._look = f"SELECT 1 FROM db WHERE {self.layout.matches}"
        lock = StoreLock(self.layout.path)
        files: list[ShardFile] = []
        self._close = weakref.finalize(self, _close_all, files, lock)
        try:
            finish_swap(self.layout.path)
            check_whole(self.layout)
            # one by one into the list that the finalizer holds: what was opened is closed when the next fails
            files.extend(open_shard(self.layout, number, durability) for number in range(shards))
        except BaseException:
            self._close()
            raise
        self._files: Sequence[ShardFile] = files

    def __getitem__(self, key: Key) -> Any:
        key = check_key(key, self.layout.keylen)
        row = self._shard(key).fetch_one(self._find, key)
        if row is None:
            raise KeyError(key)
        return decode_value(row[0])

    def __setitem__(self, key: Key, value: object) -> None:
        key = check_key(key, self.layout.keylen)
        self._shard(key).change([(key, self._encode(value))])

    def __delitem__(self, key: Key) -> None:
        key = check_key(key, self.layout.keylen)
        if not self._shard(key).change([(key, None)])[0]:
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        checked = check_key(key, self.layout.keylen)
        return self._shard(checked).fetch_one(self._look, checked) is not None

    def __len__(self) -> int:
        return sum(run_beside(self._opened(), lambda file: file.read(count_rows)))

    def __iter__(self) -> Iterator[Key]:
        return iter(rows_of(self._opened(), Cut(self.layout, data=False)))

    def items(self) -> ItemsView[Key, Any]:
        """Return a view of the pairs, which are read in pages."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """Return a view of the values, which are read in pages."""
        return _Values(self)

    def pop(self, key: Key, default: Any = _NOTHING) -> Any:
        """Remove a key and return its value, in one transaction: of several callers one gets it.

        Raises:
            KeyError: the key is not there, and there is no default.
        """
        key = check_key(key, self.layout.keylen)
        data = self._shard(key).write(pop_one(self.layout, key))
        if data is not None:
            return decode_value(data)
        if default is _NOTHING:
            raise KeyError(key)
        return default

    def update(self, other: Any = (), /, **values: Any) -> None:
        """Store all pairs of a mapping or of an iterable, thousands in a transaction."""
        if values:
            raise InvalidArgumentError(argument="values", value=sorted(values), expected="keys that are tuples")
        for group in in_groups(iter(pairs_of(other)), MANY):
            self._change(self._changes(group))

    def clear(self) -> None:
        """Remove every key."""
        for file in self._opened():
            file.write(clear)

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """Return the values of the keys that are there, in the order of `keys`."""
        files = self._opened()
        lookup = Lookup(self.layout, keys)
        for number, work, is_single in lookup.works():
            (files[number].look_up if is_single else files[number].read)(work)
        return lookup.found()

    @contextmanager
    def bulk(self) -> "Generator[Bulk]":
        """Gather changes and write them together: some thousands at a time, the rest at the end of the block.

        Each shard's part of a group is one transaction. When the block raises, what was not yet written is
        forgotten.
        """
        bulk = Bulk(self)
        yield bulk
        bulk.flush()

    def range(
        self,
        prefix: Sequence[Part],
        *,
        ge: Part | None = None,
        gt: Part | None = None,
        le: Part | None = None,
        lt: Part | None = None,
    ) -> Iterator[tuple[Key, Any]]:
        """Yield the pairs whose key begins with `prefix` and whose next part is within the bounds, by key.

        When the prefix holds the part that decides about the shard, one shard is read, else all of them, one
        after another. SQLite's order is numbers, then text, then bytes.

        Raises:
            InvalidArgumentError: the prefix is longer than keys are, or leaves no part for the bounds.
        """
        bounds = bounds_of(ge=ge, gt=gt, le=le, lt=lt)
        start = check_prefix(self.layout, prefix, bounds)
        files = self._opened()
        if self.layout.shardidx < len(start):
            files = [files[self.layout.shard_of(start)]]
        length = self.layout.keylen
        return ((row[:length], decode_value(row[length])) for row in rows_of(files, Cut(self.layout, start, bounds)))

    def prune(self, *, before: Part, column: int = 1) -> int:
        """Remove every key whose part `column` is below `before` and of its kind; return how many.

        Numbers are one kind, text and bytes one each. It deletes in short transactions, so that others are not
        held up.

        Raises:
            InvalidArgumentError: keys have no such part.
        """
        check_parts((before,))
        check_column(self.layout, column)
        removed = 0
        for file in self._opened():
            while some := file.write(prune_some(before, column)):
                removed += some
        return removed

    def query_all(self, sql: str, params: Sequence[Part] = ()) -> list[Row]:
        """Run a query on every shard, side by side, and return all rows, shard after shard.

        The table is `db(key_0, key_1, ..., data)`. The query can only read.

        Raises:
            StoreReadTimeoutError: a shard took longer than 30 s.
            StoreReadOnlyError: the statement writes.
        """

        def rows(connection: sqlite3.Connection) -> list[Row]:
            return connection.execute(sql, params).fetchall()

        parts = run_beside(self._opened(), lambda file: file.read(rows))
        return [row for rows in parts for row in rows]

    def close(self) -> None:
        """Close the files; may be called again."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        one = self.layout
        state = "open" if self._close.alive else "closed"
        return f"<SQLShard {one.path} {state} shards={one.shards} keylen={one.keylen} shardidx={one.shardidx}>"

    @staticmethod
    def reshard(
        path: str | Path,
        *,
        shards: int,
        shardidx: int | None = None,
        compression: ValueCompression | None = None,
        durability: Durability = "process",
    ) -> int:
        """Spread the keys of a store that nobody has open over another number of shards; return how many keys.

        It also converts what mutil's SQLShard wrote. All is copied first and then put in the place of the old
        files, so a crash at any moment leaves a whole store.

        Args:
            path: the directory given to `SQLShard`.
            shards: how many there shall be.
            shardidx: the part that shall decide; the one that does now unless given.
            compression: of what is written from then on; what is there stays as it is. As now unless given.
            durability: "disk" also makes the copy survive a power cut.

        Raises:
            InvalidArgumentError: a value is outside its range, or there is no store.
            StoreBusyError: somebody has it open.
            StorageError: a file cannot be read, or is damaged; the store stays as it is.
        """
        return reshard(Path(path), shards=shards, shardidx=shardidx, compression=compression, durability=durability)

    def _opened(self) -> Sequence[ShardFile]:
        if not self._close.alive:
            raise ClosedError(what=f"the store {self.layout.path}")
        if os.getpid() != self._process:
            raise StoreForkedError(store=str(self.layout.path))
        return self._files

    def _shard(self, key: Key) -> ShardFile:
        return self._opened()[self.layout.shard_of(key)]

    def _changes(self, pairs: Iterable[tuple[Key, object]]) -> list[Change]:
        return [(check_key(key, self.layout.keylen), self._encode(value)) for key, value in pairs]

    def _change(self, changes: Iterable[Change]) -> None:
        for number, part in by_shard(self.layout, changes, lambda change: change[0]):
            self._opened()[number].change(part)


class Bulk:
    """Changes that are written together; made by `SQLShard.bulk`."""

    def __init__(self, shard: SQLShard) -> None:
        self._shard = shard
        self._changes: list[Change] = []

    def __setitem__(self, key: Key, value: object) -> None:
        self._add((check_key(key, self._shard.layout.keylen), self._shard._encode(value)))

    def discard(self, key: Key) -> None:
        """Remove a key if it is there."""
        self._add((check_key(key, self._shard.layout.keylen), None))

    def flush(self) -> None:
        """Write what was gathered; it is committed when the call returns."""
        changes, self._changes = self._changes, []
        self._shard._change(changes)

    def _add(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) >= MANY:
            self.flush()


class _Items(ItemsView[Key, Any]):
    def __init__(self, shard: SQLShard) -> None:
        super().__init__(shard)
        self._shard = shard

    def __iter__(self) -> Iterator[tuple[Key, Any]]:
        length = self._shard.layout.keylen
        rows = rows_of(self._shard._opened(), Cut(self._shard.layout))
        return ((row[:length], decode_value(row[length])) for row in rows)


class _Values(ValuesView[Any]):
    def __init__(self, shard: SQLShard) -> None:
        super().__init__(shard)
        self._items = _Items(shard)

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._items)


def open_shard(layout: ShardLayout, number: int, durability: Durability) -> ShardFile:
    """Open one shard with the patience of a program that others may share the store with."""
    return ShardFile(layout, number, durability=durability, busy_timeout=BUSY_TIMEOUT)


def _close_all(files: Iterable[ShardFile], lock: StoreLock) -> None:
    for file in files:
        file.close()
    lock.release()
