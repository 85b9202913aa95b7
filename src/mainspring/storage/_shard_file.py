"""One shard of a store: a SQLite file, its writer and its readers, for whoever may wait; and what can be done to it.

The same works are run by `SQLShard` in the caller's thread and by `AsyncSQLShard` through a `SqliteOwner`.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from mainspring.storage._shard_keys import Key, Part
from mainspring.storage._shard_layout import APPLICATION, PAGE, ShardLayout
from mainspring.storage._sqlite_errors import translated
from mainspring.storage._sqlite_files import Durability
from mainspring.storage._sqlite_readers import Readers
from mainspring.storage._sqlite_writer import Writer

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
# Any: a row has the types that the statement gives it
Row = tuple[Any, ...]
Change = tuple[Key, bytes | None]
"""A key with its new data, or with None when it goes."""

GROUP = 2000  # changes in one transaction: some 10 ms
READ_LIMIT = 30.0  # seconds; queries over a whole shard are what it is for
PRUNE_GROUP = 2000  # rows deleted in one transaction


class ShardFile:
    """Reads and writes one shard in the caller's thread; safe from several threads."""

    def __init__(self, layout: ShardLayout, number: int, *, durability: Durability, busy_timeout: float) -> None:
        self.path = layout.file(number)
        self._lock = threading.Lock()
        self._writer = Writer(self.path, durability=durability, busy_timeout=busy_timeout, pause=_pause)
        self._changes = self._writer.add_handler(change_handler(layout))
        self._works = self._writer.add_handler(run_works)
        self._readers = Readers(self.path, limit=READ_LIMIT)
        try:
            self._writer.open(layout.migrations(number), application=APPLICATION)
            self._readers.read(lambda connection: layout.check(connection, number))
        except BaseException:
            self.close()
            raise

    def change(self, changes: Sequence[Change]) -> list[bool]:
        """Carry out the changes, some thousand in a transaction; tell for each whether its key was there.

        A key that is stored is always told to have been there.
        """
        answers: list[bool] = []
        for start in range(0, len(changes), GROUP):
            answers += self._write([(self._changes, change) for change in changes[start : start + GROUP]])
        return answers

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction of its own."""
        return cast("T", self._write([(self._works, work)])[0])  # cast: the answer is what the work returned

    def read(self, work: Work[T]) -> T:
        """Run `work` in one snapshot."""
        return self._readers.read(work)

    def look_up(self, work: Work[T]) -> T:
        """Run a work of a single look-up, which is quicker than in a snapshot."""
        return self._readers.look_up(work)

    def fetch_one(self, statement: str, parameters: Sequence[object]) -> Row | None:
        """Return the first row of a look-up by key."""
        return self._readers.fetch_one(statement, parameters)

    def close(self) -> None:
        """Close the connections; may be called again."""
        self._readers.close()
        self._writer.close()

    def _write(self, entries: Sequence[tuple[int, Any]]) -> list[Any]:
        with self._lock:
            answers = self._writer.write(entries)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise translated(answer, str(self.path))
        return answers


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def run_works(connection: sqlite3.Connection, works: Sequence[Work[object]]) -> list[object]:
    """Run works in the writer's transaction."""
    return [work(connection) for work in works]


def change_handler(layout: ShardLayout) -> Callable[[sqlite3.Connection, Sequence[Change]], list[bool]]:
    """Return what carries out the changes of a group, in their order."""
    put, drop = layout.put, f"DELETE FROM db WHERE {layout.matches}"

    def carry_out(connection: sqlite3.Connection, changes: Sequence[Change]) -> list[bool]:
        if all(data is not None for _, data in changes):
            connection.executemany(put, [(*key, data) for key, data in changes])
            return [True] * len(changes)
        return [
            connection.execute(drop, key).rowcount > 0
            if data is None
            else connection.execute(put, (*key, data)).rowcount > 0
            for key, data in changes
        ]

    return carry_out


def pop_one(layout: ShardLayout, key: Key) -> Work[bytes | None]:
    """Return a work that removes a key and returns its data."""
    statement = f"DELETE FROM db WHERE {layout.matches} RETURNING data"

    def work(connection: sqlite3.Connection) -> bytes | None:
        rows = connection.execute(statement, key).fetchall()
        return rows[0][0] if rows else None

    return work


def clear(connection: sqlite3.Connection) -> None:
    """Remove every row."""
    connection.execute("DELETE FROM db")


def count_rows(connection: sqlite3.Connection) -> int:
    """Return the number of rows."""
    return int(connection.execute("SELECT count(*) FROM db").fetchone()[0])


def prune_some(before: Part, column: int) -> Work[int]:
    """Return a work that removes some rows whose key part is of the kind of `before` and below it."""
    kinds = "'text'" if isinstance(before, str) else "'blob'" if isinstance(before, bytes) else "'integer', 'real'"
    statement = (
        f"DELETE FROM db WHERE rowid IN (SELECT rowid FROM db"
        f" WHERE key_{column} < ? AND typeof(key_{column}) IN ({kinds}) LIMIT {PRUNE_GROUP})"
    )
    return lambda connection: connection.execute(statement, (before,)).rowcount


class Cut:
    """Which rows of a shard to read, in the order of their keys, page by page.

    Args:
        layout: the numbers of the store.
        prefix: the first parts of the keys.
        bounds: conditions on the next part: an operator of SQL and a value.
        data: whether to read the data too.
    """

    def __init__(
        self, layout: ShardLayout, prefix: Key = (), bounds: Sequence[tuple[str, Part]] = (), *, data: bool = True
    ) -> None:
        self._keylen = layout.keylen
        conditions = [f"key_{number} = ?" for number in range(len(prefix))]
        conditions += [f"key_{len(prefix)} {operator} ?" for operator, _ in bounds]
        self._parameters = (*prefix, *(value for _, value in bounds))
        marks = ", ".join("?" * layout.keylen)
        self._first = f"SELECT {layout.columns}{', data' if data else ''} FROM db WHERE {{}}"
        self._conditions = " AND ".join(conditions) or "1"
        self._after = f" AND ({layout.columns}) > ({marks})"
        self._end = f" ORDER BY {layout.columns} LIMIT {PAGE}"

    def page(self, after: Key | None) -> Work[list[Row]]:
        """Return a work that reads the rows that follow a key."""
        conditions = self._conditions + (self._after if after is not None else "")
        statement = self._first.format(conditions) + self._end
        parameters = (*self._parameters, *(after or ()))
        return lambda connection: connection.execute(statement, parameters).fetchall()

    def next_after(self, page: Sequence[Row]) -> Key | None:
        """Return the key after which to go on, None at the end."""
        return page[-1][: self._keylen] if len(page) == PAGE else None


def bounds_of(*, ge: Part | None, gt: Part | None, le: Part | None, lt: Part | None) -> list[tuple[str, Part]]:
    """Return the bounds that were given, with their operators in SQL."""
    given = ((">=", ge), (">", gt), ("<=", le), ("<", lt))
    return [(operator, value) for operator, value in given if value is not None]


def in_groups(pairs: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size`, so that any number of pairs needs bounded memory."""
    while group := list(islice(pairs, size)):
        yield group
