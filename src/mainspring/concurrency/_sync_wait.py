"""Waiting in a thread for what happens on a loop."""

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar  # Any: what coroutines send and receive

from mainspring.errors import ClosedError, MisuseError

P = ParamSpec("P")
T = TypeVar("T")

_CLOSED_CHECK_SECONDS: Final = 0.25  # a loop that is closed tells nobody

_loop_of_context: ContextVar[asyncio.AbstractEventLoop] = ContextVar("mainspring_loop_of_context")


class CallNote:
    """Which call a thread of a pool makes for a loop; a context variable would cost each call ten times as much."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[Any] | None = None


class _Here(threading.local):
    def __init__(self) -> None:
        self.note = CallNote()


here: Final = _Here()
"""A pool's thread notes in `here.note` the future of the call that it makes; it looks the note up only once."""


def remember_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Make `loop` the one that threads with this context wait on."""
    _loop_of_context.set(loop)


def _loop_of_thread() -> asyncio.AbstractEventLoop | None:
    future = here.note.future
    return _loop_of_context.get(None) if future is None else future.get_loop()


def sync_wait_coroutine(
    loop: asyncio.AbstractEventLoop | None,
    coro_func: Callable[P, Coroutine[Any, Any, T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run a coroutine function on `loop` and block this thread until it has ended; return its result.

    Context variables of this thread are seen by the coroutine.

    Args:
        loop: where to run it; None: the loop that started this thread (through any of our threads).
        coro_func: called on the loop.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Raises:
        MisuseError: this thread runs the loop itself, or no loop started it.
        ClosedError: the loop is closed, before or while waiting.
        Exception: what the coroutine raised.

    Example:
        >>> async def main() -> str:
        ...     loop = asyncio.get_running_loop()
        ...     return await asyncio.to_thread(sync_wait_coroutine, loop, asyncio.sleep, 0, "done")
        >>> asyncio.run(main())
        'done'
    """
    return _wait(loop, lambda: coro_func(*args, **kwargs))


def wait_coroutine(coro: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Run a coroutine object on `loop`, by default the one that started this thread; block until it has ended.

    Raises: as `sync_wait_coroutine`.
    """
    try:
        return _wait(loop, lambda: coro)
    finally:
        if inspect.getcoroutinestate(coro) == inspect.CORO_CREATED:
            coro.close()  # it never started, and never will


def sync_await(func: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `func` on the loop that started this thread, block until what it returned is done; return its result.

    Raises: as `sync_wait_coroutine`.
    """
    return _wait(None, lambda: func(*args, **kwargs))


def _wait(loop: asyncio.AbstractEventLoop | None, function: Callable[[], Awaitable[T]]) -> T:
    if loop is None:
        loop = _loop_of_thread()
        if loop is None:
            raise MisuseError(
                what="waiting for a coroutine",
                problem="needs a loop, and none started this thread",
                hint="give the loop, or start the thread with @threaded",
            )
    if loop is asyncio._get_running_loop():
        raise MisuseError(
            what="waiting for a coroutine", problem="would block the loop that runs it", hint="use `await` here"
        )

    async def call() -> T:
        return await function()

    calling = call()
    try:
        future = asyncio.run_coroutine_threadsafe(calling, loop)
    except RuntimeError as error:
        raise ClosedError(what="the event loop") from error
    finally:
        if loop.is_closed():
            calling.close()
    return _result(future, loop)


def _result(future: "concurrent.futures.Future[T]", loop: asyncio.AbstractEventLoop) -> T:
    try:
        while True:
            done, _ = concurrent.futures.wait([future], _CLOSED_CHECK_SECONDS)
            if done:
                return future.result()
            if loop.is_closed():
                raise ClosedError(what="the event loop")
    except concurrent.futures.CancelledError as error:
        raise asyncio.CancelledError from error
    finally:
        if not loop.is_closed():
            future.cancel()
