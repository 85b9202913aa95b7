"""Items of a stream without end, in batches to one sink: whoever gave an item hears when it is written.

For the stages of a dataflow: what an item came of is kept by the stage before until then. So nothing is spooled here, a
batch that fails is tried for ever, and one whose process died comes again.
"""

import asyncio
import copy
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, NamedTuple, TypeVar  # Any: items have any type

from mainspring.base import Backoff, BatchKernel, decode_msgpack, encode_msgpack, new_id
from mainspring.errors import EncodeError, InvalidItemError, MainspringError, UnroutedItemError
from mainspring.resilience import RetryAttempt, retry
from mainspring.sinks._columns import plain_row
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._packing import weigh
from mainspring.sinks._set import SinkSet
from mainspring.sinks._sink import TypedSink, is_collecting, label_of
from mainspring.sinks._sql_table import SqlTable
from mainspring.sinks._stream_sink import check_stream_sink
from mainspring.sinks._table_names import is_plain
from mainspring.sinks._transaction import SinkRun

log = logging.getLogger(__name__)

Receipt = TypeVar("Receipt")

QUIET_SECONDS: Final = 0.02  # without an item, after which it is asked whether any comes before the batch is written
MAX_SEEN: Final = 1_000  # sets of columns that are remembered as good
REFUSALS: Final = (
    InvalidItemError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    OverflowError,
    UnicodeError,
)
"""What says of an item that it can never be written, whatever is done to the sink."""


class _Entry(NamedTuple):
    item: Any  # packed, for a table: what the callback does to it afterwards changes nothing
    receipt: Any
    size: int


class _Refused(NamedTuple):
    item: Any
    receipt: Any
    error: Exception


