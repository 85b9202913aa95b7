"""One claimed run on this node: resources, handler, sinks, and the record of how it ended.

The handler runs in the execution's own task. Whoever wants it to stop sets a reason and cancels the task; a
cancellation without a reason comes from the loop that is shutting down, and hands the run back.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from mainspring.base import Backoff, decode_json, encode_json, from_us
from mainspring.errors import (
    JobTimeoutError,
    LeaseLostError,
    MainspringError,
    StaleFenceError,
    StorageError,
)
from mainspring.jobs.engine._context import JobContext
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._handler import call_handler
from mainspring.jobs.model import DataInterval, RunState
from mainspring.jobs.stores import Finish, JobStore, RunRecord
from mainspring.runtime import ResourceBinding
from mainspring.sinks import SinkRun, SinkSession, SinkSet, TransactionalWrite

if TYPE_CHECKING:
    from mainspring.jobs.engine._app import JobApp

log = logging.getLogger(__name__)

MESSAGE_LIMIT: Final = 4_096  # characters of an error's message that the record keeps
DETAIL_LIMIT: Final = 16_384  # characters of a traceback that the record keeps, its end
VALUE_LIMIT: Final = 65_536  # bytes of a handler's value as JSON that the record keeps

_STORE_TROUBLE = Backoff(0.1, maximum=5.0, jitter="full", max_tries=8)


class StopReason(Enum):
    """Why a node cancels a handler."""

    CANCEL = "cancelled on request"
    LEASE_LOST = "the node's lease ended"
    DRAIN = "the node is shutting down"


@dataclass(frozen=True, slots=True)
class Work:
    """A job with all that its runs on this node share."""

    definition: JobDefinition
    binding: ResourceBinding
    supplied: tuple[str, ...]  # the parameters that the engine fills, in the handler's signature
    app: "JobApp"
    store: JobStore
    sinks: SinkSet


class Execution:
    """One attempt of one run. `run()` never raises what the handler raised: it ends in the record."""

    __slots__ = ("_context", "_on_end", "_stop", "_work", "record", "task")

    def __init__(self, work: Work, record: RunRecord, on_end: "Callable[[Execution, RunRecord | None], None]") -> None:
        self.record = record
        self.task: asyncio.Task[None] | None = None
        self._work = work
        self._on_end = on_end
        self._stop: StopReason | None = None
        self._context: JobContext | None = None

    def stop(self, reason: StopReason) -> None:
        """Ask the handler to stop; the first reason counts."""
        if self._stop is None and self.task is not None:
            self._stop = reason
            if self._context is not None:
                self._context.mark_cancelled()
            self.task.cancel()

    async def run(self) -> None:
        """Run the attempt and record its end."""
        ended: RunRecord | None = None
        try:
            finish = await self._attempt()
            if finish is not None:
                ended = await self._record(finish)
        finally:
            self._on_end(self, ended)

    async def _attempt(self) -> Finish | None:
        try:
            value, writes, count = await self._handle()
        except asyncio.CancelledError:
            if self._stop is None:
                self._hand_back()
                raise
            _forget_cancellation()
            return self._stopped()
        except Exception as error:  # noqa: BLE001  # supervisor: whatever a handler raises ends in its record
            return None if self._stop is StopReason.LEASE_LOST else self._failed(error)
        if self._stop is not None:
            _forget_cancellation()  # the handler swallowed it and came to its end: its work counts
        return self._finish(RunState.SUCCEEDED, value=value, writes=writes, item_count=count)

    async def _handle(self) -> tuple[bytes | None, tuple[TransactionalWrite, ...], int]:
        work, definition = self._work, self._work.definition
        ctx = self._context = self._make_context()
        if definition.limiter is not None:
            await definition.limiter.acquire()
        session: SinkSession | None = None
        try:
            value = await self._call(ctx)
            # A job's own sink takes part though nothing was emitted: it may have an interval's old rows to delete.
            session = ctx.used_session if definition.sink is None else ctx.session
            if session is None:
                return _encode_value(work, value), (), 0
            writes = await session.finish()
            return _encode_value(work, value), writes, sum(session.counts.values())
        except BaseException:
            if ctx.used_session is not None:
                await ctx.used_session.discard()
            raise

    async def _call(self, ctx: JobContext) -> object:
        """Call the handler inside its resources and its time limit."""
        definition = self._work.definition
        scope = nullcontext() if definition.timeout is None else asyncio.timeout(definition.timeout)
        try:
            async with scope:
                value = await self._call_with_resources(ctx)
        except TimeoutError as error:
            if isinstance(scope, asyncio.Timeout) and scope.expired():
                ctx.mark_cancelled()
                raise JobTimeoutError(job_id=definition.job_id, timeout=definition.timeout or 0.0) from error
            raise
        if isinstance(scope, asyncio.Timeout) and scope.expired():  # the handler swallowed the cancellation
            raise JobTimeoutError(job_id=definition.job_id, timeout=definition.timeout or 0.0)
        return value

    async def _call_with_resources(self, ctx: JobContext) -> object:
        work = self._work
        arguments: dict[str, object] = {name: _SUPPLY[name](ctx) for name in work.supplied}
        if not work.binding.parameters:
            return await self._invoke(arguments, ctx)
        async with work.binding.enter(ctx) as resources:
            arguments.update(resources)
            return await self._invoke(arguments, ctx)

    async def _invoke(self, arguments: Mapping[str, object], ctx: JobContext) -> object:
        work = self._work
        if work.definition.executor == "loop":
            return await call_handler(work.definition, arguments, ctx, threads=None, workers=None)
        workers = await work.app.worker_pool() if work.definition.executor == "process" else None
        return await call_handler(work.definition, arguments, ctx, threads=work.app.thread_pool(), workers=workers)

    def _make_context(self) -> JobContext:
        record, definition = self.record, self._work.definition
        interval = interval_of(record, definition.timezone)
        scheduled_at = from_us(record.created_at if record.scheduled_at is None else record.scheduled_at)
        config = dict(definition.config)
        if record.config is not None:
            config.update(decode_json(record.config, dict[str, object]))
        deadline = None
        if definition.timeout is not None:
            deadline = from_us(self._work.store.now() + int(definition.timeout * 1e6))
        return JobContext(
            app=self._work.app,
            run_id=record.run_id,
            job_id=record.job_id,
            scheduled_at=scheduled_at,
            data_interval=interval,
            attempt=record.attempt,
            config=config,
            fence=record.fence,
            deadline_at=deadline,
            open_session=self._open_session,
            loop=asyncio.get_running_loop(),
        )

    def _open_session(self) -> SinkSession:
        record = self.record
        run = SinkRun(
            run_id=record.run_id,
            job_id=record.job_id,
            fence=record.fence,
            attempt=record.attempt,
            scheduled_at=None if record.scheduled_at is None else from_us(record.scheduled_at),
            interval_start=None if record.interval_start is None else from_us(record.interval_start),
            interval_end=None if record.interval_end is None else from_us(record.interval_end),
        )
        return self._work.sinks.session(run, default=self._work.definition.sink)

    def _finish(
        self,
        state: RunState,
        *,
        value: bytes | None = None,
        writes: tuple[TransactionalWrite, ...] = (),
        item_count: int = 0,
    ) -> Finish:
        record = self.record
        return Finish(
            run_id=record.run_id,
            epoch=record.epoch or 0,
            fence=record.fence,
            attempt=record.attempt,
            state=state,
            finished_at=self._work.store.now(),
            value=value,
            item_count=item_count,
            writes=writes,
        )

    def _failed(self, error: BaseException) -> Finish:
        """Return the end of a failed attempt: the next one has a time, or the run has failed for good."""
        retry = self._work.definition.retry
        finish = replace(
            self._finish(RunState.FAILED),
            error_type=type(error).__qualname__[:128],
            error_message=_message_of(error),
            error_detail="".join(traceback.format_exception(error))[-DETAIL_LIMIT:],
        )
        if retry is None or self.record.attempt >= (retry.max_tries or 1):
            return finish
        pause = max(retry.delay(self.record.attempt), _retry_after(error))
        return replace(finish, state=RunState.RETRYING, available_at=finish.finished_at + int(pause * 1e6))

    def _stopped(self) -> Finish | None:
        if self._stop is StopReason.LEASE_LOST:
            return None
        if self._stop is StopReason.DRAIN:
            return self._handed_back()
        return replace(self._finish(RunState.CANCELLED), error_message="cancelled on request")

    def _handed_back(self) -> Finish:
        return replace(self._finish(RunState.AVAILABLE), available_at=self.record.available_at)

    def _hand_back(self) -> None:
        """Give the run back without waiting: this task is being cancelled by the loop's own shutdown."""
        future = asyncio.ensure_future(self._work.store.finish(self._handed_back()))
        future.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    async def _record(self, finish: Finish) -> RunRecord | None:
        """Write the end; a failed write of the sinks' rows makes it a failed attempt."""
        delays = iter(_STORE_TROUBLE)
        while True:
            try:
                return await self._work.store.finish(finish)
            except (StaleFenceError, LeaseLostError) as error:
                log.warning("run %s of %s: %s", finish.run_id, self.record.job_id, error)
                return None
            except StorageError as error:
                delay = next(delays, None)
                if delay is None:
                    log.error("run %s of %s cannot be recorded: %s", finish.run_id, self.record.job_id, error)
                    return None
                await asyncio.sleep(delay)
            except Exception as error:  # supervisor: what a sink's write raised ends in the record
                if finish.state is not RunState.SUCCEEDED:
                    log.exception("run %s of %s cannot be recorded", finish.run_id, self.record.job_id)
                    return None
                finish = self._failed(error)


