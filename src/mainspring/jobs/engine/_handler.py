"""Calls a handler in whatever form it has and brings its items to their sinks."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

from mainspring.base import Backoff, current_clock
from mainspring.errors import InvalidArgumentError, WorkQueueFullError
from mainspring.jobs.engine._attempt_limit import AttemptLimit
from mainspring.jobs.engine._context import JobContext, RunInfo
from mainspring.jobs.engine._definition import HandlerForm, JobDefinition
from mainspring.sinks import SinkSession

if TYPE_CHECKING:
    from mainspring.concurrency import Threads, Workers

THREAD_LEFT = (
    "ended, still running: nothing can interrupt its thread, which keeps its slot, and its place in the limits if it "
    "has one, while its node lives"
)

_FULL = Backoff(0.001, maximum=0.1)  # pauses while the queue of a pool is full
_Body = Coroutine[object, object, object] | AsyncGenerator[object, None] | Generator[object, None, None]
_CHUNK = 500  # items that a generator in a thread hands over at once


@dataclass(frozen=True, slots=True)
class HandlerThreads:
    """The threads of handlers, the seconds that one gets to notice a cancel, and the time that the attempt has."""

    pool: "Threads"
    cancel_grace: float
    limit: AttemptLimit | None = None

    async def run(self, ctx: JobContext, function: Callable[[], object]) -> object:
        """Call a function in a thread. Nothing can interrupt it: when cancelled, wait for it, but not for ever."""
        turn = threading.Lock()  # taken once: by the thread that begins, or by a cancel before that

        def body() -> object:
            if not turn.acquire(blocking=False):
                return None
            if self.limit is not None:
                self.limit.resume()
            return function()

        if self.limit is not None:
            self.limit.hold()
        future = await self._begin(body)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            ctx.mark_cancelled()
            if turn.acquire(blocking=False):
                future.cancel()
                raise
            ctx.thread_left = future  # before the wait, which another cancellation ends
            await asyncio.wait((future,), timeout=self.cancel_grace)
            if future.done():
                ctx.thread_left = None
                return future.result()
            raise

    async def _begin(self, body: Callable[[], object]) -> "asyncio.Future[object]":
        """Give the pool a call, as soon as it takes it: one that somebody brought may have a short queue."""
        delays = iter(_FULL)
        while True:
            try:
                return self.pool.run(body)
            except WorkQueueFullError:
                await asyncio.sleep(next(delays))


async def call_handler(
    definition: JobDefinition,
    arguments: Mapping[str, object],
    ctx: JobContext,
    *,
    threads: HandlerThreads | None = None,
    workers: "Workers | None" = None,
    limit: AttemptLimit | None = None,
) -> object:
    """Run the handler to its end and return its value; what it yields goes to the run's sinks."""
    if definition.form is HandlerForm.COROUTINE:
        return await definition.function(**arguments)
    if definition.form is HandlerForm.ASYNC_GENERATOR:
        await _drain(definition.function(**arguments), ctx)
        return None
    if workers is not None:
        return await _in_worker(definition, arguments, ctx, workers, limit)
    if threads is None:
        raise InvalidArgumentError(argument="threads", value=None, expected="a pool for a plain function")
    if definition.form is HandlerForm.GENERATOR:
        return await _finish(definition.function(**arguments), ctx, threads)
    return await _finish(await threads.run(ctx, partial(definition.function, **arguments)), ctx, threads)


async def _finish(value: object, ctx: JobContext, threads: HandlerThreads) -> object:
    """Run what a call made: behind a decorator that is a plain function, it may be a coroutine or a generator."""
    if not isinstance(value, Coroutine | AsyncGenerator | Generator):
        return value
    made = cast("_Body", value)  # cast: checked above
    if ctx.cancelled:  # while its thread made it: nothing of it may begin
        if not isinstance(made, AsyncGenerator):
            made.close()
        raise asyncio.CancelledError
    if isinstance(made, Coroutine):
        return await made
    if isinstance(made, AsyncGenerator):
        await _drain(made, ctx)
    else:
        await threads.run(ctx, partial(_drain_in_thread, made, ctx.session, asyncio.get_running_loop()))
    return None


async def _drain(made: AsyncGenerator[object, None], ctx: JobContext) -> None:
    accept = ctx.session.accept
    async with aclosing(made) as items:
        async for item in items:
            pending = accept(item)
            if pending is not None:
                await pending


def _drain_in_thread(
    items: Generator[object, None, None], session: SinkSession, loop: asyncio.AbstractEventLoop
) -> None:
    """Iterate a plain generator, handing items to the loop a chunk at a time (which also is the back-pressure)."""
    try:
        chunk: list[object] = []
        for item in items:
            chunk.append(item)
            if len(chunk) == _CHUNK:
                asyncio.run_coroutine_threadsafe(_emit_all(session, chunk), loop).result()
                chunk = []
        if chunk:
            asyncio.run_coroutine_threadsafe(_emit_all(session, chunk), loop).result()
    finally:
        items.close()


async def _emit_all(session: SinkSession, items: Iterable[object]) -> None:
    for item in items:
        pending = session.accept(item)
        if pending is not None:
            await pending


async def _in_worker(
    definition: JobDefinition,
    arguments: Mapping[str, object],
    ctx: JobContext,
    workers: "Workers",
    limit: AttemptLimit | None,
) -> object:
    sent = {name: RunInfo(ctx) if value is ctx else value for name, value in arguments.items()}
    call = InWorker(definition, seconds=None if limit is None else limit.left)
    result = await workers.create_task(call, sent)
    if definition.form is not HandlerForm.GENERATOR and (definition.sink is None or not _holds_items(result)):
        return result
    await _emit_all(ctx.session, cast("Iterable[object]", result))  # cast: a list of a generator's items, or such
    return None


class InWorker:
    """The handler of a job, called in a worker process, where it has so many seconds from then; pickles."""

    def __init__(self, definition: JobDefinition, *, seconds: float | None = None) -> None:
        self._function = definition.function
        self._seconds = seconds
        name = getattr(self._function, "__qualname__", type(self._function).__qualname__)
        self.__task_name__ = f"{name}() of job {definition.job_id!r}"

    def __call__(self, arguments: Mapping[str, object]) -> object:
        """Call the handler; what it yields comes as a list."""
        for run in arguments.values():
            if isinstance(run, RunInfo) and self._seconds is not None:
                run.deadline_at = current_clock().now() + timedelta(seconds=self._seconds)
        result: object = self._function(**arguments)
        return list(cast("Iterator[object]", result)) if isinstance(result, Iterator) else result  # cast: any item


def _holds_items(result: object) -> bool:
    """Tell whether what a worker process brought back is for the job's sink; all else is the value of the run."""
    return not hasattr(result, "_fields") and isinstance(result, list | tuple | set | frozenset)  # no named tuple
