"""IteratorWrapper: a blocking generator in a thread, iterated by a coroutine."""

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Generic, Self, TypeVar

from mainspring.concurrency._loop_call import LoopJob, as_coroutines_raise
from mainspring.concurrency._sync_wait import remember_loop
from mainspring.concurrency._thread_buffer import ThreadBuffer
from mainspring.errors import InvalidArgumentError

T = TypeVar("T")

log = logging.getLogger(__name__)

DEFAULT_MAX_SIZE = 1024


class IteratorWrapper(Generic[T]):
    """An async iterator over what a blocking generator yields in a thread of a pool.

    The generator starts at the first iteration, in the context of that moment, and is paused at its `yield`
    while `max_size` items wait. `close()` (or the end of `async with`) stops it at its `yield`, as
    `generator.close()` does, and waits until its `finally` has run in the thread; dropping the iterator stops it
    without waiting. What it raises is raised at the iteration. It holds its thread until it ends. Use it from
    one loop.

    Args:
        gen_func: called in the thread, without arguments; returns the iterable.
        loop: the loop to use; default: the one that is running at the first iteration.
        max_size: items that may wait for the consumer; 0 is unbounded.
        executor: where the thread comes from; default: the loop's default executor.

    Raises:
        InvalidArgumentError: `max_size` is below 0, or `gen_func` is not callable.

    Example:
        >>> async def main() -> list[int]:
        ...     async with IteratorWrapper(lambda: iter(range(3))) as numbers:
        ...         return [n async for n in numbers]
        >>> asyncio.run(main())
        [0, 1, 2]
    """

    _state: "_Production[T] | None" = None  # for a __del__ after a failed __init__

    def __init__(
        self,
        gen_func: Callable[[], Iterable[T]],
        loop: asyncio.AbstractEventLoop | None = None,
        max_size: int = DEFAULT_MAX_SIZE,
        executor: concurrent.futures.Executor | None = None,
    ) -> None:
        if not callable(gen_func):
            raise InvalidArgumentError(argument="gen_func", value=gen_func, expected="a callable")
        if max_size < 0:
            raise InvalidArgumentError(argument="max_size", value=max_size, expected="0 (unbounded) or more")
        self._loop = loop
        self._executor = executor
        self._production = self._state = _Production(gen_func, max_size)
        self._buffer = self._production.buffer
        self._started = False

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open" if self._started else "new"
        return f"<{type(self).__name__} {state} waiting={len(self._buffer.items)}>"

    def __del__(self) -> None:
        if self._state is not None:
            self._state.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        buffer = self._buffer
        while not buffer.items:
            self._start()
            await buffer.bell.wait(lambda: buffer.items or self._production.ended)
            # in this order: what comes last comes before the end
            if self._production.ended and not buffer.items:
                raise self._production.take_error() or StopAsyncIteration
        return buffer.pop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    def closed(self) -> bool:
        """Whether the generator has ended or was told to."""
        return self._production.ended or self._buffer.closed

    async def close(self) -> None:
        """Stop the generator and wait until its `finally` has run; what waits is dropped.

        The wait lasts as long as the generator's current step. A cancelled wait leaves the generator stopping.
        """
        self._production.stop()
        self._buffer.items.clear()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the generator has ended."""
        await self._buffer.bell.wait(lambda: self._production.ended)

    def _start(self) -> None:
        if not self._started and not self._production.ended:
            loop = self._loop or asyncio.get_running_loop()
            context = copy_context()
            context.run(remember_loop, loop)
            self._start_thread(loop, LoopJob(context, self._production.run, self._production.on_refused))
            self._started = True  # only now: a pool without room has refused it, and may have some later

    def _start_thread(self, loop: asyncio.AbstractEventLoop, job: LoopJob) -> None:
        if self._executor is not None:
            self._executor.submit(job).add_done_callback(job.on_end)
        else:
            loop.run_in_executor(None, job).add_done_callback(job.on_end)


class IteratorWrapperSeparate(IteratorWrapper[T]):
    """An `IteratorWrapper` with a daemon thread of its own, for generators that run for long."""

    def _start_thread(self, loop: asyncio.AbstractEventLoop, job: LoopJob) -> None:
        threading.Thread(target=job, name=f"iterator {self._production.name}", daemon=True).start()


class _Production(Generic[T]):
    """The thread's side. It does not know the wrapper, so that a wrapper that is dropped can stop it."""

    def __init__(self, function: Callable[[], Iterable[T]], max_size: int) -> None:
        self.name = getattr(function, "__qualname__", None) or type(function).__qualname__
        self.buffer = ThreadBuffer[T](max_size, low_water=max_size // 2, is_outside_work=True)
        self.ended = False
        self._function = function
        self._error: BaseException | None = None
        self._begun: dict[str, bool] = {}

    def run(self) -> None:
        """Work the generator off, in the thread."""
        if not self._begun.setdefault("begun", True):
            return  # stopped before a thread was free
        error: BaseException | None = None
        try:
            iterable = self._function()
            try:
                for item in iterable:
                    if not self.buffer.put(item):
                        break
            finally:
                if (close := getattr(iterable, "close", None)) is not None:
                    close()
        except BaseException as caught:  # noqa: BLE001  # supervisor: the consumer gets it
            error = caught
        self._end(error)

    def stop(self) -> None:
        """Stop the generator at its next yield; one that has not begun never does. Safe anywhere."""
        self.buffer.close()
        if not self._begun.setdefault("begun", False):
            self._end(None)

    def on_refused(self, error: BaseException) -> None:
        """No thread will run this."""
        if not self._begun.setdefault("begun", False):
            self._end(error)

    def take_error(self) -> BaseException | None:
        """Return what the generator raised, once."""
        error, self._error = self._error, None
        return error

    def _end(self, error: BaseException | None) -> None:
        if error is not None and self.buffer.closed:
            log.warning("the generator %s failed while it was stopped", self.name, exc_info=error)
        else:
            self._error = as_coroutines_raise(error)
        self.ended = True
        self.buffer.bell.ring()
