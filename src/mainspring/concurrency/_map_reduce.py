"""map_reduce: one function over many items, a bounded number of them at a time, and one over the results."""

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol, TypeVar  # Any: results on their way

from mainspring.concurrency._loop_call import LoopCall
from mainspring.concurrency._room_line import call_when_room
from mainspring.errors import InvalidArgumentError

V = TypeVar("V")
T = TypeVar("T")
R = TypeVar("R")


class Submits(Protocol):
    """What can call a function elsewhere: `WorkerPool`, `DaskExecutor`, any `concurrent.futures.Executor`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Return the future of `fn(*args)`, asyncio's or concurrent.futures'."""
        ...


async def map_reduce(
    map_fn: Callable[[V], Any],
    items: Iterable[V] | AsyncIterable[V],
    reduce_fn: Callable[[list[Any]], R],
    *,
    concurrency: int = 8,
    executor: Submits | None = None,
) -> R:
    """Call `map_fn` for each item and return what `reduce_fn` makes of the list of results, in the items' order.

    At most `concurrency` calls are in flight, and items are taken only when one of them may start. The first
    error cancels the calls in flight, waits for their end and is raised; so does a cancellation.

    Args:
        map_fn: called with one item; a coroutine function runs here, any other in `executor`.
        items: an iterable, plain or async, of any length; it is not read ahead.
        reduce_fn: called once, here, with the list of results.
        concurrency: calls in flight at most, at least 1.
        executor: where plain functions run, as a `WorkerPool`; default: threads of the loop's default executor.

    Raises:
        InvalidArgumentError: `concurrency` is below 1.
        Exception: the first that `map_fn`, the iteration or `reduce_fn` raised.

    Example:
        >>> asyncio.run(map_reduce(len, ["a", "bb", "ccc"], sum, concurrency=2))
        6
    """
    if concurrency < 1:
        raise InvalidArgumentError(argument="concurrency", value=concurrency, expected="at least 1")
    call = _caller(map_fn, executor)
    source = _Source(items)
    results: dict[int, Any] = {}

    async def work() -> None:
        async for index, item in source:
            results[index] = await call(item)

    await _all_or_first_error([work() for _ in range(concurrency)])
    return reduce_fn([results[index] for index in range(len(results))])


class _Source(AsyncIterator[tuple[int, Any]]):
    """The items with their numbers, for several consumers."""

    def __init__(self, items: Iterable[Any] | AsyncIterable[Any]) -> None:
        self._plain: Iterator[Any] | None = None
        self._async: AsyncIterator[Any] | None = None
        if isinstance(items, AsyncIterable):
            self._async = aiter(items)
        else:
            self._plain = iter(items)
        self._lock = asyncio.Lock()
        self._count = 0

    async def __anext__(self) -> tuple[int, Any]:
        async with self._lock:  # an async generator serves one consumer at a time
            if self._async is not None:
                item = await anext(self._async)
            else:
                item = next(self._plain or iter(()), _END)
                if item is _END:
                    raise StopAsyncIteration
            self._count += 1
            return self._count - 1, item


_END = object()


def _caller(map_fn: Callable[[Any], Any], executor: Submits | None) -> Callable[[Any], Awaitable[Any]]:
    if inspect.iscoroutinefunction(map_fn):
        return map_fn
    if executor is None:
        run = partial(asyncio.get_running_loop().run_in_executor, None)
        return lambda item: call_when_room(run, LoopCall(copy_context(), map_fn, (item,), {}))
    create_task: Callable[..., Awaitable[Any]] | None = getattr(executor, "create_task", None)
    if create_task is not None:  # it waits in line for room
        return partial(create_task, map_fn)
    return partial(call_when_room, executor.submit, map_fn)


async def _all_or_first_error(coroutines: "list[Any]") -> None:
    """Wait for all; at the first error cancel the others, wait for their end and raise it."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # the first error is raised, the others are no news
