"""select: wait for the first of several things."""

import asyncio
import inspect
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, overload  # Any: results of any type

from mainspring.concurrency._task_tools import cancel_tasks
from mainspring.errors import DeadlineExceededError, InvalidArgumentError


class SelectResult(Sequence[Any]):
    """What `select` waited for: one entry for each awaitable, None but for the one that ended first.

    Attributes:
        result_idx: the place of the one that ended first.
        value: its result or its exception.
        is_exception: whether it is an exception.
    """

    def __init__(self, length: int, result_idx: int, value: Any, *, is_exception: bool) -> None:
        self.length = length
        self.result_idx = result_idx
        self.value = value
        self.is_exception = is_exception

    def __repr__(self) -> str:
        return f"<SelectResult {self.result_idx} of {self.length}: {self.value!r}>"

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        return (self.value if index == self.result_idx else None for index in range(self.length))

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return list(self)[index]

    def done(self) -> bool:
        """Whether something ended; always true of what `select` returns."""
        return True

    def result(self) -> Any:
        """Return the result, or raise the exception, of the one that ended first."""
        if self.is_exception:
            raise self.value
        return self.value


async def select(
    *awaitables: Awaitable[Any],
    return_exceptions: bool = False,
    cancel: bool = True,
    timeout: float | None = None,
    wait: bool = True,
    loop: asyncio.AbstractEventLoop | None = None,
) -> SelectResult:
    """Wait until the first of the awaitables has ended; cancel the others and wait for them.

    When several have ended at once, the first of them in the order of the arguments counts. A cancelled
    `select` cancels all of them, unless `cancel` is off.

    Args:
        awaitables: what to wait for: coroutines, futures, anything with `__await__`; each at most once.
        return_exceptions: put an exception into the result instead of raising it.
        cancel: cancel the others; when off, they are the caller's to look after.
        timeout: seconds to wait; None for as long as it takes.
        wait: wait for the cancelled ones to end; when off, they end in the background.
        loop: accepted because aiomisc has it; the running loop is used.

    Raises:
        InvalidArgumentError: there is nothing to wait for, or something that cannot be awaited; none was started.
        DeadlineExceededError: (a TimeoutError) nothing ended in time; the awaitables were cancelled if `cancel` is on.
        Exception: what the first of them raised.

    Example:
        >>> async def main() -> list[str | None]:
        ...     return list(await select(asyncio.sleep(0, "quick"), asyncio.sleep(60)))
        >>> asyncio.run(main())
        ['quick', None]
    """
    if not awaitables:
        raise InvalidArgumentError(argument="awaitables", value=awaitables, expected="at least one")
    for one in awaitables:
        if not inspect.isawaitable(one):
            raise InvalidArgumentError(argument="awaitables", value=one, expected="only what can be awaited")
    futures = [asyncio.ensure_future(one) for one in awaitables]
    pending: set[asyncio.Future[Any]] = set(futures)
    done: set[asyncio.Future[Any]] = set()
    try:
        done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if cancel and pending:
            await _cancel_losers(pending, wait=wait)
    if not done:
        raise DeadlineExceededError(what=f"the first of {len(futures)} awaitables", timeout=timeout or 0.0)
    result = _first(futures, done)
    if result.is_exception and not return_exceptions:
        raise result.value
    return result


async def _cancel_losers(losers: "set[asyncio.Future[Any]]", *, wait: bool) -> None:
    cancelling = cancel_tasks(losers)
    _in_background.add(cancelling)  # the loop itself keeps tasks weakly
    cancelling.add_done_callback(_in_background.discard)
    if wait:
        await asyncio.shield(cancelling)  # shielded: the losers end, whatever happens to the caller


def _first(futures: "Sequence[asyncio.Future[Any]]", done: "set[asyncio.Future[Any]]") -> SelectResult:
    """Describe the first that is done; exceptions of others that ended with it are no news."""
    index = next(index for index, future in enumerate(futures) if future in done)
    errors = {future: _error_of(future) for future in done}
    error = errors[futures[index]]
    value = futures[index].result() if error is None else error
    return SelectResult(len(futures), index, value, is_exception=error is not None)


def _error_of(future: "asyncio.Future[Any]") -> BaseException | None:
    return asyncio.CancelledError() if future.cancelled() else future.exception()


_in_background: "set[asyncio.Task[None]]" = set()
