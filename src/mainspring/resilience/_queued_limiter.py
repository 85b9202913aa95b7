"""The part that the limiters of one process share: a line of waiters, and one timer for the first of them."""

import asyncio
import math
from types import TracebackType
from typing import Generic, Self, TypeVar

from mainspring.errors import LimitTimeoutError
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._limit_kernels import Kernel, seconds_until
from mainspring.resilience._limiter import LimiterStatistic, LimiterStats
from mainspring.resilience._waiters import SHORTEST_WAIT, WaitLine

K = TypeVar("K", bound=Kernel)


class QueuedLimiter(Generic[K]):
    """Admit what its kernel has room for, in the order in which callers asked."""

    __slots__ = ("__weakref__", "_due", "_kernel", "_line", "_statistic", "_timer")

    def __init__(self, kernel: K, max_waiters: int, statistic_name: str | None) -> None:
        self._kernel = kernel
        self._line: WaitLine[_Grant] = WaitLine("the rate limit", check_count("max_waiters", max_waiters))
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._statistic = LimiterStatistic(statistic_name)

    async def acquire(self, cost: int = 1, *, timeout: float | None = None) -> None:
        """Wait until `cost` calls fit, then record them.

        Waiters are served first come, first served; a call that would fit does not overtake one that waits.
        A cancelled waiter leaves no trace.

        Args:
            cost: calls to record, from 1 to the limit.
            timeout: seconds to wait at most; 0 does not wait; None waits for ever.

        Raises:
            InvalidArgumentError: an argument is outside its range.
            LimitTimeoutError: (a TimeoutError) the time was up.
            TooManyWaitersError: `max_waiters` callers wait already.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True)
        if not self._take(cost):
            await self._wait(cost, timeout)

    def try_acquire(self, cost: int = 1) -> float | None:
        """Record `cost` calls and return None, or return the seconds after which they will fit.

        The answer counts in those who wait already, and is exact unless one of them gives up.

        Raises:
            InvalidArgumentError: `cost` is not between 1 and the limit.
        """
        if self._take(cost):
            return None
        self._statistic.refused += 1
        return seconds_until(self._kernel, (*self._line.weights(), cost))

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing: a call counts for its whole window, however short it was."""

    def stats(self) -> LimiterStats:
        """Return the counters of this moment."""
        kernel, counted = self._kernel, self._statistic
        return LimiterStats(
            limit=kernel.limit,
            used=kernel.used(kernel.now()),
            waiting_count=len(self._line),
            granted_count=counted.granted,
            refused_count=counted.refused,
            timeout_count=counted.timeouts,
        )

    def _take(self, cost: int) -> bool:
        """Record `cost` calls now if they fit and nobody waits."""
        kernel = self._kernel
        if cost != 1:
            check_count("cost", cost, at_most=kernel.limit)
        if self._line.futures:
            self._serve()  # the timer may be due, and this caller quicker
            if self._line.futures:
                return False
        now = kernel.now()
        if kernel.fits_at(cost, now) > now:
            return False
        kernel.record(cost, now)
        self._statistic.granted += cost
        return True

    async def _wait(self, cost: int, timeout: float | None) -> None:
        if timeout == 0:
            self._statistic.timeouts += 1
            raise LimitTimeoutError(waited=0.0, waiting=len(self._line))
        self._statistic.waited += 1
        grant = await self._line.wait(cost, timeout=timeout, look=self._serve, left=self._leave)
        if grant is None:
            self._statistic.timeouts += 1
            raise LimitTimeoutError(waited=timeout or 0.0, waiting=len(self._line))

    def _serve(self) -> None:
        """Admit from the front of the line all who fit now; see to it that the timer is set for the next."""
        line, kernel = self._line, self._kernel
        due = now = math.inf
        while cost := line.head():
            now = kernel.now()
            due = kernel.fits_at(cost, now)
            if due > now:
                break
            due = math.inf
            kernel.record(cost, now)
            self._statistic.granted += cost
            line.serve((now, cost))
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
            self._timer = None
        if due < math.inf:
            loop = asyncio.get_running_loop()
            self._due = due
            self._timer = loop.call_at(loop.time() + max(due - now, SHORTEST_WAIT), self._on_timer)

    def _on_timer(self) -> None:
        # It may fire early by the resolution of its clock; then it is set again.
        self._timer = None
        self._serve()

    def _leave(self, grant: "_Grant | None") -> None:
        """Take back what was granted to a caller that is gone, and look at the line anew."""
        if grant is not None:
            at, cost = grant
            self._statistic.granted -= cost
            self._kernel.take_back(cost, at)
        self._serve()


_Grant = tuple[float, int]
"""When a waiting caller was admitted, and its cost."""
