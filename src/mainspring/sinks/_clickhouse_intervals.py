"""ClickHouseIntervals: each interval's rows count exactly once, though ClickHouse has no transactions.

The rows of a run go into the table `TABLE_rows` under a number of their own, block by block, where nobody sees them:
`TABLE` is a view of the rows whose number is the last one committed for their interval. One insert of one row into
`TABLE_commits` makes a run's rows appear and those of an earlier run disappear, at once and for good. A claim that is
older than the last committed one changes nothing, even if it commits: the view goes by the claim first. Superseded
rows, and those of runs that died, are deleted after the next commit for their interval.
"""

import asyncio
import logging
from collections.abc import Hashable, Sequence, Set
from typing import Any, Final  # Any: what a query returns

from mainspring.base import current_random, encode_json, to_us
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import ClickHouseError, InvalidItemError, StaleFenceError
from mainspring.sinks._clickhouse_lines import INSERT_SETTINGS, RowLines
from mainspring.sinks._clickhouse_schema import DEDUPLICATION_WINDOW, ClickHouseSchema, check_names
from mainspring.sinks._table_names import check_table_name
from mainspring.sinks._transaction import SinkRun
from mainspring.storage import Querier

log = logging.getLogger(__name__)

BLOCK_BYTES: Final = 8 << 20
FIRST_BLOCK_BYTES: Final = 1 << 20  # soon sent, so that tables are made while the next one is filled
BREATH_BYTES: Final = 128 << 10  # then the loop gets a turn: else no byte of the block before would be sent meanwhile
_WRITE: Final = "_write"
_TOKEN: Final = "insert_deduplication_token"
_LARGEST_WRITE: Final = 2**63 - 1
_COMMITS: Final = (
    "CREATE TABLE IF NOT EXISTS {name} (job String, start Int64, fence UInt64, write UInt64, state"
    " Enum8('begun' = 1, 'committed' = 2), at DateTime64(6, 'UTC') DEFAULT now64(6)) ENGINE = MergeTree"
    " ORDER BY (job, start) SETTINGS non_replicated_deduplication_window = {window}"
)
_LAST: Final = (
    "WHERE _write IN (SELECT argMax(write, (fence, at)) FROM {name} WHERE state = 'committed' GROUP BY job, start)"
)
_OF_INTERVAL: Final = (
    "SELECT start, fence, write, state FROM {name}"
    " WHERE job = {{job:String}} AND start >= {{start:Int64}} AND start < {{end:Int64}} ORDER BY (fence, at)"
)


class ClickHouseIntervals:
    """A table of ClickHouse in which a run replaces what its interval had before.

    It is read through a view of the table's name; the rows lie in `TABLE_rows`, and what counts in `TABLE_commits`.
    Values are written as by `ClickHouseTable`.

    Args:
        table: the name of the view: letters, digits and `_`.
        querier: the way to the database, a server or an embedded engine.
        order_by: columns by which the rows are sorted, when their table is made here.
        create: make the tables from the first rows, and add columns that later rows bring.
        name: how the sink is called; the table's name by default.

    Raises:
        InvalidArgumentError: a name is not plain.
    """

    replaces = True

    def __init__(
        self,
        table: str,
        querier: Querier,
        *,
        order_by: Sequence[str] = (),
        create: bool = True,
        name: str | None = None,
    ) -> None:
        check_table_name(table, in_store=False)
        self.label = name or table
        self.querier = querier
        self.rows = f"{table}_rows"
        self.commits = f"{table}_commits"
        self.schema = ClickHouseSchema(
            querier,
            self.rows,
            own={_WRITE: "UInt64"},
            engine="MergeTree",
            order_by=(*check_names("order_by", order_by), _WRITE),
            create=create,
            view=(table, f"* EXCEPT {_WRITE}", _LAST.format(name=self.commits)),
            before=_COMMITS.format(name=self.commits, window=DEDUPLICATION_WINDOW),
        )

    def place(self, run: SinkRun | None) -> Hashable:
        """Return the table, and the way to its database."""
        return id(self.querier), self.rows

    def collect(self, run: SinkRun, threads: ThreadPoolExecutor) -> "IntervalRows":
        """Return what collects a run's items.

        Raises:
            InvalidItemError: the run has no interval.
        """
        if run.interval_start is None or run.interval_end is None:
            raise InvalidItemError(
                sink=self.label,
                reason="it needs a run with a data interval, and this one has none",
                hint="run it by backfill() or by its schedule, or use ClickHouseTable(key=...) instead",
            )
        return IntervalRows(self, run, to_us(run.interval_start), to_us(run.interval_end))

    def __repr__(self) -> str:
        return f"<ClickHouseIntervals {self.label!r}>"