def interval_of(record: RunRecord, zone: str) -> DataInterval | None:
    """Return the record's data interval in the job's zone."""
    if record.interval_start is None or record.interval_end is None:
        return None
    return DataInterval(from_us(record.interval_start), from_us(record.interval_end), zone)


_SUPPLY: Final[Mapping[str, Callable[[JobContext], object]]] = {
    "ctx": lambda ctx: ctx,
    "scheduled_time": lambda ctx: ctx.scheduled_at,
    "data_interval": lambda ctx: ctx.data_interval,
    "config": lambda ctx: ctx.config,
}


def _forget_cancellation() -> None:
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _retry_after(error: BaseException) -> float:
    """Return the seconds that the other side asked for, 0 when it did not."""
    asked = getattr(error, "retry_after", None)
    return float(asked) if isinstance(asked, int | float) and asked > 0 else 0.0


def _message_of(error: BaseException) -> str:
    notes = getattr(error, "__notes__", ())
    text = str(error) or type(error).__qualname__
    return "\n".join((text, *(str(note) for note in notes)))[:MESSAGE_LIMIT]


def _encode_value(work: Work, value: object) -> bytes | None:
    """Return the handler's value as JSON; one that is not JSON or too large is left out, with a warning."""
    if value is None:
        return None
    try:
        data = encode_json(value)
    except (MainspringError, TypeError, ValueError) as error:
        log.warning("job %s returned a %s, which is not kept: %s", work.definition.job_id, type(value).__name__, error)
        return None
    if len(data) > VALUE_LIMIT:
        log.warning("job %s returned %d bytes, more than are kept", work.definition.job_id, len(data))
        return None
    return data
