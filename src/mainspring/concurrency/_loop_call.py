"""Calls on their way through `loop.run_in_executor`.

The default executor of a loop can be asked for nothing but `run_in_executor`, on uvloop not even by private
names. So a call travels there as one of these objects. Our pool recognises it in `submit` and takes the fast
way: what it then returns is an asyncio future, which `run_in_executor` hands on as it is. Any other executor
just calls the object.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable
from contextvars import Context
from typing import Any, Generic, TypeVar  # Any: calls of any signature

from mainspring.concurrency._sync_wait import remember_loop

T = TypeVar("T")


class LoopCall(Generic[T]):
    """One call, in the context of the place it was made at; its result is awaited."""

    __slots__ = ("args", "context", "function", "kwargs", "loop")

    def __init__(
        self, context: Context, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.context = context
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.loop: asyncio.AbstractEventLoop | None = None  # who waits; known when it is submitted

    def __call__(self) -> T:
        if self.loop is not None:
            self.context.run(remember_loop, self.loop)
        try:
            return self.context.run(self.function, *self.args, **self.kwargs)
        except StopIteration as error:
            raise replaced_stop(error) from error


class LoopJob:
    """Work that nobody awaits: it says itself when it is done. `on_refused` hears when it never begins."""

    __slots__ = ("_on_refused", "context", "function")

    def __init__(
        self, context: Context, function: Callable[[], None], on_refused: Callable[[BaseException], None]
    ) -> None:
        self.context = context
        self.function = function
        self._on_refused = on_refused

    def __call__(self) -> None:
        self.context.run(self.function)

    def on_end(self, future: "concurrent.futures.Future[None] | asyncio.Future[None]") -> None:
        """Look at the future that an executor gave for this job."""
        if future.cancelled():
            self._on_refused(asyncio.CancelledError())


def replaced_stop(error: BaseException) -> RuntimeError:
    """Return what is raised instead of an exception that ends iterations."""
    return RuntimeError(f"the function raised {type(error).__name__}")


def as_coroutines_raise(error: BaseException | None) -> BaseException | None:
    """Return the error; StopIteration and StopAsyncIteration as RuntimeError, as coroutines do."""
    if not isinstance(error, (StopIteration, StopAsyncIteration)):
        return error
    replacement = replaced_stop(error)
    replacement.__cause__ = error
    return replacement
