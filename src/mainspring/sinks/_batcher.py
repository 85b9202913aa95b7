"""One batcher per sink: a bounded queue, one consumer, and tickets that know whose items were written.

Items of all runs share batches. A run waits for its own items only: its barrier cuts the open batch. Before runs are
blamed for a batch that cannot be written, the items of each are tried once more by themselves, without pauses: only
those fail whose own items do. After `_DOWN_AFTER` failures in a row, or one that says that the sink is out of reach,
the sink is taken to be down and the others are blamed untried. A run that failed withdraws what still waits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final  # Any: items have any type

from mainspring.base import Backoff, BatchKernel
from mainspring.errors import ClosedError, MainspringError, SinkWriteError
from mainspring.resilience import RetryAttempt, retry, retry_after
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._packing import weigh
from mainspring.sinks._tickets import Entry, Rescue, SinkStatistic, Ticket

log = logging.getLogger(__name__)

_LONGEST_RETRY_AFTER: Final = 60.0  # seconds that a sink may ask for; beyond, others would stand behind its batch
_DOWN_AFTER: Final = 3  # failures in a row, run by run, that are taken for a sink that is down
UNWINDING: Final = 1.0  # seconds that a cancelled sink has to end


class Batcher:
    """Writes items in batches through an async function.

    Args:
        rescue: keeps items that could not be written, durably; None: their runs fail.
        weigh: returns about how many bytes an item takes; raises for one that is not to be queued.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Entry]], Awaitable[None]],
        *,
        label: str,
        delivery: Delivery | None = None,
        rescue: Rescue | None = None,
        weigh: Callable[[object], int] = weigh,
    ) -> None:
        self._write = write
        self._label = label
        delivery = Delivery() if delivery is None else delivery
        self._max_queue, self._max_queue_bytes = delivery.max_queue, delivery.max_queue_bytes
        self._rescue = rescue
        self._weigh = weigh
        self._persistently = retry(on=self._is_wanted, backoff=delivery.retry, on_retry=self._say)(self._attempt)
        # What nobody answers for is tried for ever, whether or not it fails as often as `delivery.retry` has it.
        for_ever = Backoff.constant(delivery.retry.maximum or 1.0)
        self._settle_current = retry(on=SinkWriteError, backoff=for_ever, on_retry=self._say)(self._write_current)
        self.statistic = SinkStatistic(label)
        self._kernel: BatchKernel[Entry] = BatchKernel(
            max_count=delivery.max_count, max_bytes=delivery.max_bytes, max_seconds=delivery.max_seconds
        )
        self._ready: deque[list[Entry]] = deque()
        self._current: list[Entry] = []
        self._waiting = 0
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting_count(self) -> int:
        """Items that wait in memory."""
        return self._waiting

    async def put(self, ticket: Ticket, item: object, key: str | None = None) -> None:
        """Queue one item; waits while the queue is full.

        Raises:
            ClosedError: the batcher was closed, or the run's items were withdrawn, before there was room.
        """
        while not self.offer(ticket, item, key):
            self._room.clear()
            await self._room.wait()

    def offer(self, ticket: Ticket, item: object, key: str | None = None) -> bool:
        """Queue one item unless the queue is full; tell whether it was taken.

        Raises:
            ClosedError: the batcher is closed, or the run's items were withdrawn.
            InvalidItemError: the item could not be kept if the sink did not take it.
        """
        if self._closing or ticket.withdrawn:
            raise ClosedError(what=f"the way to sink {self._label}")
        if self._waiting >= self._max_queue or self._waiting_bytes >= self._max_queue_bytes:
            return False
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._consume(), name=f"sink-{self._label}")
        size = self._weigh(item)
        if type(item) is dict:
            item = item.copy()  # emitters fill the same dict again  # pyright: ignore[reportUnknownVariableType]
        self._waiting += 1
        self._waiting_bytes += size
        ticket.pending += 1
        ticket.count += 1
        kernel = self._kernel
        alone = kernel.due_at is None
        batches = kernel.add(Entry(ticket, item, key, size), now=self._loop.time(), size=size)
        if batches or alone:
            self._ready.extend(batches)
            self._wake.set()
        return True

    async def flush(self, ticket: Ticket) -> None:
        """Wait until every item of this ticket is written, or safe on disk.

        Raises:
            SinkWriteError: some could not be.
        """
        if ticket.pending:
            self._cut()
        while ticket.pending:
            ticket.changed.clear()
            await ticket.changed.wait()
        if ticket.error is not None:
            raise ticket.error

    def withdraw(self, ticket: Ticket) -> None:
        """Drop what waits of a ticket; a batch that the sink has in its hands is not tried again for it."""
        ticket.withdrawn = True
        if not ticket.pending:
            return
        self._cut()
        self._ready = deque(kept for batch in self._ready if (kept := self._without_withdrawn(batch)))
        self._wake.set()

    async def close(self, *, timeout: float = 10.0) -> None:
        """Write what is queued; after `timeout` seconds what is left is rescued, or blamed on its runs.

        A cancellation ends the waiting, and what is left is rescued all the same.
        """
        self._closing = True
        self._room.set()
        if self._task is None:
            return
        self._cut()
        task, self._task = self._task, None
        reason = "not written when there was no more time"
        try:
            await asyncio.wait({task}, timeout=timeout)
            reason = f"not written {timeout:g} s after the end"
        finally:
            task.cancel()
            _, stuck = await asyncio.wait({task}, timeout=UNWINDING)
            if stuck:
                log.error("sink %s goes on though it was cancelled, and is left alone", self._label)
            await self._give_up_the_rest(reason)

    async def _give_up_the_rest(self, reason: str) -> None:
        left, self._current = self._current, []
        for batch in self._ready:
            left += batch
        self._ready.clear()
        if left:
            refused, more = await self._rescued(left, SinkWriteError(sink=self._label, items=len(left), reason=reason))
            self._blame(refused, SinkWriteError(sink=self._label, items=len(refused), reason=reason + more))

    def _cut(self) -> None:
        self._ready.extend(self._kernel.cut())
        self._wake.set()

    def _without_withdrawn(self, batch: list[Entry]) -> list[Entry]:
        gone = [entry for entry in batch if entry.ticket.withdrawn]
        if not gone:
            return batch
        self._settle(gone, None)
        return [entry for entry in batch if not entry.ticket.withdrawn]

    async def _consume(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            self._ready.extend(self._kernel.poll(loop.time()))
            while self._ready:
                self._current = self._ready.popleft()
                await self._settle_current()
            if self._closing:
                return
            await self._until_due(loop)

    async def _until_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until somebody wakes this consumer, or the open batch gets too old."""
        due_at = self._kernel.due_at
        timer = None if due_at is None else loop.call_at(due_at, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _write_current(self) -> None:
        """Write the batch in `_current`, or rescue it, or blame its runs; a cancellation leaves it there."""
        error = await self._failure_of(self._persistently())
        if error is None:
            return
        self._current = self._without_withdrawn(self._current)
        self._current, more = await self._rescued(self._current, self._failed(self._current, error))
        failed = await self._try_apart(error, more)
        if self._current:
            raise failed from error

    async def _failure_of(self, attempt: Awaitable[None]) -> Exception | None:
        try:
            await attempt
        except Exception as error:  # noqa: BLE001  # supervisor: whatever a sink raises is retried, then blamed
            return error
        return None

    async def _try_apart(self, error: Exception, more: str) -> SinkWriteError:
        """Try what is left of a batch run by run, and blame the runs that fail; return what the last one failed with.

        Items of no run that fail stay in `_current`, since nobody answers for them.
        """
        tickets = dict.fromkeys(entry.ticket for entry in self._current)
        failures = _DOWN_AFTER if len(tickets) == 1 or _is_away(error) else 0
        failed = self._failed(self._current, error, more)
        for ticket in tickets:
            self._current = self._without_withdrawn(self._current)
            part = [entry for entry in self._current if entry.ticket is ticket]
            again = await self._failure_of(self._write(part)) if part and failures < _DOWN_AFTER else error
            self._current = [entry for entry in self._current if entry.ticket is not ticket]
            if again is None:
                failures = 0
                self._settle(part, None)
            else:
                failures = _DOWN_AFTER if _is_away(again) else failures + 1
                failed = self._failed(part, again, more)
                self._current += self._blame(part, failed)
        return failed

    def _failed(self, entries: Sequence[Entry], error: Exception, more: str = "") -> SinkWriteError:
        reason = f"{type(error).__qualname__}: {error}{more}"
        failed = SinkWriteError(sink=self._label, items=len(entries), reason=reason)
        failed.__cause__ = error
        return failed

    async def _attempt(self) -> None:
        self._current = self._without_withdrawn(self._current)
        if self._current:
            await self._write(self._current)
            done, self._current = self._without_withdrawn(self._current), []
            self._settle(done, None)

    def _is_wanted(self, error: Exception) -> bool:
        """Tell whether anything of the batch that failed is to be tried again, and soon: others wait behind it."""
        self._current = self._without_withdrawn(self._current)
        return bool(self._current) and retry_after(error) <= _LONGEST_RETRY_AFTER

    def _say(self, failed: RetryAttempt) -> None:
        log.warning("sink %s failed, next attempt in %.1f s: %r", self._label, failed.delay, failed.exception)

    async def _rescued(self, entries: list[Entry], error: SinkWriteError) -> tuple[list[Entry], str]:
        """Have items kept durably; return those that could not be, and what is to be said of that."""
        if self._rescue is None or not entries:
            return entries, ""
        try:
            refused = await self._rescue(entries, error)
        except (MainspringError, OSError) as failure:
            log.error("sink %s: %d items could not be kept: %s", self._label, len(entries), failure)
            return entries, f"; they could not be kept either: {failure}"
        left = set(map(id, refused))
        self.statistic.spooled += len(entries) - len(refused)
        self._settle([entry for entry in entries if id(entry) not in left], None)
        return refused, "; they could not be kept either: the log says why"

    def _blame(self, entries: list[Entry], error: SinkWriteError) -> list[Entry]:
        """Blame the runs of these items; return those that are to be tried on, since nobody answers for them."""
        nobodys = [entry for entry in entries if entry.ticket.run_id is None]
        self._settle([entry for entry in entries if entry.ticket.run_id is not None], error)
        if self._closing and nobodys:
            log.error("sink %s: %d items are lost: %s", self._label, len(nobodys), error.reason)
            self._settle(nobodys, error)
            return []
        return nobodys

    def _settle(self, entries: Sequence[Entry], error: SinkWriteError | None) -> None:
        counts: dict[Ticket, int] = {}
        for entry in entries:
            counts[entry.ticket] = counts.get(entry.ticket, 0) + 1
            self._waiting_bytes -= entry.size
        self._waiting -= len(entries)
        for ticket, count in counts.items():
            ticket.settle(count, error)
        self._room.set()


def _is_away(error: Exception) -> bool:
    """Tell whether an error says that the sink is out of reach, or wants to be left alone: not what an item does."""
    return isinstance(error, TimeoutError) or retry_after(error) > 0
