"""Calls that go on when their service stops: it waits for them, and cancels them only when its time is over."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class RunningCalls:
    """The calls of a service's callbacks that run now."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[Any], bool] = {}

    def __len__(self) -> int:
        return len(self._running)

    def watch(
        self, function: Callable[[], Awaitable[object]], *, shield: bool = False
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Return a function that calls `function` and is counted meanwhile; a shielded one is never cancelled."""

        @functools.wraps(function)
        async def watched() -> None:
            task: Any = asyncio.current_task()  # Any: never None in a coroutine that runs
            self._running[task] = shield
            try:
                await function()
            finally:
                del self._running[task]

        return watched

    async def finish(self) -> None:
        """Wait until those that run have ended; when the caller is cancelled, they are too."""
        try:
            if self._running:
                await asyncio.wait(set(self._running))
        finally:
            for task, shield in self._running.items():
                if not shield:
                    task.cancel()
