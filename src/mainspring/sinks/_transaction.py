"""What sinks and job stores agree on: who writes, and what a finish carries into the store's transaction."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol

from mainspring.errors import InvalidArgumentError

if TYPE_CHECKING:
    import sqlite3

_RUN_ID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
)  # UUIDv7: they sort by time

MAX_ROWS: Final = 1_000
"""Rows that one statement of a sink may return: its transaction holds up the others of its group."""


class SqlTransaction(Protocol):
    """An open transaction of a SQL database, lent to a sink. Calls block; they run in the writer's thread.

    An attribute `own_tables`, if there is one, names the tables that belong to the job store.
    """

    @property
    def dialect(self) -> Literal["sqlite", "postgresql", "mysql"]:
        """The SQL dialect of the database."""
        ...

    def execute(self, sql: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement and return its rows, 1000 at most.

        Raises:
            InvalidArgumentError: there are more; the run whose rows are written fails, and nothing of it is kept.
        """
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row."""
        ...


def rows_within_bound(cursor: "sqlite3.Cursor", sql: str) -> list[tuple[object, ...]]:
    """Return the rows of a statement of a sink.

    Raises:
        InvalidArgumentError: they are more than a sink may read.
    """
    rows: list[tuple[object, ...]] = cursor.fetchmany(MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        cursor.close()  # a statement in progress would stand in the way of its rollback
        raise InvalidArgumentError(
            argument="sql",
            value=sql,
            expected=f"a statement that returns at most {MAX_ROWS} rows",
            hint="let SQL count or add them up, or read a page at a time: WHERE key > ? ORDER BY key LIMIT 1000",
        )
    return rows


@dataclass(frozen=True, slots=True)
class SinkRun:
    """The run on whose behalf items are written; a higher fence wins over a lower one.

    Attributes:
        was: earlier ids of its job, the oldest first, under which rows of its interval may have been written.
        repeats: whether it may be tried again, under a higher fence; then a table of its own database that only adds
            rows takes those of one attempt.
    """

    run_id: str
    job_id: str
    fence: int
    attempt: int
    scheduled_at: datetime | None
    interval_start: datetime | None
    interval_end: datetime | None
    was: tuple[str, ...] = ()
    repeats: bool = False

    def comes_after(self, run_id: str, fence: int) -> bool:
        """Tell whether this claim may write over what another claim of its interval, or itself, has written.

        Fences grow within one store. A new store, or one that was put back from a copy, begins at lower ones again:
        there the run that was made later counts, as the ids of runs tell.
        """
        tell_time = all(map(_RUN_ID.fullmatch, (run_id, self.run_id)))
        return self.fence >= fence or (tell_time and self.run_id > run_id)


class TransactionalWrite(Protocol):
    """A run's items for one sink, to be written by the job store inside the finish's savepoint."""

    @property
    def sink_name(self) -> str:
        """The sink that wrote it."""
        ...

    @property
    def run(self) -> SinkRun:
        """The run whose items these are."""
        ...

    @property
    def count(self) -> int:
        """How many items it holds."""
        ...

    def apply(self, tx: SqlTransaction) -> int:
        """Write the items and return how many rows were written."""
        ...


class StageArea(Protocol):
    """Where rows that are too many for memory wait for the finish of their run."""

    async def put(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        """Keep one chunk, keyed by (run id, fence, sink, sequence), until the run ends."""
        ...


class Collector(Protocol):
    """Takes one run's items for one sink; they count when the run ends well, all of them or none."""

    count: int

    def take(self, item: object, key: str | None) -> bool:
        """Take one item; tell whether `relieve` is to be awaited now."""
        ...

    async def relieve(self) -> None:
        """Move what was taken out of memory."""
        ...

    async def finish(self) -> TransactionalWrite | None:
        """End: return what the store's finish writes, None if all is written already."""
        ...

    async def discard(self) -> None:
        """Forget everything."""
        ...
