"""Where handlers run: on the loop, in threads, in worker processes, or in an executor that their job brought.

Backfills leave one thread and one worker process of each pool to live work, if it has more than one: a pool is smaller
than the slots of a node, and what a backfill has put into it cannot be overtaken.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any  # an executor is lent by the resources, which lend anything

from mainspring.concurrency import ThreadPoolExecutor, WorkerPool, size_of_pool, threads_of, workers_of
from mainspring.jobs.engine._attempt_limit import AttemptLimit
from mainspring.jobs.engine._context import JobContext
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._handler import HandlerThreads, call_handler
from mainspring.resilience import Bulkhead
from mainspring.runtime import ResourceContainer, hear_children


class Places:
    """The pools of an open app.

    Args:
        resources: where the executors of jobs live; those that can be started are started and closed by it.
        cancel_grace: seconds that a function sent by `ctx.cpu` may take to stop.
    """

    def __init__(self, resources: ResourceContainer, *, cancel_grace: float) -> None:
        self.threads = ThreadPoolExecutor(statistic_name="jobs", max_queue=0)  # bounded by the slots of the node
        self._resources = resources
        self._cancel_grace = cancel_grace
        self._workers: WorkerPool | None = None
        self._workers_lock = asyncio.Lock()
        self._whole: dict[object, Bulkhead] = {}
        self._for_backfills: dict[object, Bulkhead] = {}

    async def call(
        self,
        definition: JobDefinition,
        arguments: Mapping[str, object],
        ctx: JobContext,
        *,
        limit: AttemptLimit | None,
        cancel_grace: float,
        is_backfill: bool,
    ) -> object:
        """Run a handler to its end where its job wants it; the wait for a place there costs it no time."""
        executor = definition.executor
        if executor == "loop":
            return await call_handler(definition, arguments, ctx)
        if limit is not None:
            limit.hold()
        async with self._lent(executor) as pool, self._room(pool, is_backfill=is_backfill):
            if definition.runs_in == "thread":
                threads = HandlerThreads(threads_of(pool), cancel_grace, limit)
                return await call_handler(definition, arguments, ctx, threads=threads)
            on_begin = None if limit is None else limit.resume
            workers = workers_of(pool, cancel_grace=cancel_grace, on_begin=on_begin)
            return await call_handler(definition, arguments, ctx, workers=workers, limit=limit)

    async def worker_pool(self) -> WorkerPool:
        """Return the worker processes of the app, started at the first use."""
        async with self._workers_lock:  # one start at a time
            if self._workers is None:
                hear_children()  # what they log belongs to runs, whoever configured logging
                workers = WorkerPool(cancel_grace=self._cancel_grace)
                await workers.start()
                self._workers = workers
            return self._workers

    async def close(self) -> None:
        """End what is the app's own."""
        self.threads.shutdown(wait=False)
        if self._workers is not None:
            await self._workers.close()

    def _lent(self, executor: object) -> AbstractAsyncContextManager[Any]:
        if executor == "thread":
            return nullcontext(self.threads)
        if executor == "process":
            return _Made(self.worker_pool)
        hear_children()
        return self._resources.use(executor)

    @asynccontextmanager
    async def _room(self, pool: object, *, is_backfill: bool) -> AsyncGenerator[None]:
        """Wait for the turn in a pool that somebody brought: its queue may be short, or count as begun what waits."""
        size = size_of_pool(pool)
        async with AsyncExitStack() as stack:
            if size is not None and is_backfill:
                share = max(size - 1, 1)
                await stack.enter_async_context(self._for_backfills.setdefault(pool, Bulkhead(share)))
            if size is not None and not isinstance(pool, WorkerPool) and pool is not self.threads:
                await stack.enter_async_context(self._whole.setdefault(pool, Bulkhead(size)))
            yield


class _Made(AbstractAsyncContextManager[WorkerPool]):
    """A pool that is made when it is entered, and stays."""

    def __init__(self, make: Callable[[], Awaitable[WorkerPool]]) -> None:
        self._make = make

    async def __aenter__(self) -> WorkerPool:
        return await self._make()

    async def __aexit__(self, *exc_info: object) -> None: ...
