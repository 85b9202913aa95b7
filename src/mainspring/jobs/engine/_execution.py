"""One claimed run on this node: resources, handler, sinks, and the record of how it ended.

The handler runs in the execution's own task. Whoever wants it to stop sets a reason and cancels the task; a
cancellation without a reason comes from the loop that is shutting down, and hands the run back.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

from msgspec.structs import replace

from mainspring.base import from_us
from mainspring.errors import (
    JobTimeoutError,
)
from mainspring.jobs.engine._capture import LogTail
from mainspring.jobs.engine._configs import JobConfigs, RunConfig
from mainspring.jobs.engine._context import JobContext
from mainspring.jobs.engine._definition import HandlerForm, JobDefinition
from mainspring.jobs.engine._handler import THREAD_LEFT
from mainspring.jobs.engine._outcome import describe_error, encode_value, explain, sink_failures
from mainspring.jobs.engine._places import Places
from mainspring.jobs.model import DataInterval, RunState
from mainspring.jobs.stores import EventKind, Finish, JobStore, Progress, RunKind, RunRecord, happened
from mainspring.resilience import retry_after
from mainspring.resilience import timeout as time_limit
from mainspring.runtime import ResourceBinding
from mainspring.sinks import SinkRun, SinkSession, SinkSet, TransactionalWrite
from mainspring.storage import reply_of
from mainspring.tools import is_secret, secret_texts, without_secrets

if TYPE_CHECKING:
    from mainspring.jobs.engine._app import JobApp

log = logging.getLogger(__name__)

_LONGEST_RETRY_AFTER: Final = 86_400.0  # seconds that the other side can put a retry off
Said = tuple[int, Progress | None]


class StopReason(Enum):
    """Why a node cancels a handler."""

    CANCEL = "cancelled on request"
    LEASE_LOST = "the node's lease ended"
    LEASE_ENDING = "the node's lease could not be renewed"
    DRAIN = "the node is shutting down"

    @property
    def hands_back(self) -> bool:
        """The run still belongs to this node, which gives it to the next claim."""
        return self in (StopReason.DRAIN, StopReason.LEASE_ENDING)


@dataclass(frozen=True, slots=True)
class Work:
    """A job with all that its runs on this node share."""

    definition: JobDefinition
    binding: ResourceBinding
    supplied: tuple[str, ...]  # the parameters that the engine fills, in the handler's signature
    app: "JobApp"
    store: JobStore
    sinks: SinkSet
    configs: JobConfigs
    places: Places
    takes_instance: bool = False  # of its config's schema, where other handlers take the dict
    on_loop: bool = field(init=False)  # a coroutine function without resources
    wants_nothing: bool = field(init=False)  # such a one that is called without anything: it needs no context

    def __post_init__(self) -> None:
        """Find out once how the handler is called: each run asks."""
        definition = self.definition
        on_loop = definition.form is HandlerForm.COROUTINE and definition.executor == "loop"
        on_loop = on_loop and not self.binding.parameters
        is_bare = (definition.timeout, definition.limiter, definition.sink, definition.schema) == (None,) * 4
        object.__setattr__(self, "on_loop", on_loop)
        object.__setattr__(self, "wants_nothing", on_loop and is_bare and not self.supplied)


class Execution:
    """One attempt of one run. `run()` never raises what the handler raised: it is in the end that it returns."""

    __slots__ = ("_cancel_grace", "_context", "_phase", "_secrets", "_stop", "_tail", "_work", "record", "task")

    def __init__(self, work: Work, record: RunRecord, *, cancel_grace: float) -> None:
        self.record = record
        self.task: asyncio.Task[Finish | None] | asyncio.Task[RunRecord | None] | None = None
        self._work = work
        own = work.definition.cancel_grace
        self._cancel_grace = cancel_grace if own is None else own
        self._phase: Literal["new", "handling", "recording"] = "new"
        self._stop: StopReason | None = None
        self._context: JobContext | None = None
        self._secrets: set[str] | None = None
        self._tail = LogTail()

    @property
    def said(self) -> Said:
        """What the handler has said so far: how many lines, and how far it is. Nothing before it has begun."""
        if self._context is None:
            return (self._tail.count if self._is_bare else 0), None
        return self._tail.count, self._context.last_progress

    def lines(self) -> bytes | None:
        """Return the lines so far, as the store keeps them."""
        self._secrets = None  # there may be more of them since
        return self._tail.encoded(self._hide)

    @property
    def name(self) -> str:
        """The name of its task."""
        return f"job-{self.record.job_id}"

    @property
    def _is_bare(self) -> bool:
        """The handler is called without a context."""
        return self._work.wants_nothing and not self.record.config_version

    def stop(self, reason: StopReason) -> bool:
        """Ask the handler to stop; the first reason counts, and none once the handler has ended.

        Tells whether this was the first.
        """
        if self._stop is not None or self._phase == "recording":
            return False
        self._stop = reason
        if self._context is not None:
            self._context.mark_cancelled()
        if self._phase == "handling" and self.task is not None:  # a new task would end without its first line
            self.task.cancel()
            asyncio.get_running_loop().call_later(self._cancel_grace, self._say_stuck, reason.value)
        return True

    @property
    def store(self) -> JobStore:
        """Where its end is recorded."""
        return self._work.store

    def stored(self, seconds: float) -> None:
        """Count how long the store took for the end."""
        self._work.app.metrics.stored("finish", seconds)

    async def run(self) -> Finish | None:
        """Run the attempt and return its end, to be recorded; None when the run belongs to another claim."""
        self._phase = "handling"
        CURRENT.set(self)  # in the context of its own task, which ends with it
        self._tail.begin()
        finish = self._stopped() if self._stop is not None else await self._attempt()
        self._phase = "recording"
        return finish

    async def _attempt(self) -> Finish | None:
        try:
            value, writes, count = await self._handle()
        except asyncio.CancelledError as error:
            if self._stop is not None:
                _forget_cancellation()
                return self._stopped()
            if _is_cancelled():
                self._hand_back()
                raise
            error.args = ("the handler awaited something that was cancelled",)
            return self.failed(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # supervisor: what a handler raises ends in its record
            if self._stop is None:
                return self.failed(error)
            _forget_cancellation()
            return self._stopped(error)
        if self._stop is not None:
            _forget_cancellation()  # the handler swallowed it and came to its end: its work counts
        finish = self._finish(RunState.SUCCEEDED, value=value, writes=writes, item_count=count)
        return self._with_note(finish)

    def _with_note(self, finish: Finish) -> Finish:
        """Have the record of a success say what of it waits on disk."""
        session = None if self._context is None else self._context.used_session
        if session is None or not session.spooled:
            return finish
        parts = (f"{count} of sink {sink!r}" for sink, count in session.spooled.items())
        events = tuple(
            happened(EventKind.SINK_FAILED, sink=sink, spooled=count) for sink, count in session.spooled.items()
        )
        return replace(finish, error_message=f"items are spooled: {', '.join(parts)}", events=events)

    def _say_stuck(self, why: str) -> None:
        if self._phase == "handling":
            log.warning("run %s of %s does not stop: %s", self.record.run_id, self.record.job_id, why)

    async def _handle(self) -> tuple[bytes | None, tuple[TransactionalWrite, ...], int]:
        work, definition = self._work, self._work.definition
        if self._is_bare:
            return encode_value(definition.job_id, await definition.function()), (), 0
        config = await work.configs.of_run(definition, self.record)
        ctx = self._context = self._make_context(config)
        async with nullcontext() if definition.limiter is None else definition.limiter:
            return await self._handle_admitted(ctx)

    async def _handle_admitted(self, ctx: JobContext) -> tuple[bytes | None, tuple[TransactionalWrite, ...], int]:
        definition = self._work.definition
        session: SinkSession | None = None
        try:
            value = await self._call(ctx)
            # A job's own sink takes part though nothing was emitted: it may have an interval's old rows to delete.
            session = ctx.used_session if definition.sink is None else ctx.session
            if session is None:
                return encode_value(definition.job_id, value), (), 0
            writes = await session.finish()
            return encode_value(definition.job_id, value), writes, sum(session.counts.values())
        except BaseException:
            if ctx.used_session is not None:
                await ctx.used_session.discard()
            raise

    async def _call(self, ctx: JobContext) -> object:
        """Call the handler inside its resources and its time limit."""
        job_id, timeout = self._work.definition.job_id, self._work.definition.timeout
        if timeout is None:
            return await self._call_with_resources(ctx)
        scope = time_limit(timeout)  # the handler can read it with deadline(), and a retry in it gives up in time
        said = f"it had {timeout:g} s"
        stuck = asyncio.get_running_loop().call_later(timeout + self._cancel_grace, self._say_stuck, said)
        try:
            async with scope:
                value = await self._call_with_resources(ctx)
        except TimeoutError as error:
            if scope.expired:
                raise self._with_thread(JobTimeoutError(job_id=job_id, timeout=timeout)) from error
            raise
        finally:
            stuck.cancel()
        if scope.expired:  # the handler swallowed the cancellation
            raise JobTimeoutError(job_id=job_id, timeout=timeout)
        return value

    def _with_thread(self, error: JobTimeoutError) -> JobTimeoutError:
        if self._context is not None and self._context.thread_left:
            error.add_note(THREAD_LEFT)
        return error

    async def _call_with_resources(self, ctx: JobContext) -> object:
        work = self._work
        arguments: dict[str, object] = {name: SUPPLY[name](ctx) for name in work.supplied}
        if work.on_loop:
            return await work.definition.function(**arguments)
        if not work.binding.parameters:
            return await self._invoke(arguments, ctx)
        async with work.binding.enter(ctx) as resources:
            arguments.update(resources)
            return await self._invoke(arguments, ctx)

    async def _invoke(self, arguments: Mapping[str, object], ctx: JobContext) -> object:
        return await self._work.places.call(
            self._work.definition,
            arguments,
            ctx,
            cancel_grace=self._cancel_grace,
            is_backfill=self.record.kind is RunKind.BACKFILL,
        )

    def _make_context(self, config: RunConfig) -> JobContext:
        record, definition = self.record, self._work.definition
        interval = interval_of(record, definition.timezone)
        scheduled_at = from_us(record.created_at if record.scheduled_at is None else record.scheduled_at)
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
            config=config.values,
            instance=config.instance,
            takes_instance=self._work.takes_instance,
            fence=record.fence,
            deadline_at=deadline,
            open_session=self._open_session,
            loop=asyncio.get_running_loop(),
            tail=self._tail,
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
        definition = self._work.definition
        return self._work.sinks.session(run, default=definition.sink, deterministic=definition.deterministic)

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
            log=self.lines(),
            progress=self.said[1],
        )

    def _hide(self, text: str) -> str:
        """Return a text without the secrets of the run's config, of credentials and of addresses."""
        if self._secrets is None:
            definition, context = self._work.definition, self._context
            config = self._work.configs.plain(definition, self.record) if context is None else context.config
            schema = definition.schema
            self._secrets = secret_texts(config, is_secret if schema is None else schema.hides)
        return without_secrets(text, self._secrets)

    def failed(self, error: BaseException) -> Finish:
        """Return the end of a failed attempt: the next one has a time, or the run has failed for good."""
        retry = self._work.definition.retry
        asked = "data_interval" in self._work.supplied
        explain(error, has_interval=not asked or self.record.interval_start is not None)
        finish = replace(
            self._finish(RunState.FAILED),
            **describe_error(error, self._hide),
            events=sink_failures(error),
        )
        if retry is None or self.record.attempt >= (retry.max_tries or 1):
            return finish
        pause = max(retry.delay(self.record.attempt), min(retry_after(error), _LONGEST_RETRY_AFTER))
        return replace(finish, state=RunState.RETRYING, available_at=finish.finished_at + int(pause * 1e6))

    def _stopped(self, error: BaseException | None = None) -> Finish | None:
        """Return the end of an attempt that was asked to stop, and may have raised `error` on its way out."""
        thread_left = self._context is not None and self._context.thread_left
        if self._stop is StopReason.CANCEL:
            finish = replace(self._finish(RunState.CANCELLED), error_message=StopReason.CANCEL.value)
            if error is not None:
                finish = replace(finish, **describe_error(error, self._hide))
                message = f"{StopReason.CANCEL.value}; the handler then raised: {finish.error_message}"
                return replace(finish, error_message=message)
            return replace(finish, error_message=f"{finish.error_message}; {THREAD_LEFT}") if thread_left else finish
        if thread_left or error is not None:
            problem = THREAD_LEFT if thread_left else self._hide(repr(error))
            log.warning("run %s of %s is left to another claim: %s", self.record.run_id, self.record.job_id, problem)
        return self._handed_back() if self._stop is not None and self._stop.hands_back else None

    def _handed_back(self) -> Finish:
        return replace(self._finish(RunState.AVAILABLE), available_at=self.record.available_at)

    def _hand_back(self) -> None:
        """Give the run back without waiting: this task is being cancelled by the loop's own shutdown."""
        reply_of(self._work.store.finish(self._handed_back())).then(lambda _: None)


CURRENT: ContextVar[Execution | None] = ContextVar("mainspring_current_run", default=None)
"""The execution in whose handler the code runs."""


def interval_of(record: RunRecord, zone: str) -> DataInterval | None:
    """Return the record's data interval in the job's zone."""
    if record.interval_start is None or record.interval_end is None:
        return None
    return DataInterval(from_us(record.interval_start), from_us(record.interval_end), zone)


SUPPLY: Final[Mapping[str, Callable[[JobContext], object]]] = {
    "ctx": lambda ctx: ctx,
    "scheduled_time": lambda ctx: ctx.scheduled_at,
    "data_interval": lambda ctx: ctx.data_interval,
    "config": lambda ctx: ctx.instance if ctx.takes_instance else ctx.config,
}


def _is_cancelled() -> bool:
    """Tell whether somebody cancelled this task, and not only what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _forget_cancellation() -> None:
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
