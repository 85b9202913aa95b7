"""Items of a stream without end, in batches to one sink: whoever gave an item hears when it is written.

For the stages of a dataflow: what an item came of is kept by the stage before until then. So nothing is spooled here, a
batch that fails is tried for ever, and one whose process died comes again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar  # Any: items have any type

from mainspring.base import Backoff, BatchKernel, new_id
from mainspring.errors import InvalidArgumentError, InvalidItemError, SinkWriteError, TableSchemaError
from mainspring.resilience import RetryAttempt, retry
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._file_sink import FileSink
from mainspring.sinks._lane import delivery_of
from mainspring.sinks._packing import weigh
from mainspring.sinks._set import SinkSet
from mainspring.sinks._sink import CollectingSink, TransactionalSink, TypedSink, check_sink, is_collecting, label_of
from mainspring.sinks._sql_table import SqlTable
from mainspring.sinks._transaction import SinkRun

log = logging.getLogger(__name__)

Receipt = TypeVar("Receipt")


class _Entry(NamedTuple):
    item: Any
    receipt: Any
    size: int


class SinkStream(Generic[Receipt]):
    """The way to one sink; `run` it in a task, `put` never waits.

    Args:
        owner: what files and `WriteIntent` call the job.
        on_done: called with the receipts of items that are written, or were refused.
        on_refused: awaited with the item, its receipt and the error, when the sink can never write the item.
        on_room: called after each batch.

    Raises:
        InvalidArgumentError: the sink needs a run of a job, or more than a stream has.
    """

    def __init__(
        self,
        sink: object,
        *,
        owner: str,
        delivery: Delivery | None,
        on_done: Callable[[Sequence[Receipt]], None],
        on_refused: Callable[[Any, Receipt, Exception], Awaitable[None]],
        on_room: Callable[[], None],
    ) -> None:
        self._delivery = check_stream_sink(sink, delivery)
        self._sink = sink.apart() if isinstance(sink, SqlTable) else sink
        self._owner = owner
        self._on_done, self._on_refused, self._on_room = on_done, on_refused, on_room
        self._sinks = SinkSet()
        self._sinks.bind(label_of(sink), self._sink, delivery=self._delivery)
        self._kernel: BatchKernel[_Entry] = BatchKernel(
            max_count=self._delivery.max_count,
            max_bytes=self._delivery.max_bytes,
            max_seconds=self._delivery.max_seconds,
        )
        self._ready: deque[list[_Entry]] = deque()
        self._wake = asyncio.Event()
        self._hurries = False
        self._nobody = self._run_of_batch()
        self._persistently = retry(on=_may_pass, backoff=_for_ever(self._delivery.retry), on_retry=self._say)(
            self._deliver
        )
        self.waiting_count = 0
        self.waiting_bytes = 0
        self.written_count = 0

    async def open(self) -> None:
        """Get ready; raises what keeps the sink's own database from being opened."""
        await self._sinks.open()
        if is_collecting(self._sink):
            await (await self._sinks.collectors.make(self._sink, self._nobody)).discard()

    async def close(self) -> None:
        """Close what the sink has open; what is not written stays with whoever has its receipt."""
        await self._sinks.close(timeout=0.0)

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        delivery = self._delivery
        return self.waiting_count >= delivery.max_queue or self.waiting_bytes >= delivery.max_queue_bytes

    def check(self, item: object) -> None:
        """Refuse an item that the sink can never write, as far as it can be seen.

        Raises:
            InvalidItemError: it has no columns, or lacks its key.
            UnroutedItemError: a TypedSink has no method for it.
        """
        sink = self._sink
        if isinstance(sink, SqlTable):
            sink.shape(item, None, self._nobody)
        elif isinstance(sink, TypedSink):
            sink.method_for(item)

    def put(self, item: object, receipt: Receipt) -> None:
        """Take an item; it goes with the next batch. A dict may be changed afterwards."""
        size = weigh(item)
        self.waiting_count += 1
        self.waiting_bytes += size
        kernel = self._kernel
        alone = kernel.due_at is None
        kept = item.copy() if type(item) is dict else item  # pyright: ignore[reportUnknownVariableType]  # any dict
        entry = _Entry(kept, receipt, size)
        batches = kernel.add(entry, now=asyncio.get_running_loop().time(), size=size)
        self._ready.extend(kernel.cut() if self.is_full and not batches else batches)  # nothing more would come
        if batches or alone or self._hurries or self.is_full:
            self._wake.set()

    def hurry(self) -> None:
        """From now on wait for no fuller batch: the end is near."""
        self._hurries = True
        self._wake.set()

    async def run(self) -> None:
        """Write, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            self._ready.extend(self._kernel.cut() if self._hurries else self._kernel.poll(loop.time()))
            while self._ready:
                batch = self._ready[0]
                await self._write(batch)
                self._ready.popleft()
                self._on_room()
            due_at = self._kernel.due_at
            timer = None if due_at is None else loop.call_at(due_at, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    async def _write(self, batch: Sequence[_Entry]) -> None:
        """Write a batch; if the sink can never write it, in halves, so that one bad item takes no others along."""
        try:
            await self._persistently(batch, self._run_of_batch())
        except (InvalidItemError, TableSchemaError, SinkWriteError) as error:
            if len(batch) > 1:
                half = len(batch) // 2
                await self._write(batch[:half])
                await self._write(batch[half:])
                return
            [one] = batch
            await self._on_refused(one.item, one.receipt, _refusal(error) or error)
        else:
            self.written_count += len(batch)
        self.waiting_count -= len(batch)
        self.waiting_bytes -= sum(entry.size for entry in batch)
        self._on_done([entry.receipt for entry in batch])

    async def _deliver(self, batch: Sequence[_Entry], run: SinkRun) -> None:
        session = self._sinks.session(run, default=self._sink)
        try:
            for entry in batch:
                await session.emit(entry.item)
            await session.finish()
        except BaseException:
            await session.discard()
            raise

    def _run_of_batch(self) -> SinkRun:
        """Return what stands for a run: the same however often its batch is tried."""
        return SinkRun(
            run_id=new_id(),
            job_id=self._owner,
            fence=1,
            attempt=1,
            scheduled_at=None,
            interval_start=None,
            interval_end=None,
        )

    def _say(self, failed: RetryAttempt) -> None:
        label = label_of(self._sink)
        log.warning("sink %s failed, next attempt in %.1f s: %r", label, failed.delay, failed.exception)


def check_stream_sink(sink: object, delivery: Delivery | None = None) -> Delivery:
    """Return the terms for a sink of a stream.

    Raises:
        InvalidArgumentError: it is no sink, or needs a run of a job with its interval, its store or its spool.
    """
    check_sink(sink)
    terms = delivery_of(sink, delivery)
    expected, hint = "", "the rows of a stage belong to no run of a job"
    if isinstance(sink, SqlTable):
        if sink.own is None:
            expected, hint = "SqlTable(..., database=FILE)", "a stage writes by itself, and not with a run of a job"
        elif sink.needs_run:
            expected = "a SqlTable with key= or without any of replace= and item_key="
    elif isinstance(sink, FileSink):
        if not sink.has_file_for_each_run:
            expected, hint = "a path with {run} and without {start} and {end}", "each batch is a file of its own"
    elif isinstance(sink, TransactionalSink) or (isinstance(sink, CollectingSink) and getattr(sink, "replaces", False)):
        expected = "a SqlTable, a file, a TypedSink, a ResultSink or an async function"
    if expected:
        raise InvalidArgumentError(argument="sink", value=sink, expected=expected, hint=hint)
    if terms.on_failure == "spool":
        raise InvalidArgumentError(
            argument="delivery",
            value=terms.on_failure,
            expected="on_failure='fail'",
            hint="what a stage could not write is tried for ever, and its messages are kept by the stage before",
        )
    return terms


def _refusal(error: Exception) -> Exception | None:
    """Return what says that something can never be written, if the error does."""
    for one in (error, error.__cause__):
        if isinstance(one, InvalidItemError | TableSchemaError):
            return one
    return None


def _may_pass(error: Exception) -> bool:
    return _refusal(error) is None


def _for_ever(backoff: Backoff) -> Backoff:
    return replace(backoff, max_tries=None, deadline=None) if backoff.maximum else Backoff.constant(1.0)
