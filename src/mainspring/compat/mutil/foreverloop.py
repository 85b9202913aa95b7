"""`mutil.foreverloop`: the older spellings of `mainspring.ForeverLoop`."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any

from mainspring.concurrency import ForeverLoop as _ForeverLoop

__all__ = ("ForeverLoop",)

_Runner = Callable[[], Coroutine[Any, Any, Any]]
_Task = asyncio.Task[Any]


class ForeverLoop(_ForeverLoop[Any]):
    """As `mainspring.ForeverLoop`."""

    def addRunner(self, fn: _Runner, meta: Any = None) -> _Task:
        """See `add_runner`."""
        return self.add_runner(fn, meta)

    def addRunners(self, runners: Iterable[tuple[_Runner, Any]]) -> None:
        """See `add_runners`."""
        self.add_runners(runners)

    def metaForTask(self, task: _Task) -> Any:
        """See `meta_for_task`."""
        return self.meta_for_task(task)

    def removeRunner(self, task: _Task) -> None:
        """See `remove_runner`."""
        self.remove_runner(task)

    def removeRunnerSafe(self, task: _Task) -> None:
        """See `remove_runner_safe`."""
        self.remove_runner_safe(task)

    def replaceRunner(self, task: _Task) -> _Task:
        """See `replace_runner`."""
        return self.replace_runner(task)

    async def getAllOnce(self) -> list[Any]:
        """See `get_all_once`."""
        return await self.get_all_once()

    def runForever(self, runners: Iterable[_Runner] = ()) -> "AsyncGenerator[_Task]":
        """See `run_forever`."""
        return self.run_forever(runners)
