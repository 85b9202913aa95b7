"""A run's rows for one transactional sink: few stay in memory, many wait in the stage, one finish writes them."""

from collections.abc import Sequence
from typing import Any, Final  # Any: items have any type

from mainspring.base import decode_msgpack, encode_msgpack
from mainspring.errors import SinkWriteError
from mainspring.sinks._sink import TransactionalBatch, TransactionalSink
from mainspring.sinks._transaction import SinkRun, SqlTransaction, StageArea

CHUNK_ITEMS: Final = 2_000  # items that stay in memory, and that one staged chunk holds
_READ: Final = "SELECT payload FROM stage WHERE run_id = ? AND fence = ? AND sink = ? AND sequence = ?"


class RunRows:
    """Collects the items of one run for one transactional sink."""

    __slots__ = ("_chunks", "_items", "_stage", "count", "run", "sink")

    def __init__(self, sink: TransactionalSink, run: SinkRun, stage: StageArea | None) -> None:
        self.sink = sink
        self.run = run
        self.count = 0
        self._stage = stage
        self._items: list[Any] = []
        self._chunks = 0

    async def add(self, item: object) -> None:
        """Take one item; waits for the stage when memory's share is used up."""
        self.sink.check(item, self.run)
        self._items.append(item)
        self.count += 1
        if len(self._items) >= CHUNK_ITEMS and self._stage is not None:
            items, self._items = self._items, []
            sequence, self._chunks = self._chunks, self._chunks + 1
            await self._stage.put(self.run, self.sink.label, sequence, encode_msgpack(items))

    def closed(self) -> "RowsWrite":
        """Return what the finish applies."""
        return RowsWrite(self.sink, self.run, self._items, self._chunks, self.count)


class RowsWrite:
    """The rows of one run for one sink, ready for the transaction of its finish."""

    __slots__ = ("_chunks", "_items", "_sink", "count", "run")

    def __init__(self, sink: TransactionalSink, run: SinkRun, items: Sequence[Any], chunks: int, count: int) -> None:
        self._sink = sink
        self._items = items
        self._chunks = chunks
        self.run = run
        self.count = count

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
            found = tx.execute(_READ, (self.run.run_id, self.run.fence, self.sink_name, sequence))
            if not found or not isinstance(found[0][0], bytes):
                raise SinkWriteError(sink=self.sink_name, items=self.count, reason=f"staged chunk {sequence} is gone")
            items = decode_msgpack(found[0][0])
            written += self._sink.write(tx, TransactionalBatch(self.run, items, first=sequence == 0))
        if self._items or not self._chunks:
            written += self._sink.write(tx, TransactionalBatch(self.run, self._items, first=not self._chunks))
        return written

    def __repr__(self) -> str:
        return f"<RowsWrite of {self.count} for {self.sink_name}>"
