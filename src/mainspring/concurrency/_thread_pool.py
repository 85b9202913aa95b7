"""ThreadPoolExecutor: a standard executor with a fast path for asyncio."""

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, ParamSpec, TypeVar, cast  # Any: keyword arguments of any signature

from mainspring.base import current_clock, outside_work, runs_here
from mainspring.concurrency._loop_call import LoopCall, LoopJob
from mainspring.concurrency._loop_inbox import LoopInbox
from mainspring.concurrency._sync_wait import remember_loop
from mainspring.concurrency._thread_crew import ThreadCrew
from mainspring.errors import InvalidArgumentError

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    """A pool of threads, usable by `loop.set_default_executor` and from any thread.

    `run()` is the way from asyncio: it returns an asyncio future and wakes the loop once per batch of results.
    `submit()` and `map()` are those of `concurrent.futures`. Every call sees the context variables of the place
    it was made at. Threads are daemons, start when there is work for them, and end with `shutdown()` or when
    the pool is dropped.

    A full queue refuses `run()`, and `submit()` on a thread with a running loop or of this pool, with
    WorkQueueFullError; `submit()` from any other thread waits for room.

    Args:
        max_workers: threads at most; default: as many as processors, but 4 to 32.
        statistic_name: the name of its `ThreadPoolStatistic` and in the names of its threads.
        max_queue: calls that may wait for a thread; 0 is unbounded.

    Raises:
        InvalidArgumentError: `max_workers` is below 1 or `max_queue` below 0.

    Example:
        >>> async def main() -> list[int]:
        ...     with ThreadPoolExecutor(4) as pool:
        ...         return await asyncio.gather(*(pool.run(pow, 2, n) for n in range(5)))
        >>> asyncio.run(main())
        [1, 2, 4, 8, 16]
    """

    def __init__(
        self, max_workers: int | None = None, *, statistic_name: str | None = None, max_queue: int = 1024
    ) -> None:
        if max_workers is None:
            max_workers = min(max(os.cpu_count() or 1, 4), 32)
        if max_workers < 1:
            raise InvalidArgumentError(argument="max_workers", value=max_workers, expected="at least 1")
        if max_queue < 0:
            raise InvalidArgumentError(argument="max_queue", value=max_queue, expected="0 (unbounded) or more")
        super().__init__(max_workers)  # starts nothing; its own queue stays empty
        self._crew = ThreadCrew(max_workers, max_queue, statistic_name)
        # One value, since calls come from several threads: an inbox and the loop it belongs to, weakly.
        self._last: tuple[LoopInbox, Callable[[], asyncio.AbstractEventLoop | None]] = (LoopInbox(), lambda: None)
        weakref.finalize(self, self._crew.close).atexit = False

    def __repr__(self) -> str:
        crew = self._crew
        state = "closed" if crew.closed else "open"
        return (
            f"<ThreadPoolExecutor {crew.name!r} {state} threads={len(crew.threads)}/{crew.max_workers} "
            f"waiting={crew.waiting_count}>"
        )

    @property
    def max_workers(self) -> int:
        """Threads at most."""
        return self._crew.max_workers

    def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Call `fn` in a thread; return an asyncio future of the running loop. Never blocks.

        Cancelling the future takes back a call that has not begun; of one that runs, only the result is lost.

        Raises:
            InvalidArgumentError: `fn` is not callable.
            WorkQueueFullError: `max_queue` calls wait already.
            ClosedError: after `shutdown()`.
            RuntimeError: no loop runs in this thread.
        """
        if not callable(fn):
            raise _not_callable(fn)
        return self._run(copy_context(), fn, args, kwargs)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "concurrent.futures.Future[T]":
        """Call `fn` in a thread; return a `concurrent.futures.Future`. Safe from any thread.

        Raises:
            InvalidArgumentError: `fn` is not callable.
            WorkQueueFullError: `max_queue` calls wait, and this thread must not wait for room.
            ClosedError: after `shutdown()`.
        """
        loop = asyncio._get_running_loop()
        if loop is not None:
            if type(fn) is LoopCall:
                # `run_in_executor` hands it on as it is
                call = cast("LoopCall[T]", fn)
                future = self._run(call.context, call.function, call.args, call.kwargs)
                return cast("concurrent.futures.Future[T]", future)
            if isinstance(fn, LoopJob):
                return cast("concurrent.futures.Future[T]", self._run_job(loop, fn))
        if not callable(fn):
            raise _not_callable(fn)
        context = copy_context()
        if loop is not None:
            context.run(remember_loop, loop)
        return self._submit(context, fn, args, kwargs, may_block=loop is None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None) -> None:
        """Take no more calls; the threads end when those that wait are done.

        Args:
            wait: block until the threads have ended.
            cancel_futures: cancel the calls that wait instead of doing them.
            timeout: seconds to block at most; None as long as the functions take, as the standard pool does.
        """
        self._crew.close()
        if cancel_futures:
            self._crew.cancel_waiting()
        if not wait:
            return
        clock = current_clock()
        deadline = None if timeout is None else clock.monotonic() + timeout
        for thread in tuple(self._crew.threads):
            if thread is not threading.current_thread():
                thread.join(None if deadline is None else max(0.0, deadline - clock.monotonic()))

    def _run(
        self, context: Context, function: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, Any]
    ) -> "asyncio.Future[T]":
        inbox, loop_of_inbox = self._last
        loop = loop_of_inbox()
        if not runs_here(loop):
            running = asyncio.get_running_loop()
            if running is not loop:
                inbox = LoopInbox.of(running)
                self._last = inbox, weakref.ref(running)
            loop = running
        future: asyncio.Future[T] = asyncio.Future(loop=loop)
        self._crew.add((inbox, future, context, function, args, kwargs), may_block=False)
        outside_work.count += 1
        return future

    def _submit(
        self,
        context: Context,
        function: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, Any],
        *,
        may_block: bool,
    ) -> "concurrent.futures.Future[T]":
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._crew.add((None, future, context, function, args, kwargs), may_block=may_block)
        return future

    def _run_job(self, loop: asyncio.AbstractEventLoop, job: LoopJob) -> "asyncio.Future[None]":
        """Start a job that says itself when it is done; the loop's own future is done at once."""
        self._submit(job.context, job.function, (), {}, may_block=False).add_done_callback(job.on_end)
        future: asyncio.Future[None] = loop.create_future()
        future.set_result(None)
        return future


def _not_callable(fn: object) -> InvalidArgumentError:
    return InvalidArgumentError(argument="fn", value=fn, expected="a callable")