class SinkStream(Generic[Receipt]):
    """The way to one sink; `run` it in a task, `put` never waits.

    A row for a table is packed when it is put; of what is for a file a deep copy is kept, and a shallow one of a dict
    for any other sink.

    Args:
        owner: what files and `WriteIntent` call the job.
        on_done: called with the receipts of items that are written, or were refused.
        on_refused: awaited with the item, its receipt and the error, when the sink can never write the item.
        on_room: called after each batch.
        nothing_comes: asked when no item has come for a moment: whether none will before the batch is written.

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
        nothing_comes: Callable[[], bool],
    ) -> None:
        self._delivery = check_stream_sink(sink, delivery)
        self._sink = sink.apart() if isinstance(sink, SqlTable) else sink
        self._owner = owner
        self._on_done, self._on_refused, self._on_room = on_done, on_refused, on_room
        self._nothing_comes = nothing_comes
        self._sinks = SinkSet()
        once = replace(self._delivery, retry=Backoff.constant(0.0, max_tries=1))  # it is tried again from here
        self._sinks.bind(label_of(sink), self._sink, delivery=once)
        self._kernel: BatchKernel[_Entry] = BatchKernel(
            max_count=self._delivery.max_count,
            max_bytes=self._delivery.max_bytes,
            max_seconds=self._delivery.max_seconds,
        )
        self._ready: deque[list[_Entry]] = deque()
        self._refused: deque[_Refused] = deque()
        self._wake = asyncio.Event()
        self._put_count = 0
        self._seen_columns: set[tuple[object, ...]] = set()
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

    def put(self, item: object, receipt: Receipt) -> None:
        """Take an item; it goes with the next batch, or is refused when the sink can never write it."""
        self.waiting_count += 1
        self._put_count += 1
        try:
            kept, size = self._keep(item)
        except (InvalidItemError, UnroutedItemError) as error:
            self._refused.append(_Refused(item, receipt, error))
            self._wake.set()
            return
        self.waiting_bytes += size
        kernel = self._kernel
        alone = kernel.due_at is None
        batches = kernel.add(_Entry(kept, receipt, size), now=asyncio.get_running_loop().time(), size=size)
        self._ready.extend(kernel.cut() if self.is_full and not batches else batches)  # nothing more would come
        if batches or alone or self.is_full:
            self._wake.set()

    async def run(self) -> None:
        """Write, until cancelled."""
        loop = asyncio.get_running_loop()
        seen = 0
        while True:
            self._wake.clear()
            self._ready.extend(self._kernel.poll(loop.time()))
            if self._put_count == seen and self._nothing_comes():
                self._ready.extend(self._kernel.cut())
            seen = self._put_count
            await self._write_ready()
            due_at = self._kernel.due_at
            timer = None if due_at is None else loop.call_at(min(due_at, loop.time() + QUIET_SECONDS), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    async def _write_ready(self) -> None:
        while self._refused or self._ready:
            while self._refused:
                await self._refuse(self._refused.popleft())
            if self._ready:
                await self._write(self._ready[0])
                self._ready.popleft()
            self._on_room()

    def _keep(self, item: Any) -> tuple[Any, int]:
        """Return what is kept of an item until it is written, and about how many bytes that takes.

        Raises:
            InvalidItemError: it has no columns, or lacks its key.
            UnroutedItemError: a TypedSink has no method for it.
        """
        sink = self._sink
        if isinstance(sink, SqlTable):
            row = sink.shape(item, None, self._nobody)
            self._check_columns(row)
            try:
                packed = encode_msgpack(row)
            except EncodeError:
                packed = _packed_plainly(row, sink.label)
            return packed, len(packed)
        if isinstance(sink, TypedSink):
            sink.method_for(item)
        size = weigh(item)
        if is_collecting(sink):
            return copy.deepcopy(item), size
        return _copy_of(item), size

    def _check_columns(self, row: Mapping[Any, Any]) -> None:
        """Refuse names that no column can have: what the table is lacking for may be had later, they never."""
        names: tuple[object, ...] = tuple(row)
        if names in self._seen_columns:
            return
        bad = next((name for name in names if not (isinstance(name, str) and is_plain(name))), None)
        if bad is not None or not names:
            reason = f"{bad!r} cannot be a column" if names else "it has no columns"
            raise InvalidItemError(sink=label_of(self._sink), reason=reason, hint="letters, digits and _, at most 63")
        if len(self._seen_columns) >= MAX_SEEN:
            self._seen_columns.clear()
        self._seen_columns.add(names)

    async def _write(self, batch: Sequence[_Entry]) -> None:
        """Write a batch; if the sink can never write it, in halves, so that one bad item takes no others along."""
        try:
            await self._persistently(batch, self._run_of_batch())
        except (*REFUSALS, MainspringError) as error:  # what may pass was tried until it did
            if len(batch) > 1:
                half = len(batch) // 2
                await self._write(batch[:half])
                await self._write(batch[half:])
                return
            [one] = batch
            self.waiting_bytes -= one.size
            await self._refuse(_Refused(self._item_of(one), one.receipt, _refusal(error) or error))
            return
        self.written_count += len(batch)
        self.waiting_count -= len(batch)
        self.waiting_bytes -= sum(entry.size for entry in batch)
        self._on_done([entry.receipt for entry in batch])

    async def _refuse(self, one: _Refused) -> None:
        await self._on_refused(one.item, one.receipt, one.error)
        self.waiting_count -= 1
        self._on_done([one.receipt])

    async def _deliver(self, batch: Sequence[_Entry], run: SinkRun) -> None:
        session = self._sinks.session(run, default=self._sink)
        try:
            for entry in batch:
                await session.emit(self._item_of(entry))
            await session.finish()
        except BaseException:
            await session.discard()
            raise

    def _item_of(self, entry: _Entry) -> Any:
        return decode_msgpack(entry.item) if isinstance(self._sink, SqlTable) else entry.item

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


def _copy_of(item: Any) -> Any:
    return item.copy() if type(item) is dict else item  # pyright: ignore[reportUnknownVariableType]  # of any keys


def _packed_plainly(row: Mapping[str, Any], label: str) -> bytes:
    """Pack a row whose cells have no form of their own, such as subclasses of str."""
    try:
        return encode_msgpack(plain_row(row, sink=label))
    except EncodeError as error:
        raise InvalidItemError(sink=label, reason=str(error)) from error


def _refusal(error: Exception) -> Exception | None:
    """Return what says that something can never be written, if the error does."""
    return next((one for one in (error, error.__cause__) if isinstance(one, REFUSALS)), None)


def _may_pass(error: Exception) -> bool:
    return _refusal(error) is None


def _for_ever(backoff: Backoff) -> Backoff:
    return replace(backoff, max_tries=None, deadline=None) if backoff.maximum else Backoff.constant(1.0)
