"""`aiomisc.thread_pool`: ours, with queues that are unbounded unless a size is given, as they were."""

import asyncio
import concurrent.futures
import os
from collections.abc import Callable, Generator
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from mainspring.compat.aiomisc.iterator_wrapper import IteratorWrapper, IteratorWrapperSeparate
from mainspring.concurrency import ThreadPoolExecutor as _ThreadPoolExecutor
from mainspring.concurrency import (
    ThreadPoolStatistic,
    sync_await,
    sync_wait_coroutine,
    wait_coroutine,
)
from mainspring.concurrency import threaded as _threaded
from mainspring.concurrency import threaded_iterable as _threaded_iterable
from mainspring.concurrency import threaded_iterable_separate as _threaded_iterable_separate
from mainspring.concurrency import threaded_separate as _threaded_separate

__all__ = (
    "IteratorWrapper",
    "IteratorWrapperSeparate",
    "ThreadPoolException",
    "ThreadPoolExecutor",
    "ThreadPoolStatistic",
    "context_partial",
    "run_in_executor",
    "sync_await",
    "sync_wait_coroutine",
    "threaded",
    "threaded_iterable",
    "threaded_iterable_separate",
    "threaded_separate",
    "wait_coroutine",
)

P = ParamSpec("P")
T = TypeVar("T")

ThreadPoolException = RuntimeError
_SIZE_VARIABLE: Final = "THREADED_ITERABLE_DEFAULT_MAX_SIZE"

if TYPE_CHECKING:
    threaded = _threaded
    threaded_separate = _threaded_separate
else:

    def threaded(func: Any = None) -> Any:  # Any: a function, or what decorates one
        """As `mainspring.concurrency.threaded`; the variable THREADED_ITERABLE_DEFAULT_MAX_SIZE sizes generators."""
        return threaded if func is None else _sized(_threaded(func))

    def threaded_separate(func: Any = True, detach: bool = True) -> Any:  # Any: as above
        """As `mainspring.concurrency.threaded_separate`; the same variable sizes generators."""
        made = _threaded_separate(func, detach)
        return (lambda function: _sized(made(function))) if isinstance(func, bool) else _sized(made)


def _sized(decorated: Any) -> Any:  # Any: as above
    if hasattr(decorated, "max_size") and (size := os.environ.get(_SIZE_VARIABLE)):
        decorated.max_size = int(size)
    return decorated


def threaded_iterable(func: Any = None, *, max_size: int = 0) -> Any:  # Any: a function, or what decorates one
    """As `mainspring.concurrency.threaded_iterable`; without a size the buffer is unbounded."""
    decorate: Any = _threaded_iterable  # Any: as above
    return decorate(func, max_size=max_size)


def threaded_iterable_separate(func: Any = None, *, max_size: int = 0) -> Any:  # Any: as above
    """As `mainspring.concurrency.threaded_iterable_separate`; without a size the buffer is unbounded."""
    decorate: Any = _threaded_iterable_separate  # Any: as above
    return decorate(func, max_size=max_size)


class _AwaitableFuture(concurrent.futures.Future[T]):
    """A standard future that a coroutine can await, as it could the one of asyncio that it got there."""

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()


class ThreadPoolExecutor(_ThreadPoolExecutor):
    """As `mainspring.concurrency.ThreadPoolExecutor`; its queue is unbounded, and what `submit()` returns awaitable."""

    def __init__(self, max_workers: int | None = None, statistic_name: str | None = None) -> None:
        super().__init__(max_workers, statistic_name=statistic_name, max_queue=0)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "_AwaitableFuture[T]":
        """As `mainspring.concurrency.ThreadPoolExecutor.submit`; the future can be awaited, too."""
        future: Any = super().submit(fn, *args, **kwargs)  # Any: its class is about to change
        if type(future) is concurrent.futures.Future:  # `run_in_executor` is given one of asyncio
            future.__class__ = _AwaitableFuture
        return future  # type: ignore[no-any-return]  # it is one now


def context_partial(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], Any]:  # Any: any function
    """Return a function without arguments that calls `func` with these in the context of this moment."""
    return partial(copy_context().run, func, *args, **kwargs)


def run_in_executor(
    func: Callable[..., Any],  # Any: any function
    executor: _ThreadPoolExecutor | None = None,
    args: Any = (),
    kwargs: Any = None,
) -> "asyncio.Future[Any]":
    """Call `func` in a thread, in the context of this moment; return a future of the running loop."""
    call = context_partial(func, *args, **(kwargs or {}))
    return asyncio.get_running_loop().run_in_executor(executor, call)
