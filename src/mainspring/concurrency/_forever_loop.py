"""ForeverLoop: coroutines that start again as soon as their result was taken."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar  # Any: what coroutines send and receive, and what callers attach

from mainspring.concurrency._task_tools import cancel_tasks
from mainspring.errors import InvalidArgumentError, UnknownRunnerError

T = TypeVar("T")

Runner = Callable[[], Coroutine[Any, Any, T]]


class ForeverLoop(Generic[T]):
    """Keeps one run of each coroutine function going; gives finished runs in the order in which they finished.

    A runner is started again when the consumer of `run_forever()` asks for the next result, so it never runs
    ahead of its consumer. Use it from one loop, which must run.

    Example:
        >>> async def main() -> list[int]:
        ...     numbers = iter(range(3))
        ...     async def read() -> int:
        ...         return next(numbers)
        ...     results: list[int] = []
        ...     loop = ForeverLoop[int]()
        ...     async for task in loop.run_forever([read]):
        ...         results.append(await task)
        ...         if len(results) == 3:
        ...             loop.remove_runner(task)
        ...     return results
        >>> asyncio.run(main())
        [0, 1, 2]
    """

    def __init__(self) -> None:
        self._runners: dict[asyncio.Task[T], tuple[Runner[T], Any]] = {}
        self._finished: dict[asyncio.Task[T], None] = {}  # in this order; all are in runners
        self._changed: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<ForeverLoop runners={len(self._runners)} finished={len(self._finished)}>"

    def add_runner(self, fn: Runner[T], meta: Any = None) -> "asyncio.Task[T]":
        """Start `fn()` as a task; return it. `meta` is whatever the caller wants to know it by."""
        task = asyncio.get_running_loop().create_task(fn())
        self._runners[task] = (fn, meta)
        task.add_done_callback(self._on_end)
        return task

    def add_runners(self, runners: "Iterable[tuple[Runner[T], Any]]") -> None:
        """Add several, each with its meta."""
        for fn, meta in runners:
            _ = self.add_runner(fn, meta)

    def meta_for_task(self, task: "asyncio.Task[T]") -> Any:
        """Return what was attached to the runner of this task.

        Raises:
            UnknownRunnerError: the task is none of this loop's.
        """
        return self._find(task)[1]

    def remove_runner(self, task: "asyncio.Task[T]") -> None:
        """Do not start this task's runner again; cancel the task if it runs. Safe anywhere.

        Raises:
            UnknownRunnerError: the task is none of this loop's.
        """
        self._find(task)
        del self._runners[task]
        self._finished.pop(task, None)
        task.cancel()
        self._wake()

    def remove_runner_safe(self, task: "asyncio.Task[T]") -> None:
        """Do what `remove_runner` does; an unknown task is ignored."""
        if task in self._runners:
            self.remove_runner(task)

    def replace_runner(self, task: "asyncio.Task[T]") -> "asyncio.Task[T]":
        """Start this task's runner again now, with the same meta; return the new task.

        Raises:
            UnknownRunnerError: the task is none of this loop's.
        """
        fn, meta = self._find(task)
        self.remove_runner(task)
        return self.add_runner(fn, meta)

    def reset(self) -> "list[asyncio.Task[T]]":
        """Drop the runners whose task has finished; return those tasks."""
        finished = [task for task in self._runners if task.done()]
        for task in finished:
            self.remove_runner(task)
        return finished

    async def get_all_once(self) -> list[T]:
        """Return the results of all tasks that have finished by now, and drop their runners; errors are left out."""
        await asyncio.sleep(0)
        return [task.result() for task in self.reset() if not task.cancelled() and task.exception() is None]

    async def run_forever(self, runners: "Iterable[Runner[T]]" = ()) -> "AsyncGenerator[asyncio.Task[T]]":
        """Yield each finished task; its runner starts again when the next is asked for. Ends without runners.

        Await the task for its result or exception. When the generator ends, by `aclose()` or by being dropped,
        all tasks are cancelled and awaited.

        Args:
            runners: to add first.

        Raises:
            InvalidArgumentError: there is no runner.
        """
        for fn in runners:
            _ = self.add_runner(fn)
        if not self._runners:
            raise InvalidArgumentError(argument="runners", value=runners, expected="at least one runner")
        try:
            while self._runners:
                task = await self._next_finished()
                if task is not None:
                    yield task
                    if task in self._runners:
                        _ = self.replace_runner(task)
        finally:
            left, self._runners = set(self._runners), {}
            self._finished.clear()
            await cancel_tasks(left)

    async def _next_finished(self) -> "asyncio.Task[T] | None":
        """Wait for a task that has finished, or for nothing to be left."""
        while self._runners:
            if self._finished:
                task = next(iter(self._finished))
                del self._finished[task]
                return task
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
        return None

    def _on_end(self, task: "asyncio.Task[T]") -> None:
        if task in self._runners:
            self._finished[task] = None
            self._wake()
        elif not task.cancelled():
            task.exception()  # whoever removed it does not want to know

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _find(self, task: "asyncio.Task[T]") -> "tuple[Runner[T], Any]":
        try:
            return self._runners[task]
        except KeyError:
            raise UnknownRunnerError(task=repr(task)) from None
