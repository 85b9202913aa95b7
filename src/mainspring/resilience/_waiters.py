"""The line of callers that wait their turn: shared by the limiters and the pool."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, Generic, TypeVar  # Any: futures of any answer

from mainspring.errors import TooManyWaitersError

T = TypeVar("T")

_is_done: Callable[["asyncio.Future[Any]"], bool] = asyncio.Future[Any].done

SHORTEST_WAIT: Final = 2e-6
"""Seconds. A timer may fire early by the resolution of its clock; none may fire again at the same instant."""


class WaitLine(Generic[T]):
    """Callers in the order in which they came; who serves them hands an answer to the first.

    Bounded by `limit`. A caller that is cancelled or whose time is up leaves the line at once; an answer that
    reached it in the same moment goes back to the server.
    """

    __slots__ = ("_limit", "_what", "futures")

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        # An OrderedDict, since popping the first of a plain dict walks over all that were removed before.
        self.futures: OrderedDict[asyncio.Future[T | None], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self.futures)

    def weights(self) -> list[int]:
        """Return what each caller asks for, first come first."""
        return [weight for future, weight in self.futures.items() if not future.done()]

    def callers(self, count: int) -> "tuple[list[asyncio.Future[T | None]], list[int]]":
        """Return the first `count` callers, and what each asks for."""
        callers = list(islice(self.futures, count))
        if any(map(_is_done, callers)):  # seldom: cancelled, and did not run since
            callers = [caller for caller in callers if not caller.done()]
            return callers, [self.futures[caller] for caller in callers]
        return callers, list(islice(self.futures.values(), count))

    def serve_callers(self, callers: "Iterable[asyncio.Future[T | None]]", answers: Iterable[T]) -> list[T]:
        """Wake callers, each with its answer; return the answers of those who are gone."""
        futures = self.futures
        gone: list[T] = []
        for future, answer in zip(callers, answers, strict=False):
            if futures.pop(future, None) is None or future.done():
                gone.append(answer)
            else:
                future.set_result(answer)
        return gone

    def head(self) -> int:
        """Return what the first caller asks for; 0 when the line is empty."""
        futures = self.futures
        while futures:
            future = next(iter(futures))
            if not future.done():
                return futures[future]
            del futures[future]  # cancelled, and did not run since
        return 0

    def serve(self, answer: T) -> bool:
        """Wake the first caller with `answer`; return False when there is none."""
        if not self.head():
            return False
        future, _ = self.futures.popitem(last=False)
        future.set_result(answer)
        return True

    def fail(self, error: Callable[[], BaseException]) -> None:
        """Wake every caller with an error of its own."""
        while self.head():
            future, _ = self.futures.popitem(last=False)
            future.set_exception(error())

    def join(self, loop: asyncio.AbstractEventLoop, weight: int = 1) -> "asyncio.Future[T | None]":
        """Stand in line, on the running loop; the future gets the answer. Who stops waiting for it has to `quit`.

        Raises:
            TooManyWaitersError: the line is full.
        """
        if len(self.futures) >= self._limit:
            raise TooManyWaitersError(what=self._what, limit=self._limit)
        # Told the loop, since before Python 3.12 asking for it is as much work as all of this.
        future: asyncio.Future[T | None] = asyncio.Future(loop=loop)
        self.futures[future] = weight
        return future

    def quit(self, future: "asyncio.Future[T | None]") -> T | None:
        """Leave the line; return the answer that came in the same moment, if one did."""
        self.futures.pop(future, None)
        served = future.done() and not future.cancelled() and future.exception() is None
        return future.result() if served else None

    async def wait(
        self,
        weight: int = 1,
        *,
        timeout: float | None,
        look: Callable[[], None],
        left: Callable[[T | None], None],
    ) -> T | None:
        """Wait in line for an answer; None when `timeout` seconds went by without one.

        Args:
            weight: how much the caller asks for.
            timeout: seconds; None waits for ever.
            look: called when the caller stands in line, and before its time is up: it may be its turn.
            left: called when it left unserved, with None, or served but cancelled, with the answer.

        Raises:
            TooManyWaitersError: the line is full.
        """
        loop = asyncio.get_running_loop()
        future = self.join(loop, weight)
        timer = None if timeout is None else loop.call_later(timeout, self._time_out, future, look)
        try:
            look()
            answer = await future
        except asyncio.CancelledError:
            left(self.quit(future))
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if answer is None:
            left(None)
        return answer

    def _time_out(self, future: asyncio.Future[T | None], look: Callable[[], None]) -> None:
        look()
        if not future.done():
            del self.futures[future]
            future.set_result(None)
