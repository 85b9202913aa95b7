"""Small tools for tasks: cancel_tasks, awaitable, shield."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar, overload  # Any: tasks of any result

from mainspring.errors import NotCoroutineFunctionError

P = ParamSpec("P")
T = TypeVar("T")


def cancel_tasks(tasks: "Iterable[asyncio.Future[Any]]") -> "asyncio.Task[None]":
    """Cancel all of them; return a task that ends when they have ended. Needs a running loop.

    Futures and tasks that are done stay as they are. What the tasks raise meanwhile is not raised here; errors
    other than the cancellation go to the loop's exception handler.

    Example:
        >>> async def main() -> list[bool]:
        ...     tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(2)]
        ...     await cancel_tasks(tasks)
        ...     return [task.cancelled() for task in tasks]
        >>> asyncio.run(main())
        [True, True]
    """
    pending = {task for task in tasks if not task.done()}
    for task in pending:
        task.cancel()
    return asyncio.get_running_loop().create_task(_until_ended(pending), name="cancel_tasks")


async def _until_ended(tasks: "set[asyncio.Future[Any]]") -> None:
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a task failed while it was cancelled", "exception": error, "task": task}
            )


@overload
def awaitable(func: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]: ...
@overload
def awaitable(func: Callable[P, T]) -> Callable[P, Awaitable[T]]: ...
def awaitable(func: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:  # Any: the overloads say it
    """Return a function like `func` whose result can always be awaited.

    What can be awaited is returned as it is; any other result is wrapped in a coroutine.

    Example:
        >>> asyncio.run(awaitable(lambda: 45)())
        45
    """
    if inspect.iscoroutinefunction(func):
        return func

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        result = func(*args, **kwargs)
        return result if inspect.isawaitable(result) else _as_coroutine(result)

    return wrapper


async def _as_coroutine(result: T) -> T:
    return result


def shield(func: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let calls of `func` go on to their end when who awaits them is cancelled.

    Errors that nobody is left to hear go to the loop's exception handler.

    Raises:
        NotCoroutineFunctionError: `func` is no coroutine function.
    """
    if not inspect.iscoroutinefunction(func):
        raise NotCoroutineFunctionError(what="shield", function=getattr(func, "__qualname__", repr(func)))

    @functools.wraps(func)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.get_running_loop().create_task(func(*args, **kwargs), name=f"shielded {func.__qualname__}")
        _shielded.add(task)  # the loop itself keeps tasks weakly
        task.add_done_callback(_shielded.discard)
        return await asyncio.shield(task)  # shielded: this is what the caller asked for

    return wrapper


_shielded: "set[asyncio.Task[Any]]" = set()
