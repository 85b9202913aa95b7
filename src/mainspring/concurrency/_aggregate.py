"""aggregate: many calls with one argument become one call with many.

A batch opens with its first call, has one timer, and runs in a task of its own, so that a cancelled caller
neither stops nor repeats it. Each caller costs one future.
"""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Hashable, Iterable, MutableMapping
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar  # Any: what coroutines send and receive, results on their way

from mainspring.base import Statistic, runs_here
from mainspring.errors import InvalidArgumentError, NotCoroutineFunctionError, ResultNotSetError

V = TypeVar("V")
R = TypeVar("R")
V_contra = TypeVar("V_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Single = Callable[[V], Coroutine[Any, Any, R]]
Execute = Callable[[list[V], "list[asyncio.Future[R]]"], Coroutine[Any, Any, None]]

_is_done: Callable[["asyncio.Future[Any]"], bool] = asyncio.Future[Any].done


class AggregateStatistic(Statistic):
    """What an aggregated function did: batches executed and how they ended; its limits, 0 for no `max_count`."""

    leeway_ms: float
    max_count: int
    done: int
    success: int
    error: int


@dataclass(frozen=True, slots=True)
class Arg(Generic[V, R]):
    """One call of an aggregated function: its argument, and the future that takes its result."""

    value: V
    future: "asyncio.Future[R]"


class Many(Protocol[V_contra, R_co]):
    """A coroutine function that takes any number of arguments."""

    def __call__(self, *args: V_contra) -> Coroutine[Any, Any, R_co]:
        """Work on all arguments at once."""
        ...


def aggregate(
    leeway_ms: float, max_count: int | None = None, *, cache: MutableMapping[Any, Any] | None = None
) -> "Callable[[Many[V, Iterable[R]]], Single[V, R]]":
    """Collect calls for `leeway_ms` milliseconds, then call the function once with all their arguments.

    The decorated function takes one argument, the original any number; it returns their results in order. What
    it raises, every caller of the batch raises. It runs in the context variables of the batch's first caller.
    When a caller is cancelled, the others are served; when all are, the batch is.

    Args:
        leeway_ms: milliseconds from the first call of a batch to its execution, above 0.
        max_count: calls per batch at most; a full batch is executed at once. None for no limit.
        cache: where results are kept by argument, which must be hashable then; equal arguments that are on
            their way share one place in a batch. It may forget what it wants to.

    Raises:
        InvalidArgumentError: a number is out of range, or the function takes no variable arguments.
        NotCoroutineFunctionError: the function is none.
        ResultNotSetError: (from a call) the function returned too few results.

    Example:
        >>> @aggregate(leeway_ms=1)
        ... async def square(*numbers: int) -> list[int]:
        ...     return [n * n for n in numbers]
        >>> async def main() -> list[int]:
        ...     return await asyncio.gather(*(square(n) for n in range(4)))
        >>> asyncio.run(main())
        [0, 1, 4, 9]
    """
    _check(leeway_ms, max_count)

    def decorate(func: "Many[V, Iterable[R]]") -> "Single[V, R]":
        async def run(values: list[V], futures: "list[asyncio.Future[R]]") -> None:
            for future, result in zip(futures, await func(*values), strict=False):
                if not future.done():
                    future.set_result(result)

        single = _wrap(func, run, leeway_ms / 1000, max_count)
        return single if cache is None else _cached(single, cache)

    return decorate


def aggregate_async(
    leeway_ms: float, max_count: int | None = None
) -> "Callable[[Many[Arg[V, R], object]], Single[V, R]]":
    """Do what `aggregate` does for a function that takes `Arg`s and sets the result of each one's future.

    Futures that are not done when it returns raise ResultNotSetError; those that are stay as they are.

    Raises: as `aggregate`.
    """
    _check(leeway_ms, max_count)

    def decorate(func: "Many[Arg[V, R], object]") -> "Single[V, R]":
        async def run(values: list[V], futures: "list[asyncio.Future[R]]") -> None:
            await func(*[Arg(value=value, future=future) for value, future in zip(values, futures, strict=True)])

        return _wrap(func, run, leeway_ms / 1000, max_count)

    return decorate


class _Batch(Generic[V, R]):
    """Calls that are executed together; `execute` starts it, at most once."""

    __slots__ = (
        "_context",
        "_first_waiting",
        "_name",
        "_run",
        "_statistic",
        "_task",
        "futures",
        "loop",
        "timer",
        "values",
    )

    def __init__(
        self, run: "Execute[V, R]", name: str, loop: asyncio.AbstractEventLoop, statistic: AggregateStatistic
    ) -> None:
        self._statistic = statistic
        self.values: list[V] = []
        self.futures: list[asyncio.Future[R]] = []
        self.timer: asyncio.TimerHandle | None = None
        self._run = run
        self._name = name
        self.loop = loop
        self._context = copy_context()
        self._first_waiting = 0
        self._task: asyncio.Task[None] | None = None

    def execute(self) -> None:
        """Start the task, for those who still wait."""
        if self.timer is not None:
            self.timer.cancel()
        if any(map(_is_done, self.futures)):
            left = [n for n, future in enumerate(self.futures) if not future.done()]
            self.values = [self.values[n] for n in left]
            self.futures = [self.futures[n] for n in left]
        if self.futures:
            name = f"aggregated {self._name}"
            self._task = self.loop.create_task(self._execute(), name=name, context=self._context)

    def leave(self) -> None:
        """A caller was cancelled; with the last one the task is."""
        if self._task is None:
            return
        while self._first_waiting < len(self.futures) and self.futures[self._first_waiting].done():
            self._first_waiting += 1
        if self._first_waiting == len(self.futures):
            self._task.cancel()

    async def _execute(self) -> None:
        error: BaseException | None = None
        try:
            await self._run(self.values, self.futures)
        except asyncio.CancelledError:
            for future in self.futures:
                future.cancel()
            raise
        except BaseException as caught:  # noqa: BLE001  # supervisor: the callers get it
            error = caught
        self._statistic.done += 1
        self._statistic.success += error is None
        self._statistic.error += error is not None
        if not all(map(_is_done, self.futures)):
            for future in self.futures:
                if not future.done():
                    future.set_exception(error or ResultNotSetError(function=self._name))


def _wrap(
    func: Callable[..., Any],
    run: "Execute[V, R]",
    leeway: float,
    max_count: int | None,
) -> "Single[V, R]":
    name = _checked_name(func)
    opened: _Batch[V, R] | None = None
    statistic = AggregateStatistic(name)
    statistic.leeway_ms, statistic.max_count = leeway * 1000, max_count or 0

    async def single(arg: V) -> R:
        nonlocal opened
        batch = opened
        if batch is None or not runs_here(batch.loop):
            loop = asyncio.get_running_loop()
            if batch is None or batch.loop is not loop:
                batch = opened = _Batch(run, name, loop, statistic)
                batch.timer = loop.call_later(leeway, close, batch)
        future: asyncio.Future[R] = asyncio.Future(loop=batch.loop)
        futures = batch.futures
        futures.append(future)
        batch.values.append(arg)
        if len(futures) == max_count:
            close(batch)
        try:
            return await future
        except asyncio.CancelledError:
            batch.leave()
            raise

    def close(batch: "_Batch[V, R]") -> None:
        nonlocal opened
        if opened is batch:
            opened = None
        batch.execute()

    functools.update_wrapper(single, func)
    return single


def _cached(single: "Single[V, R]", cache: MutableMapping[Any, Any]) -> "Single[V, R]":
    """Look into the cache first; let equal arguments that are on their way share one call."""
    loading: dict[Hashable, _Loading[R]] = {}

    async def cached(arg: V) -> R:
        try:
            hit: R = cache[arg]
        except KeyError:
            pass
        else:
            return hit
        mine = loading.get(arg)
        loop = asyncio.get_running_loop()
        if mine is None or mine.task.done() or mine.task.get_loop() is not loop:
            mine = loading[arg] = _Loading(loop.create_task(load(arg)))
        try:
            return await mine.wait()
        finally:
            if mine.task.done() or mine.task.cancelling():
                loading.pop(arg, None)

    async def load(arg: V) -> R:
        result = cache[arg] = await single(arg)
        return result

    functools.update_wrapper(cached, single)
    return cached


class _Loading(Generic[R]):
    """One call that several wait for; it is cancelled with the last of them."""

    def __init__(self, task: "asyncio.Task[R]") -> None:
        self.task = task
        self._waiting = 0

    async def wait(self) -> R:
        self._waiting += 1
        try:
            return await asyncio.shield(self.task)  # shielded: the others wait for it too
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.task.cancel()


def _check(leeway_ms: float, max_count: int | None) -> None:
    if not leeway_ms > 0:
        raise InvalidArgumentError(argument="leeway_ms", value=leeway_ms, expected="a positive float")
    if max_count is not None and max_count < 1:
        raise InvalidArgumentError(argument="max_count", value=max_count, expected="a positive int or None")


def _checked_name(func: Callable[..., Any]) -> str:
    name = str(getattr(func, "__qualname__", repr(func)))
    if not inspect.iscoroutinefunction(func):
        raise NotCoroutineFunctionError(what="aggregate", function=name)
    kinds = [parameter.kind for parameter in inspect.signature(func).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        raise InvalidArgumentError(argument="func", value=func, expected="variadic positional arguments, as (*args)")
    return name
