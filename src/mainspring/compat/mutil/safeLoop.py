"""`mutil.safeLoop`: run for ever, until Ctrl-C. In new programs use `mainspring.run`."""

import asyncio
import inspect
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from importlib.util import find_spec
from typing import Any

from mainspring.base import load_extra
from mainspring.concurrency import cancel_tasks

__all__ = ("safeLoop", "shutdown", "shutdown_exception_handler")

_Main = Callable[[], Awaitable[Any]] | Awaitable[Any] | Iterable[Callable[[], Awaitable[Any]] | Awaitable[Any]]


def shutdown_exception_handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Pass errors on to the loop's default handler; cancellations are no news at the end."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


def shutdown(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel all tasks of the loop and wait until they have ended; the loop must not run."""
    loop.set_exception_handler(shutdown_exception_handler)
    tasks = asyncio.all_tasks(loop)

    async def end() -> None:
        await cancel_tasks(tasks)

    loop.run_until_complete(end())


def safeLoop(main: _Main, customloop: Any = "uvloop") -> None:
    """Run `main` and whatever it starts until Ctrl-C, which cancels all tasks and waits for them.

    A second Ctrl-C meanwhile exits with status 1.

    Args:
        main: a coroutine, a function that makes one, or several of them.
        customloop: None for asyncio's loop; anything else takes uvloop's, if it is installed.
    """
    loop = _new_loop(customloop)
    asyncio.set_event_loop(loop)
    tasks: set[asyncio.Task[Any]] = set()
    for one in _several(main):
        _start(loop, one, tasks)
    loop.add_signal_handler(signal.SIGINT, loop.stop)
    try:
        loop.run_forever()
        print("Cleaning up (Ctrl-C again exits at once)")  # noqa: T201
        loop.add_signal_handler(signal.SIGINT, sys.exit, 1)
        shutdown(loop)
    finally:
        tasks.clear()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        asyncio.set_event_loop(None)
        print("Done!")  # noqa: T201


def _new_loop(customloop: Any) -> asyncio.AbstractEventLoop:
    if customloop is None or find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = load_extra("uvloop", feature="safeLoop", extra="uvloop").new_event_loop()
    return loop


def _several(main: Any) -> list[Any]:
    return [main] if callable(main) or inspect.isawaitable(main) else list(main)


def _start(loop: asyncio.AbstractEventLoop, one: Any, tasks: "set[asyncio.Task[Any]]") -> None:
    """Keep the task until it is done, no longer: so the loop tells at once of one that failed."""
    task = loop.create_task(_awaitable(one))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _awaitable(one: Any) -> Any:
    coroutine: Any = one() if callable(one) else one  # Any: whatever the user has
    return await coroutine
