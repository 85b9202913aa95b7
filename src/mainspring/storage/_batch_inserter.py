"""Many small inserts made into few large ones: what a columnar database wants.

One block is written at a time. While it is being written the next one fills, so blocks grow with the load; an
idle inserter writes a row after `max_seconds`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar, cast

from mainspring.base import BatchKernel
from mainspring.errors import ClosedError, InvalidArgumentError, WorkQueueFullError
from mainspring.resilience import check_count

R = TypeVar("R")

MIB = 2**20


@dataclass(frozen=True, slots=True)
class BatchInserterStats:
    """Counts since the inserter was made."""

    row_count: int
    block_count: int
    failed_block_count: int
    waiting_count: int


class _Entry(NamedTuple, Generic[R]):
    row: R
    written: "asyncio.Future[None]"


class BatchInserter(Generic[R]):
    """Gathers rows and inserts them in blocks; `add` returns when the block of its row was written.

    Use it from one loop, with `async with`: leaving the block writes what is left.

    Args:
        insert: writes one block of rows; a block that fails is not tried again here.
        max_rows: rows in a block, at least 1.
        max_bytes: sum of the sizes in a block, as `size_of` tells them, at least 1.
        max_seconds: how long a row waits for others, at least 0.
        max_waiting: rows that may wait or be written at once; more adders wait for room.
        size_of: the size of a row in bytes; about that of its values unless given.

    Raises:
        InvalidArgumentError: a value is outside its range.

    >>> async def main() -> list[list[int]]:
    ...     blocks: list[list[int]] = []
    ...     async def insert(rows: Sequence[int]) -> None:
    ...         blocks.append(list(rows))
    ...     async with BatchInserter(insert, max_rows=3) as inserter:
    ...         await inserter.add_many(range(7))
    ...     return blocks
    >>> asyncio.run(main())
    [[0, 1, 2], [3, 4, 5], [6]]
    """

    def __init__(
        self,
        insert: Callable[[Sequence[R]], Awaitable[object]],
        *,
        max_rows: int = 10_000,
        max_bytes: int = 8 * MIB,
        max_seconds: float = 1.0,
        max_waiting: int = 100_000,
        size_of: Callable[[R], int] | None = None,
    ) -> None:
        given: object = insert
        if not callable(given):
            raise InvalidArgumentError(argument="insert", value=insert, expected="an async function")
        check_count("max_waiting", max_waiting, at_least=check_count("max_rows", max_rows))
        self._insert = insert
        self._kernel = BatchKernel[_Entry[R]](max_count=max_rows, max_bytes=max_bytes, max_seconds=max_seconds)
        self._max_waiting = max_waiting
        self._size_of = size_of or _size_of
        self._blocks: deque[list[_Entry[R]]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._room: deque[asyncio.Future[None]] = deque()
        self._waiting = self._rows = self._written_blocks = self._failed_blocks = 0
        self._closed = False

    async def add(self, row: R) -> None:
        """Add a row and wait until its block was written.

        A cancelled caller leaves its row in the block.

        Raises:
            ClosedError: the inserter was closed.
            Exception: what `insert` raised for the block.
        """
        await self._wait_for_room()
        await self.add_nowait(row)

    async def add_many(self, rows: Iterable[R]) -> None:
        """Add rows and wait until all their blocks were written; when one fails, the others are written still.

        Raises:
            ClosedError: the inserter was closed.
            Exception: what `insert` raised for the first block that failed.
        """
        failure: BaseException | None = None
        written: list[asyncio.Future[None]] = []
        for row in rows:
            await self._wait_for_room()
            written.append(self.add_nowait(row))
            if len(written) >= self._max_waiting:
                failure = failure or await self._first_failure(written)
                written.clear()
        failure = failure or await self._first_failure(written)
        if failure is not None:
            raise failure

    def add_nowait(self, row: R) -> "asyncio.Future[None]":
        """Add a row; the future is resolved when its block was written.

        Raises:
            ClosedError: the inserter was closed.
            WorkQueueFullError: `max_waiting` rows wait already.
        """
        if self._closed:
            raise ClosedError(what="the batch inserter")
        if self._waiting >= self._max_waiting:
            raise WorkQueueFullError(what="the batch inserter", limit=self._max_waiting)
        loop = asyncio.get_running_loop()
        entry = _Entry(row, loop.create_future())
        self._waiting += 1
        self._take(self._kernel.add(entry, now=loop.time(), size=self._size_of(row)))
        if self._timer is None and self._kernel.due_at is not None:
            self._timer = loop.call_at(self._kernel.due_at, self._on_time)
        return entry.written

    async def flush(self) -> None:
        """Write what was added so far, failures left to those who added it."""
        self._close_block()
        while self._writer is not None:
            await asyncio.shield(self._writer)

    async def close(self) -> None:
        """Write what was added, take no more; may be called again."""
        self._closed = True
        self._give_room(len(self._room))  # they wake and are refused
        await self.flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def stats(self) -> BatchInserterStats:
        """Return the counts so far."""
        return BatchInserterStats(self._rows, self._written_blocks, self._failed_blocks, self._waiting)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<BatchInserter {state} rows={self._rows} waiting={self._waiting}>"

    async def _wait_for_room(self) -> None:
        """Wait in line until a row may be added."""
        while (self._waiting >= self._max_waiting) and not self._closed:
            room = asyncio.get_running_loop().create_future()
            self._room.append(room)
            self._close_block()  # the open block is all that could hold up the one who waits
            try:
                await room
            except asyncio.CancelledError:
                if room in self._room:
                    self._room.remove(room)
                else:
                    self._give_room(1)  # it was this one's turn: the next one takes it
                raise

    async def _first_failure(self, written: Sequence["asyncio.Future[None]"]) -> BaseException | None:
        """Wait until all of these rows are written or given up."""
        self._close_block()  # nobody else is known to come
        answers = await asyncio.gather(*written, return_exceptions=True)
        return next((answer for answer in answers if answer is not None), None)

    def _give_room(self, count: int) -> None:
        for _ in range(min(len(self._room), count)):
            _resolve(self._room.popleft(), None)

    def _close_block(self) -> None:
        self._take(self._kernel.cut())

    def _on_time(self) -> None:
        self._timer = None
        self._take(self._kernel.poll(asyncio.get_running_loop().time()))
        if self._kernel.due_at is not None:
            self._timer = asyncio.get_running_loop().call_at(self._kernel.due_at, self._on_time)

    def _take(self, blocks: Sequence[list[_Entry[R]]]) -> None:
        self._blocks.extend(blocks)
        if self._timer is not None and self._kernel.due_at is None:
            self._timer.cancel()
            self._timer = None
        if self._blocks and self._writer is None:
            writer = asyncio.get_running_loop().create_task(self._write(), name="batch-inserter")
            self._writer = None if writer.done() else writer  # it may be, where tasks start eagerly

    async def _write(self) -> None:
        try:
            while self._blocks:
                await self._write_block(self._blocks.popleft())
        finally:
            self._writer = None

    async def _write_block(self, block: list[_Entry[R]]) -> None:
        failure: Exception | None = None
        try:
            await self._insert([entry.row for entry in block])
        except Exception as error:  # noqa: BLE001  # supervisor: the error belongs to those who added the rows
            failure = error
        self._waiting -= len(block)
        self._rows += len(block) if failure is None else 0
        self._written_blocks += failure is None
        self._failed_blocks += failure is not None
        for entry in block:
            _resolve(entry.written, failure)
        self._give_room(self._max_waiting - self._waiting)


def _resolve(future: "asyncio.Future[None]", failure: Exception | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)


def _size_of(row: object) -> int:
    """Return about how many bytes the values of a row take."""
    if isinstance(row, str | bytes):
        return len(row)
    if isinstance(row, tuple | list):
        values = cast("Sequence[object]", row)  # cast: isinstance leaves the items unknown
        return sum(len(value) if isinstance(value, str | bytes) else 8 for value in values)
    return 8
