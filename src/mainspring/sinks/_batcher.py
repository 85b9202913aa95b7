"""One batcher per sink: a bounded queue, one consumer, and tickets that know whose items were written.

Items of all runs share batches. A run waits for its own items only: its barrier cuts the open batch, and a batch
that cannot be written is blamed on the runs whose items it held.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from mainspring.base import Backoff, BatchKernel
from mainspring.errors import SinkWriteError
from mainspring.sinks._sink import WriteIntent

log = logging.getLogger(__name__)

DEFAULT_RETRY: Final = Backoff(0.1, maximum=5.0, jitter="full", max_tries=5)


class Ticket:
    """What one run has on its way to one sink."""

    __slots__ = ("changed", "error", "pending")

    def __init__(self) -> None:
        self.pending = 0
        self.error: SinkWriteError | None = None
        self.changed = asyncio.Event()

    def settle(self, count: int, error: SinkWriteError | None) -> None:
        """Note that `count` items were written, or not."""
        self.pending -= count
        self.error = self.error or error
        self.changed.set()


class Batcher:
    """Writes items in batches through an async function.

    Args:
        max_count: items in a batch.
        max_seconds: age at which a batch is written though it is not full.
        max_queue: items that may wait; `put` waits beyond.
        retry: pauses between attempts to write a batch; ends by `max_tries`.
    """

    def __init__(
        self,
        write: Callable[[Sequence[WriteIntent]], Awaitable[None]],
        *,
        label: str,
        max_count: int = 500,
        max_seconds: float = 0.5,
        max_queue: int = 10_000,
        retry: Backoff = DEFAULT_RETRY,
    ) -> None:
        self._write = write
        self._label = label
        self._max_queue = max_queue
        self._retry = retry
        self._kernel: BatchKernel[tuple[Ticket, WriteIntent]] = BatchKernel(
            max_count=max_count, max_seconds=max_seconds
        )
        self._ready: deque[list[tuple[Ticket, WriteIntent]]] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def put(self, ticket: Ticket, intent: WriteIntent) -> None:
        """Queue one item; waits while the queue is full."""
        while self._waiting >= self._max_queue:
            self._room.clear()
            await self._room.wait()
        if self._task is None:
            self._task = asyncio.create_task(self._consume(), name=f"sink-{self._label}")
        self._waiting += 1
        ticket.pending += 1
        alone = not len(self._kernel)
        batches = self._kernel.add((ticket, intent), now=asyncio.get_running_loop().time())
        self._ready.extend(batches)
        if batches or alone:
            self._wake.set()

    async def flush(self, ticket: Ticket) -> None:
        """Wait until every item of this ticket is written.

        Raises:
            SinkWriteError: some could not be.
        """
        if ticket.pending:
            self._ready.extend(self._kernel.cut())
            self._wake.set()
        while ticket.pending:
            ticket.changed.clear()
            await ticket.changed.wait()
        if ticket.error is not None:
            raise ticket.error

    async def close(self) -> None:
        """Write what is queued, then stop the consumer."""
        if self._task is None:
            return
        self._ready.extend(self._kernel.cut())
        while self._ready:
            await self._write_next()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _consume(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            self._ready.extend(self._kernel.poll(loop.time()))
            while self._ready:
                await self._write_next()
            try:
                async with asyncio.timeout_at(self._kernel.due_at):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _write_next(self) -> None:
        batch = self._ready.popleft()
        error: SinkWriteError | None = None
        try:
            error = await self._attempt([intent for _, intent in batch])
        finally:
            self._waiting -= len(batch)
            self._room.set()
            counts: dict[Ticket, int] = {}
            for ticket, _ in batch:
                counts[ticket] = counts.get(ticket, 0) + 1
            for ticket, count in counts.items():
                ticket.settle(count, error)

    async def _attempt(self, intents: Sequence[WriteIntent]) -> SinkWriteError | None:
        delays = iter(self._retry)
        while True:
            try:
                await self._write(intents)
            except Exception as error:  # noqa: BLE001  # supervisor: whatever a sink raises is retried, then blamed
                delay = next(delays, None)
                if delay is None:
                    failed = SinkWriteError(sink=self._label, items=len(intents), reason=_reason(error))
                    failed.__cause__ = error
                    return failed
                log.warning("sink %s failed, next attempt in %.1f s: %s", self._label, delay, error)
                await asyncio.sleep(delay)
            else:
                return None


def _reason(error: Exception) -> str:
    return f"{type(error).__qualname__}: {error}"
