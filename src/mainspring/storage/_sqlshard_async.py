"""The dict on disk for async programs: the same files, written in groups, read in threads."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

# Any: a value is whatever JSON can say, and a mapping is invariant in its keys
from typing import Any, Self, TypeVar

from mainspring.errors import ClosedError
from mainspring.storage._shard_file import (
    GROUP,
    READ_LIMIT,
    Change,
    Cut,
    Row,
    Work,
    bounds_of,
    change_handler,
    clear,
    count_rows,
    in_groups,
    pop_one,
    prune_some,
)
from mainspring.storage._shard_find import Lookup
from mainspring.storage._shard_keys import Key, Part, check_key, check_parts
from mainspring.storage._shard_layout import APPLICATION, ShardLayout, StoreLock, check_whole
from mainspring.storage._shard_reshard import finish_swap
from mainspring.storage._shard_together import by_shard, check_column, check_prefix, pairs_of
from mainspring.storage._shard_values import ValueCompression, decode_value, value_encoder
from mainspring.storage._sqlite import SqliteOwner, WriteChannel
from mainspring.storage._sqlite_files import Durability
from mainspring.storage._sqlite_runner import ThreadRunner
from mainspring.storage._thread_calls import in_thread

T = TypeVar("T")

SET_GROUP = 20_000  # pairs that `set_many` encodes before it waits for them

_NOTHING: Any = object()


class AsyncSQLShard:
    """The store of `SQLShard` for one loop: nothing blocks it, and concurrent writes share their commits.

    What an awaited write stored is committed. A cancelled write may still be carried out. Open it with
    `async with`; others, also synchronous ones, may have the same store open.

    Args:
        shards: how many files.
        path: the directory in which the directory `sqlshard` lies; missing ones are made with mode 0700.
        keylen: parts of every key.
        shardidx: the part that decides in which shard a key lies.
        durability: what a commit survives: "process" the program's being killed, "disk" a power cut.
        compression: of values above 200 bytes; "zstd" needs Python 3.14 or an extra.
        readers: threads that read a shard at most; each shard also has one that writes.

    Raises:
        InvalidArgumentError: a value is outside its range.
        MissingExtraError: the compression needs an extra that is not installed.
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
        readers: int = 1,
    ) -> None:
        self._encode = value_encoder(compression)
        self.layout = ShardLayout(Path(path), shards, keylen, shardidx, compression=compression)
        self._owners = [
            SqliteOwner(
                self.layout.file(number),
                durability=durability,
                migrations=self.layout.migrations(number),
                runner=ThreadRunner(readers=readers),
                application=APPLICATION,
                read_limit=READ_LIMIT,
            )
            for number in range(shards)
        ]
        self._carry_out = change_handler(self.layout)
        self._channels: list[WriteChannel[Change, bool]] = [
            owner.channel(self._carry_out, name="change") for owner in self._owners
        ]
        self._lock: StoreLock | None = None
        self._find = f"SELECT data FROM db WHERE {self.layout.matches}"

    async def open(self) -> Self:
        """Open every file.

        Raises:
            StoreMismatchError: the store was made with other numbers; `SQLShard.reshard` converts it.
            StoreBusyError: the store is being resharded.
            StorageError: a file cannot be opened (see `SqliteOwner.open`).
            ClosedError: it was opened before.
        """
        if self._lock is not None:
            raise ClosedError(what=f"the store {self.layout.path}", hint="it is opened once; make another")
        self._lock = StoreLock(self.layout.path)
        try:
            finish_swap(self.layout.path)
            await in_thread(partial(check_whole, self.layout))
            # the first alone: it says whether the numbers fit before any other file is made
            for owners in (self._owners[:1], self._owners[1:]):
                await self._open_each(owners)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Write what was submitted, then close the files; may be called again."""
        try:
            await asyncio.gather(*(owner.close() for owner in self._owners))
        finally:
            if self._lock is not None:
                self._lock.release()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get(self, key: Key, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        key = self._checked(key)
        row = await self._owner(key).read(lambda connection: connection.execute(self._find, key).fetchone())
        return default if row is None else decode_value(row[0])

    async def get_many(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """Return the values of the keys that are there, in the order of `keys`."""
        lookup = Lookup(self.layout, keys)
        await asyncio.gather(*(self._owners[number].read(work) for number, work, _ in lookup.works()))
        return lookup.found()

    async def set(self, key: Key, value: object) -> None:
        """Store a value; it is committed when the call returns."""
        key = self._checked(key)
        await self._channels[self.layout.shard_of(key)].submit((key, self._encode(value)))

    async def set_many(self, pairs: Mapping[Any, object] | Iterable[tuple[Key, object]]) -> None:
        """Store many values; all are committed when the call returns, each shard's in few transactions.

        When it fails, some of them may be stored.
        """
        for group in in_groups(iter(pairs_of(pairs)), SET_GROUP):
            changes = [(self._checked(key), self._encode(value)) for key, value in group]
            await asyncio.gather(
                *(
                    self._owners[number].write(partial(_change_many, self._carry_out, part[start : start + GROUP]))
                    for number, part in by_shard(self.layout, changes, lambda change: change[0])
                    for start in range(0, len(part), GROUP)
                )
            )

    async def delete(self, key: Key) -> bool:
        """Remove a key; return whether it was there."""
        key = self._checked(key)
        return await self._channels[self.layout.shard_of(key)].submit((key, None))

    async def pop(self, key: Key, default: Any = _NOTHING) -> Any:
        """Remove a key and return its value, in one transaction: of several callers one gets it.

        Raises:
            KeyError: the key is not there, and there is no default.
        """
        key = self._checked(key)
        data = await self._owner(key).write(pop_one(self.layout, key))
        if data is not None:
            return decode_value(data)
        if default is _NOTHING:
            raise KeyError(key)
        return default

    async def contains(self, key: Key) -> bool:
        """Tell whether a key is there."""
        return await self.get(key, _NOTHING) is not _NOTHING

    async def count(self) -> int:
        """Return the number of keys."""
        return sum(await self._on_each(count_rows))

    async def clear(self) -> None:
        """Remove every key."""
        await asyncio.gather(*(owner.write(clear) for owner in self._owners))

    def items(self) -> AsyncIterator[tuple[Key, Any]]:
        """Yield all pairs, shard by shard, by key within a shard; changes made meanwhile are seen."""
        return self._pairs(self._owners, Cut(self.layout))

    def range(
        self,
        prefix: Sequence[Part],
        *,
        ge: Part | None = None,
        gt: Part | None = None,
        le: Part | None = None,
        lt: Part | None = None,
    ) -> AsyncIterator[tuple[Key, Any]]:
        """Yield the pairs whose key begins with `prefix` and whose next part is within the bounds, by key.

        As `SQLShard.range`.

        Raises:
            InvalidArgumentError: the prefix is longer than keys are, or leaves no part for the bounds.
        """
        bounds = bounds_of(ge=ge, gt=gt, le=le, lt=lt)
        start = check_prefix(self.layout, prefix, bounds)
        alone = self.layout.shardidx < len(start)
        owners = [self._owners[self.layout.shard_of(start)]] if alone else self._owners
        return self._pairs(owners, Cut(self.layout, start, bounds))

    async def prune(self, *, before: Part, column: int = 1) -> int:
        """Remove every key whose part `column` is below `before` and of its kind; return how many.

        As `SQLShard.prune`.

        Raises:
            InvalidArgumentError: keys have no such part.
        """
        check_parts((before,))
        check_column(self.layout, column)
        return sum(await asyncio.gather(*(_prune(owner, before, column) for owner in self._owners)))

    async def query_all(self, sql: str, params: Sequence[Part] = ()) -> list[Row]:
        """Run a query on every shard, side by side, and return all rows, shard after shard.

        The table is `db(key_0, key_1, ..., data)`. The query can only read.

        Raises:
            StoreReadTimeoutError: a shard took longer than 30 s.
            StoreReadOnlyError: the statement writes.
        """

        def rows(connection: sqlite3.Connection) -> list[Row]:
            return connection.execute(sql, params).fetchall()

        return [row for part in await self._on_each(rows) for row in part]

    def __repr__(self) -> str:
        one = self.layout
        return f"<AsyncSQLShard {one.path} shards={one.shards} keylen={one.keylen} shardidx={one.shardidx}>"

    def _checked(self, key: object) -> Key:
        return check_key(key, self.layout.keylen)

    def _owner(self, key: Key) -> SqliteOwner:
        return self._owners[self.layout.shard_of(key)]

    async def _open_each(self, owners: Sequence[SqliteOwner]) -> None:
        await asyncio.gather(*(owner.open() for owner in owners))
        for owner in owners:
            await owner.read(partial(self.layout.check, number=self._owners.index(owner)))

    async def _on_each(self, work: Work[T]) -> list[T]:
        return await asyncio.gather(*(owner.read(work) for owner in self._owners))

    async def _pairs(self, owners: Sequence[SqliteOwner], cut: Cut) -> AsyncIterator[tuple[Key, Any]]:
        length = self.layout.keylen
        for owner in owners:
            after: Key | None = ()
            while after is not None:
                page = await owner.read(cut.page(after or None))
                for row in page:
                    yield row[:length], decode_value(row[length])
                after = cut.next_after(page)


def _change_many(
    carry_out: Callable[[sqlite3.Connection, Sequence[Change]], object],
    changes: Sequence[Change],
    connection: sqlite3.Connection,
) -> None:
    carry_out(connection, changes)


async def _prune(owner: SqliteOwner, before: Part, column: int) -> int:
    removed = 0
    while some := await owner.write(prune_some(before, column)):
        removed += some
    return removed
