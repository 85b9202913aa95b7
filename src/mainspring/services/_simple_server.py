"""What servers and clients share: tasks that end with them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from mainspring.runtime import Service

T = TypeVar("T")


class TaskStoreBase(Service):
    """A service with tasks of its own, which are cancelled and awaited when it stops. Write `start()`."""

    _tasks: "set[asyncio.Task[Any]] | None" = None

    @property
    def tasks(self) -> "frozenset[asyncio.Task[Any]]":
        """The tasks that have not ended."""
        return frozenset(self._tasks or ())

    def create_task(self, coroutine: Coroutine[Any, Any, T], *, name: str | None = None) -> "asyncio.Task[T]":
        """Start a task that ends with the service at the latest."""
        task = self.loop.create_task(coroutine, name=name)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self, exception: Any = None) -> None:
        """Cancel the tasks, and wait until they have ended."""
        await cancel_and_wait(self._tasks or ())


class SimpleServer(TaskStoreBase):
    """A service with tasks and a listening server of its own, which end with it. Write `start()`.

    Attributes:
        server: what `start()` may leave here, as the answer of `asyncio.start_server`; it is closed at the stop.
    """

    server: asyncio.AbstractServer | None = None

    async def stop(self, exception: Any = None) -> None:
        """Close the server, cancel the tasks, and wait until they have ended."""
        if self.server is not None:
            self.server.close()
        await super().stop(exception)


class SimpleClient(TaskStoreBase):
    """A service with tasks of its own that talks to a server; see `TaskStoreBase`. Write `start()`."""


async def cancel_and_wait(tasks: "set[asyncio.Task[Any]] | tuple[()]") -> None:
    """Cancel tasks and wait until all have ended; a second cancellation comes with the caller's own."""
    pending = set(tasks)
    for task in pending:
        task.cancel()
    if not pending:
        return
    try:
        await asyncio.wait(pending)
    except asyncio.CancelledError:
        for task in pending:
            task.cancel()
        raise
