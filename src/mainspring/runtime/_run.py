"""`run`: the shortest way to run a coroutine together with services."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mainspring.errors import MisuseError
from mainspring.runtime._entrypoint import Entrypoint
from mainspring.runtime._service import Service

T = TypeVar("T")


def run(coro: Awaitable[T], /, *services: Service, **kwargs: Any) -> T:  # Any: the options of entrypoint
    """Start the services, run `coro` to its end, stop the services, and return its result.

    SIGINT or SIGTERM cancels `coro`, stops the services and ends the process with 130 or 143.

    Args:
        coro: the program's main coroutine.
        services: run beside it.
        kwargs: options of `entrypoint`.

    Raises:
        MisuseError: `coro` cannot be awaited, or a loop runs in this thread.
        BaseException: what `coro`, a start or a stop raised; an ExceptionGroup when several did.

    Example:
        >>> async def main() -> int:
        ...     return 42
        >>> run(main(), log_config=False)
        42
    """
    if not inspect.isawaitable(coro):
        raise _not_a_coroutine(coro)
    return run_in(lambda: Entrypoint(*services, **kwargs), coro)


def _not_a_coroutine(value: object) -> MisuseError:
    if inspect.iscoroutinefunction(value):
        hint = f"call it: run({value.__name__}(), ...)"
    elif isinstance(value, Service):
        hint = "give the main coroutine first; to run services until Ctrl-C: run(asyncio.Event().wait(), service)"
    else:
        hint = "give the main coroutine first: run(main(), service)"
    return MisuseError(what="run", problem=f"needs something to await first, and got {value!r}", hint=hint)


def run_in(make: Callable[[], Entrypoint], coro: Awaitable[T]) -> T:
    """Run `coro` inside of the program that `make` returns; see `run`."""
    try:
        with make() as loop:
            return loop.run_until_complete(_awaited(coro))
    finally:
        if inspect.iscoroutine(coro):
            coro.close()  # only a coroutine that never ran, since the services did not start, notices


async def _awaited(coro: Awaitable[T]) -> T:
    return await coro
