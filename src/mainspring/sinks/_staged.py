"""A run's rows for one transactional sink: few stay in memory, many wait in the stage, one finish writes them.

Rows are packed when they are emitted: their bytes are known, so that memory is bounded whatever they hold; what the
handler does to an item afterwards changes nothing; and a sink gets the same objects whether they were staged or not.
"""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final  # Any: items have any type

from mainspring.errors import EncodeError, InvalidItemError, SinkWriteError
from mainspring.sinks._columns import as_row, plain_row
from mainspring.sinks._packing import Packer, unpack
from mainspring.sinks._sink import TransactionalBatch, TransactionalSink
from mainspring.sinks._transaction import SinkRun, SqlTransaction, StageArea, TransactionalWrite

CHUNK_ITEMS: Final = 5_000  # items that stay in memory, and that one staged chunk holds
CHUNK_BYTES: Final = 1 << 20
SMALL_CHUNK_BYTES: Final = 1 << 12
TOTAL_BYTES: Final = 64 << 20  # what the rows of all runs may take in memory before small chunks are staged too
_READ: Final = "SELECT payload FROM stage WHERE run_id = ? AND fence = ? AND sink = ? AND sequence = ?"

Shape = Callable[[Any, str | None, SinkRun], object]


class MemoryBudget:
    """The bytes that the rows of all runs take in memory together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = TOTAL_BYTES) -> None:
        self.limit = limit
        self.used = 0


class RunRows:
    """Collects the items of one run for one transactional sink.

    Args:
        name: keeps its chunks apart in the stage, where two sinks of a run may have one label.
        shape: turns an item and its key into what is kept, then `sink.check` looks at the first item only.
    """

    __slots__ = ("_budget", "_chunks", "_in_flight", "_packer", "_shape", "_stage", "count", "name", "run", "sink")

    def __init__(
        self,
        sink: TransactionalSink,
        run: SinkRun,
        stage: StageArea | None,
        *,
        name: str,
        budget: MemoryBudget,
        shape: Shape | None = None,
    ) -> None:
        self.sink = sink
        self.name = name
        self.run = run
        self.count = 0
        self._stage = stage
        self._budget = budget
        self._shape = shape
        self._packer = Packer(sink.label)
        self._chunks = 0
        self._in_flight: asyncio.Future[None] | None = None

    def take(self, item: object, key: str | None) -> bool:
        """Take one item; tell whether memory's share is used up."""
        if self._shape is not None:
            if not self.count:
                self.sink.check(item, self.run)
            item = self._shape(item, key, self.run)
        else:
            self.sink.check(item, self.run)
        packer = self._packer
        try:
            taken = packer.add(item)
        except EncodeError as error:
            taken = self._take_plain(item, error)
        self.count += 1
        budget = self._budget
        budget.used += taken
        if packer.size < SMALL_CHUNK_BYTES:
            return False
        return packer.size >= CHUNK_BYTES or packer.count >= CHUNK_ITEMS or budget.used > budget.limit

    async def relieve(self) -> None:
        """Stage what is in memory; waits for the chunk before, so that one is written while the next is filled."""
        if self._stage is None:
            return
        await self._landed()  # a cancellation here leaves the items where they are
        if not self._packer.count:
            return  # another task of the handler has staged them
        sequence, self._chunks = self._chunks, self._chunks + 1
        # Rows of one run resemble each other: the 100 MiB of bench_sinks become 3, which the store need not write,
        # nor remember page by page while it drops them in the transaction of the finish.
        payload = zlib.compress(self._cut(), 1)
        self._in_flight = asyncio.ensure_future(self._stage.put(self.run, self.name, sequence, payload))

    async def finish(self) -> "TransactionalWrite | None":
        """Return what the store's finish applies."""
        return await self.closed()

    async def closed(self) -> "RowsWrite":
        """Return the rows, once all chunks are staged."""
        await self._landed()
        return RowsWrite(self, self._cut(), self._packer.types, self._chunks)

    async def discard(self) -> None:
        """Forget the rows; the store drops staged chunks with the end of the attempt."""
        self._cut()
        if self._in_flight is not None:
            await asyncio.gather(self._in_flight, return_exceptions=True)

    @property
    def staged(self) -> bool:
        """Whether chunks wait in the stage."""
        return self._chunks > 0

    def _cut(self) -> bytes:
        self._budget.used -= self._packer.size
        return self._packer.cut()

    async def _landed(self) -> None:
        """Wait until no chunk is on its way; several tasks of one handler may wait at once."""
        while self._in_flight is not None:
            in_flight = self._in_flight
            await asyncio.shield(in_flight)
            if self._in_flight is in_flight:
                self._in_flight = None

    def _take_plain(self, item: object, error: EncodeError) -> int:
        """Pack a row whose cells have no form of their own, such as subclasses of str."""
        label = self.sink.label
        if self._shape is None:
            raise InvalidItemError(sink=label, reason=str(error)) from error
        try:
            return self._packer.add(plain_row(as_row(item, sink=label), sink=label))
        except EncodeError as second:
            raise InvalidItemError(sink=label, reason=str(second)) from second


class RowsWrite:
    """The rows of one run for one sink, ready for the transaction of its finish."""

    __slots__ = ("_chunks", "_payload", "_sink", "_staged_as", "_types", "count", "run")

    def __init__(self, rows: RunRows, payload: bytes, types: Sequence[type], chunks: int) -> None:
        self._sink = rows.sink
        self._staged_as = rows.name
        self._payload = payload
        self._types = types
        self._chunks = chunks
        self.run = rows.run
        self.count = rows.count

    @property
    def sink_name(self) -> str:
        """The sink that writes them."""
        return self._sink.label

    def apply(self, tx: SqlTransaction) -> int:
        """Write every row, staged ones chunk by chunk; return how many.

        Raises:
            SinkWriteError: a staged chunk is gone.
        """
        written = 0
        for sequence in range(self._chunks):
            found = tx.execute(_READ, (self.run.run_id, self.run.fence, self._staged_as, sequence))
            if not found or not isinstance(found[0][0], bytes):
                raise SinkWriteError(sink=self.sink_name, items=self.count, reason=f"staged chunk {sequence} is gone")
            written += self._write(tx, zlib.decompress(found[0][0]), first=sequence == 0)
        return written + self._write(tx, self._payload, first=not self._chunks)

    def _write(self, tx: SqlTransaction, payload: bytes, *, first: bool) -> int:
        items = unpack(payload, self._types)
        if not items and not first:
            return 0
        # one that returns nothing has written all the same
        return self._sink.write(tx, TransactionalBatch(self.run, items, first=first)) or 0

    def __repr__(self) -> str:
        return f"<RowsWrite of {self.count} for {self.sink_name}>"
