"""`Context`: values that the services of one program leave for one another."""

import asyncio
from collections.abc import Hashable
from typing import Any, Final
from weakref import WeakKeyDictionary

from mainspring.base import Statistic
from mainspring.errors import ClosedError

_UNSET: Final = object()
_contexts: "WeakKeyDictionary[asyncio.AbstractEventLoop, list[Context]]" = WeakKeyDictionary()
"""The open contexts of each loop, the innermost last."""


class ContextStatistic(Statistic):
    """How often values of a context were asked for and set."""

    get: int
    set: int


class Context:
    """Values by key; `await context[key]` waits until somebody has set the key.

    Each access gives a future of its own, so that a waiter that gives up (a timeout) takes nothing from the
    others. Setting is safe from any thread and is seen on the next turn of the loop; a key may be set again.

    Example:
        >>> async def main() -> None:
        ...     with Context() as context:
        ...         context["answer"] = 42
        ...         print(await context["answer"])
        >>> asyncio.run(main())
        42
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._values: dict[Hashable, object] = {}
        self._waiting: dict[Hashable, set[asyncio.Future[Any]]] = {}
        self._closed = False
        self._statistic = ContextStatistic()
        _contexts.setdefault(self._loop, []).append(self)

    def __getitem__(self, key: Hashable) -> "asyncio.Future[Any]":  # Any: whatever was set
        """Return a future of the value; only on the context's loop.

        Raises:
            ClosedError: the program has ended.
        """
        if self._closed:
            raise ClosedError(what="this Context")
        self._statistic.get += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        value = self._values.get(key, _UNSET)
        if value is not _UNSET:
            future.set_result(value)
            return future
        waiting = self._waiting.setdefault(key, set())
        waiting.add(future)
        future.add_done_callback(waiting.discard)
        return future

    def __setitem__(self, key: Hashable, value: object) -> None:
        """Set a value, from any thread; all who wait for the key get it on the next turn of the loop.

        Raises:
            ClosedError: the program has ended.
        """
        if self._closed:
            raise ClosedError(what="this Context")
        self._statistic.set += 1
        self._loop.call_soon_threadsafe(self._set, key, value)

    def _set(self, key: Hashable, value: object) -> None:
        self._values[key] = value
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(value)

    def close(self) -> None:
        """End the context: whoever still waits is cancelled, and values are let go."""
        self._closed = True
        for waiting in self._waiting.values():
            for future in waiting:
                future.remove_done_callback(waiting.discard)
                future.cancel()
        self._waiting.clear()
        self._values.clear()
        opened = _contexts.get(self._loop, [])
        if self in opened:
            opened.remove(self)
            if not opened:
                del _contexts[self._loop]

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Context {state} values={len(self._values)} waiting={len(self._waiting)}>"


def get_context(loop: asyncio.AbstractEventLoop | None = None) -> Context:
    """Return the context of a loop, by default of the running one.

    Raises:
        RuntimeError: the loop is closed, or none was given and none is running.
        KeyError: no program runs on that loop.
    """
    loop = loop or asyncio.get_running_loop()
    if loop.is_closed():
        raise RuntimeError("event loop is closed")
    return _contexts[loop][-1]