class IntervalRows:
    """Collects the rows of one run, block by block, and makes them count at its end."""

    def __init__(self, sink: ClickHouseIntervals, run: SinkRun, start: int, end: int) -> None:
        self.count = 0
        self._sink = sink
        self._run = run
        self._start = start
        self._end = end
        self._write = current_random().randint(1, _LARGEST_WRITE)
        self._tail = b',"_write":%d}' % self._write
        self._lines = RowLines(sink.label)
        self._buffer: list[bytes] = []
        self._size = 0
        self._full_at = min(FIRST_BLOCK_BYTES, BLOCK_BYTES)
        self._breath_at = min(BREATH_BYTES, self._full_at)
        self._blocks = 0
        self._in_flight: asyncio.Future[None] | None = None

    def take(self, item: object, key: str | None) -> bool:
        """Take one item; tell whether a block is full, or the loop should get a turn."""
        line = self._lines.line(item, self._tail)
        self._buffer.append(line)
        self._size += len(line)
        self.count += 1
        return self._size >= self._breath_at

    async def relieve(self) -> None:
        """Send a full block; waits for the one before, so that one is written while the next is filled."""
        if self._size < self._full_at:
            self._breath_at = min(self._size + BREATH_BYTES, self._full_at)
            await asyncio.sleep(0)
            return
        await self._landed()  # a cancellation here leaves the rows where they are
        if self._size < self._full_at:
            return  # another task of the handler has sent them
        self._full_at, self._breath_at = BLOCK_BYTES, min(BREATH_BYTES, BLOCK_BYTES)
        self._in_flight = asyncio.ensure_future(self._send(self._taken()))

    async def has_earlier(self) -> bool:
        """Tell whether an earlier run of the same job has written for the interval."""
        return await self._exists() and bool(await self._of_interval())

    async def finish(self) -> None:
        """Make the rows count.

        Raises:
            StaleFenceError: a newer claim of this interval has committed already; its rows count.
            ClickHouseError: the rows are not known to count.
        """
        await self._landed()
        if self._buffer:
            await self._send(self._taken())
        if self._blocks or await self._exists():
            await self._commit()

    async def discard(self) -> None:
        """Forget the rows; what was sent is deleted, now or after the interval's next commit."""
        self._buffer.clear()
        if self._in_flight is not None:
            self._in_flight.cancel()
            await asyncio.gather(self._in_flight, return_exceptions=True)
        if self._blocks:
            await self._delete({self._write})

    def _taken(self) -> list[bytes]:
        block, self._buffer, self._size = self._buffer, [], 0
        return block

    async def _landed(self) -> None:
        """Wait until no block is on its way; several tasks of one handler may wait at once."""
        while self._in_flight is not None:
            in_flight = self._in_flight
            await asyncio.shield(in_flight)
            if self._in_flight is in_flight:
                self._in_flight = None

    async def _send(self, block: Sequence[bytes]) -> None:
        await self._sink.schema.fit(self._lines.columns, self._lines.nulls)
        if not self._blocks:
            await self._note([(self._start, self._write)], state="begun")
        self._blocks += 1
        await self._insert(self._sink.rows, b"\n".join(block), f"{self._write}-{self._blocks}")

    async def _commit(self) -> None:
        earlier = await self._of_interval()
        if any(fence > self._run.fence for _, fence, _, state in earlier if state == "committed"):
            raise self._stale()
        # One block, so that all of it counts at once: also that shorter intervals inside of this one have no rows.
        shorter = {start for start, _, _, state in earlier if state == "committed" and start != self._start}
        await self._note([(self._start, self._write if self._blocks else 0), *((start, 0) for start in shorter)])
        now = await self._of_interval()
        last = [write for start, _, write, state in now if state == "committed" and start == self._start][-1]
        if last != (self._write if self._blocks else 0):
            raise self._stale()  # a newer claim came in between
        done_with = {write for _, fence, write, _ in earlier if fence <= self._run.fence}
        await self._delete(done_with - {self._write})

    async def _note(self, writes: Sequence[tuple[int, int]], *, state: str = "committed") -> None:
        """Write down whose rows count, or will."""
        run = self._run
        rows = [
            {"job": run.job_id, "start": start, "fence": run.fence, "write": write, "state": state}
            for start, write in writes
        ]
        await self._insert(self._sink.commits, b"\n".join(map(encode_json, rows)), f"{self._write}-{state}")

    async def _insert(self, table: str, data: bytes, token: str) -> None:
        settings = {**INSERT_SETTINGS, _TOKEN: token}  # so that it does no harm to send a block again
        await self._sink.querier.insert_bytes(table, data, settings=settings)

    async def _of_interval(self) -> list[tuple[int, int, int, str]]:
        """Return (start, fence, write, state) of all that was noted for the interval, by claim and time."""
        values = {"job": self._run.job_id, "start": self._start, "end": self._end}
        sql = _OF_INTERVAL.format(name=self._sink.commits)
        result: Any = await self._sink.querier.query(sql, parameters=values)
        return [(int(start), int(fence), int(write), str(state)) for start, fence, write, state in result.result_rows]

    async def _exists(self) -> bool:
        """Tell whether there may be rows to replace."""
        result: Any = await self._sink.querier.query(f"EXISTS TABLE {self._sink.commits}")
        return bool(result.result_rows[0][0])

    async def _delete(self, writes: Set[int]) -> None:
        """Delete rows that do not count; if that fails, the next commit tries again."""
        numbers = ", ".join(str(write) for write in writes - {0})
        if not numbers:
            return
        try:
            found: Any = await self._sink.querier.query(
                f"SELECT count() FROM {self._sink.rows} WHERE _write IN ({numbers})"
            )
            if found.result_rows[0][0]:
                await self._sink.querier.query(f"DELETE FROM {self._sink.rows} WHERE _write IN ({numbers})")
        except ClickHouseError as error:
            log.warning("superseded rows of %s are left for later: %s", self._sink.rows, error)

    def _stale(self) -> StaleFenceError:
        return StaleFenceError(run_id=self._run.run_id, fence=self._run.fence)
