"""Pools of any make behind two small interfaces: threads that run functions, workers that are sent them."""

import asyncio
import concurrent.futures
import sys
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Final, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

from mainspring.concurrency._process_pool import ProcessPoolExecutor
from mainspring.concurrency._room_line import call_when_room
from mainspring.concurrency._thread_pool import ThreadPoolExecutor
from mainspring.concurrency._worker_pool import WorkerPool
from mainspring.concurrency.dask_executor import DaskExecutor
from mainspring.errors import InvalidArgumentError

P = ParamSpec("P")
T = TypeVar("T")

_LOOK_AGAIN: Final = 0.02  # seconds

AnyPool: TypeAlias = WorkerPool | DaskExecutor | concurrent.futures.Executor
"""A pool that runs functions somewhere else than on the loop."""


class Threads(Protocol):
    """Runs functions in threads of this process, as a ThreadPoolExecutor does."""

    def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Run a function in a thread."""
        ...


class Workers(Protocol):
    """Runs functions in other processes, as a WorkerPool does."""

    def create_task(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a function in a worker."""
        ...


def kind_of_pool(pool: object) -> Literal["thread", "process"] | None:
    """Tell where a pool runs functions; None for what is no pool of threads or processes."""
    if isinstance(pool, concurrent.futures.ThreadPoolExecutor):
        return "thread"
    if isinstance(pool, WorkerPool | DaskExecutor | ProcessPoolExecutor):
        return "process"
    return "process" if _is_plain_processes(pool) else None


def _is_plain_processes(pool: object) -> bool:
    # a look at sys.modules: to import it takes 10 ms, and who has such a pool has imported it
    plain: object = getattr(sys.modules.get("concurrent.futures.process"), "ProcessPoolExecutor", None)
    return isinstance(plain, type) and isinstance(pool, plain)


def size_of_pool(pool: object) -> int | None:
    """Return how many functions a pool runs at once, if it says so."""
    if isinstance(pool, WorkerPool):
        return pool.workers
    if _is_plain_processes(pool):
        size: object = getattr(pool, "_max_workers", None)  # it has no public name
        return size if isinstance(size, int) else None
    return pool.max_workers if isinstance(pool, ThreadPoolExecutor) else None


def threads_of(pool: object) -> Threads:
    """Return the threads of a pool.

    Raises:
        InvalidArgumentError: it has none.
    """
    if isinstance(pool, ThreadPoolExecutor):
        return pool
    if not isinstance(pool, concurrent.futures.ThreadPoolExecutor):
        raise InvalidArgumentError(argument="pool", value=pool, expected="a pool of threads")
    return _PlainThreads(pool)


def workers_of(pool: object, *, cancel_grace: float, on_begin: Callable[[], None] | None = None) -> Workers:
    """Return the workers of a pool; those of a WorkerPool with a patience of their own.

    Args:
        on_begin: called, in any thread, when a function begins; of a pool of the standard library when it gives one
            away, to a process that may still have another to end, and of a cluster when that has been given one.

    Raises:
        InvalidArgumentError: it has none.
    """
    if isinstance(pool, WorkerPool):
        return pool.calls(cancel_grace=cancel_grace, on_begin=on_begin)
    if isinstance(pool, DaskExecutor):
        return pool if on_begin is None else _Cluster(pool, on_begin)
    if kind_of_pool(pool) != "process" or not isinstance(pool, concurrent.futures.Executor):
        raise InvalidArgumentError(argument="pool", value=pool, expected="a pool of processes")
    return _PlainProcesses(pool, on_begin)


class _PlainThreads(Threads):
    """A thread pool of the standard library; every call sees the context of the place it was made at."""

    def __init__(self, pool: concurrent.futures.Executor) -> None:
        self._pool = pool

    def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Run a function in a thread."""
        context = copy_context()
        return asyncio.wrap_future(self._pool.submit(lambda: context.run(fn, *args, **kwargs)))


class _PlainProcesses(Workers):
    """A process pool of the standard library, or one with its interface. It is told of cancellations, no more.

    When it has no room, a call waits until it has.
    """

    def __init__(self, pool: concurrent.futures.Executor, on_begin: Callable[[], None] | None) -> None:
        self._pool = pool
        self._on_begin = on_begin

    def create_task(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a function in a process."""
        if self._on_begin is None:
            return call_when_room(self._pool.submit, fn, *args, **kwargs)
        if isinstance(self._pool, ProcessPoolExecutor):
            return call_when_room(self._pool._submit, self._on_begin, fn, *args, **kwargs)
        return call_when_room(self._submit_and_look, self._on_begin, fn, *args, **kwargs)

    def _submit_and_look(
        self, on_begin: Callable[[], None], fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "concurrent.futures.Future[T]":
        future = self._pool.submit(fn, *args, **kwargs)
        loop = asyncio.get_running_loop()

        def look() -> None:  # it tells nobody
            if future.running():
                on_begin()
            elif not future.done():
                loop.call_later(_LOOK_AGAIN, look)

        look()
        return future


class _Cluster(Workers):
    """A cluster, which does not say when it begins with a function."""

    def __init__(self, pool: DaskExecutor, on_begin: Callable[[], None]) -> None:
        self._pool = pool
        self._on_begin = on_begin

    def create_task(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a function on the cluster."""
        self._on_begin()
        return self._pool.create_task(fn, *args, **kwargs)
