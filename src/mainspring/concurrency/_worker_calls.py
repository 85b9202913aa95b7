"""The calls of a worker pool with a patience of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar  # Any: tasks of any result

from mainspring.concurrency._worker_task import WorkerTask

P = ParamSpec("P")
T = TypeVar("T")

_KILL_TIME: Final = 10.0  # seconds in which the kernel ends a process that is killed, and its pool sees that


class WorkerCalls:
    """Calls functions in the workers of a pool; made by `WorkerPool.calls()`.

    A cancelled call comes back when its function has ended: it heeded the interruption, or its worker was killed.
    """

    def __init__(
        self,
        enter: Callable[..., Awaitable[WorkerTask[Any]]],
        *,
        cancel_grace: float,
        on_begin: Callable[[], None] | None = None,
    ) -> None:
        self._enter = enter
        self._on_begin = on_begin
        self._cancel_grace = cancel_grace

    async def create_task(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn` in a worker and wait for its result; see `WorkerPool.create_task`."""
        task: WorkerTask[T] = await self._enter(fn, args, kwargs, self._on_begin)
        task.cancel_grace = self._cancel_grace
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelled():
                await self._until_gone(task)
            raise

    async def _until_gone(self, task: WorkerTask[Any]) -> None:
        try:
            async with asyncio.timeout(self._cancel_grace + _KILL_TIME):  # noqa: TID251  # resilience lies above
                await task.until_gone()
        except TimeoutError:
            return
