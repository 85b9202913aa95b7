"""`Bulkhead`: so many callers inside at once."""

import math
from types import TracebackType
from typing import Self

from mainspring.errors import LimitTimeoutError, MisuseError
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._limiter import LimiterStatistic, LimiterStats
from mainspring.resilience._waiters import WaitLine


class Bulkhead:
    """Let at most `limit` callers be inside at a time: `async with bulkhead:`.

    Keeps a slow neighbour from taking every task, connection or byte of memory. Callers wait first come,
    first served; one that would fit does not overtake one that waits. Not thread-safe: use from one loop at a
    time. Conforms to `Limiter`; what `acquire` took, `release` gives back.

    Args:
        limit: how many places there are, >= 1.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: an argument is outside its range.
    """

    __slots__ = ("__weakref__", "_limit", "_line", "_statistic", "_used")

    def __init__(self, limit: int, *, max_waiters: int = 10_000, statistic_name: str | None = None) -> None:
        self._limit = check_count("limit", limit)
        self._used = 0
        self._line: WaitLine[int] = WaitLine("the bulkhead", check_count("max_waiters", max_waiters))
        self._statistic = LimiterStatistic(statistic_name)

    async def acquire(self, cost: int = 1, *, timeout: float | None = None) -> None:
        """Wait until `cost` places are free, then take them. A cancelled waiter leaves no trace.

        Args:
            cost: places to take, from 1 to the limit.
            timeout: seconds to wait at most; 0 does not wait; None waits for ever.

        Raises:
            InvalidArgumentError: an argument is outside its range.
            LimitTimeoutError: (a TimeoutError) the time was up.
            TooManyWaitersError: `max_waiters` callers wait already.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True)
        if self._take(cost):
            return
        taken = None
        if timeout != 0:
            self._statistic.waited += 1
            taken = await self._line.wait(cost, timeout=timeout, look=self._serve, left=self._leave)
        if taken is None:
            self._statistic.timeouts += 1
            raise LimitTimeoutError(waited=timeout or 0.0, waiting=len(self._line))

    def try_acquire(self, cost: int = 1) -> float | None:
        """Take `cost` places and return None, or return infinity: only a release frees a place.

        Raises:
            InvalidArgumentError: `cost` is not between 1 and the limit.
        """
        if self._take(cost):
            return None
        self._statistic.refused += 1
        return math.inf

    def release(self, cost: int = 1) -> None:
        """Give back `cost` places.

        Raises:
            MisuseError: (a RuntimeError) fewer are taken.
        """
        if not 1 <= cost <= self._used:
            raise MisuseError(what=repr(self), problem=f"cannot take back {cost}", hint="release what was acquired")
        self._used -= cost
        self._serve()

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def stats(self) -> LimiterStats:
        """Return the counters of this moment."""
        counted = self._statistic
        return LimiterStats(
            limit=self._limit,
            used=self._used,
            waiting_count=len(self._line),
            granted_count=counted.granted,
            refused_count=counted.refused,
            timeout_count=counted.timeouts,
        )

    def __repr__(self) -> str:
        return f"<Bulkhead {self._used}/{self._limit} inside, {len(self._line)} waiting>"

    def _take(self, cost: int) -> bool:
        if cost != 1:
            check_count("cost", cost, at_most=self._limit)
        if self._line.futures:
            self._serve()  # one of them may be cancelled and not gone yet
        if self._line.futures or self._used + cost > self._limit:
            return False
        self._used += cost
        self._statistic.granted += cost
        return True

    def _serve(self) -> None:
        line = self._line
        while (cost := line.head()) and self._used + cost <= self._limit:
            self._used += cost
            self._statistic.granted += cost
            line.serve(cost)

    def _leave(self, taken: int | None) -> None:
        if taken is not None:
            self._statistic.granted -= taken
            self._used -= taken
        self._serve()
