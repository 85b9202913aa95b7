"""`aiomisc.thread_pool`: ours, with queues that are unbounded unless a size is given, as they were."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from mainspring.compat.aiomisc.iterator_wrapper import IteratorWrapper, IteratorWrapperSeparate
from mainspring.concurrency import ThreadPoolExecutor as _ThreadPoolExecutor
from mainspring.concurrency import (
    ThreadPoolStatistic,
    sync_await,
    sync_wait_coroutine,
    threaded,
    threaded_separate,
    wait_coroutine,
)
from mainspring.concurrency import threaded_iterable as _threaded_iterable
from mainspring.concurrency import threaded_iterable_separate as _threaded_iterable_separate

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

ThreadPoolException = RuntimeError


def threaded_iterable(func: Any = None, *, max_size: int = 0) -> Any:  # Any: a function, or what decorates one
    """As `mainspring.concurrency.threaded_iterable`; without a size the buffer is unbounded."""
    decorate: Any = _threaded_iterable  # Any: as above
    return decorate(func, max_size=max_size)


def threaded_iterable_separate(func: Any = None, *, max_size: int = 0) -> Any:  # Any: as above
    """As `mainspring.concurrency.threaded_iterable_separate`; without a size the buffer is unbounded."""
    decorate: Any = _threaded_iterable_separate  # Any: as above
    return decorate(func, max_size=max_size)


class ThreadPoolExecutor(_ThreadPoolExecutor):
    """As `mainspring.concurrency.ThreadPoolExecutor`; its queue is unbounded."""

    def __init__(self, max_workers: int | None = None, statistic_name: str | None = None) -> None:
        super().__init__(max_workers, statistic_name=statistic_name, max_queue=0)


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
