"""The call of a handler that asks for something: admission, context, time limit, resources, and the sinks it fills."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Final

from mainspring.base import from_us
from mainspring.errors import JobTimeoutError
from mainspring.jobs.engine._attempt_limit import AttemptLimit
from mainspring.jobs.engine._capture import LogTail
from mainspring.jobs.engine._configs import RunConfig
from mainspring.jobs.engine._context import JobContext
from mainspring.jobs.engine._handler import THREAD_LEFT
from mainspring.jobs.engine._outcome import encode_value
from mainspring.jobs.engine._work import Work
from mainspring.jobs.stores import RunKind, RunRecord
from mainspring.sinks import SinkRun, SinkSession, TransactionalWrite

Outcome = tuple[bytes | None, tuple[TransactionalWrite, ...], int]
"""What a handler leaves: its value as JSON, the rows that travel with the end of its run, how many items it emitted."""


class HandlerCall:
    """One call of a job's handler, for one attempt of one run.

    Args:
        cancel_grace: seconds that the handler may take to stop once its time is over.
        on_stuck: told why the handler should have stopped, when it has not by then.

    Attributes:
        context: what the handler is given as `ctx`.
    """

    __slots__ = ("_cancel_grace", "_on_stuck", "_record", "_work", "context")

    def __init__(
        self,
        work: Work,
        record: RunRecord,
        config: RunConfig,
        tail: LogTail,
        *,
        cancel_grace: float,
        on_stuck: Callable[[str], None],
    ) -> None:
        self._work = work
        self._record = record
        self._cancel_grace = cancel_grace
        self._on_stuck = on_stuck
        self.context = self._make_context(config, tail)

    async def outcome(self) -> Outcome:
        """Call the handler once it is admitted; what it emitted is with its sinks then, or with the outcome."""
        definition = self._work.definition
        async with nullcontext() if definition.limiter is None else definition.limiter:
            return await self._admitted()

    async def _admitted(self) -> Outcome:
        definition, ctx = self._work.definition, self.context
        session: SinkSession | None = None
        try:
            value = await self._value()
            session = ctx.session if self._fills_sinks_by_nothing() else ctx.used_session
            if session is None:
                return encode_value(definition.job_id, value), (), 0
            writes = await session.finish()
            return encode_value(definition.job_id, value), writes, sum(session.counts.values())
        except BaseException:
            if ctx.used_session is not None:
                await ctx.used_session.discard()
            raise

    def _fills_sinks_by_nothing(self) -> bool:
        """Tell whether sinks take part though nothing was emitted: they may have an interval's old rows to delete."""
        has_interval = self._record.interval_start is not None
        return self._work.definition.sink is not None or (has_interval and self._work.sinks.replaces)

    async def _value(self) -> object:
        """Call the handler inside its resources and its time limit."""
        job_id, timeout = self._work.definition.job_id, self._work.definition.timeout
        if timeout is None:
            return await self._value_with_resources(None)
        now, grace = self._work.store.now, self._cancel_grace  # its time counts from when a limiter let it in
        limit = AttemptLimit(timeout, self.context, now=now, cancel_grace=grace, on_stuck=self._on_stuck)
        try:
            async with limit:
                value = await self._value_with_resources(limit)
        except TimeoutError as error:
            if limit.expired:
                raise self._with_thread(JobTimeoutError(job_id=job_id, timeout=timeout)) from error
            raise
        except asyncio.CancelledError as error:
            if limit.expired:  # and others have cancelled the task as well: the engine, or who was not heeded
                raise error from self._with_thread(JobTimeoutError(job_id=job_id, timeout=timeout))
            raise
        if limit.expired:  # the handler swallowed the cancellation
            raise JobTimeoutError(job_id=job_id, timeout=timeout)
        return value

    def _with_thread(self, error: JobTimeoutError) -> JobTimeoutError:
        if self.context.thread_left is not None:
            error.add_note(THREAD_LEFT)
        return error

    async def _value_with_resources(self, limit: AttemptLimit | None) -> object:
        work, ctx = self._work, self.context
        arguments: dict[str, object] = {name: SUPPLY[name](ctx) for name in work.supplied}
        if work.on_loop:
            return await work.definition.function(**arguments)
        if not work.binding.parameters:
            return await self._invoke(arguments, limit)
        async with work.binding.enter(ctx) as resources:
            arguments.update(resources)
            return await self._invoke(arguments, limit)

    async def _invoke(self, arguments: Mapping[str, object], limit: AttemptLimit | None) -> object:
        return await self._work.places.call(
            self._work.definition,
            arguments,
            self.context,
            limit=limit,
            cancel_grace=self._cancel_grace,
            is_backfill=self._record.kind is RunKind.BACKFILL,
        )

    def _make_context(self, config: RunConfig, tail: LogTail) -> JobContext:
        record, definition = self._record, self._work.definition
        return JobContext(
            app=self._work.app,
            run_id=record.run_id,
            job_id=record.job_id,
            scheduled_at=from_us(record.created_at if record.scheduled_at is None else record.scheduled_at),
            data_interval=record.interval(definition.timezone),
            attempt=record.attempt,
            config=config.values,
            instance=config.instance,
            takes_instance=self._work.takes_instance,
            fence=record.fence,
            deadline_at=None,
            open_session=self._open_session,
            loop=asyncio.get_running_loop(),
            tail=tail,
        )

    def _open_session(self) -> SinkSession:
        record = self._record
        run = SinkRun(
            run_id=record.run_id,
            job_id=record.job_id,
            fence=record.fence,
            attempt=record.attempt,
            scheduled_at=from_us(record.scheduled_at),
            interval_start=from_us(record.interval_start),
            interval_end=from_us(record.interval_end),
            was=self._work.was,
            repeats=True,
        )
        definition = self._work.definition
        return self._work.sinks.session(run, default=definition.sink, deterministic=definition.deterministic)


SUPPLY: Final[Mapping[str, Callable[[JobContext], object]]] = {
    "ctx": lambda ctx: ctx,
    "scheduled_time": lambda ctx: ctx.scheduled_at,
    "data_interval": lambda ctx: ctx.data_interval,
    "config": lambda ctx: ctx.instance if ctx.takes_instance else ctx.config,
}
