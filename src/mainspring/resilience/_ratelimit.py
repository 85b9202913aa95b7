"""`RateLimit`: an exact sliding window over the times of the calls it admitted."""

import asyncio
import math
from collections import deque
from itertools import repeat
from types import TracebackType
from typing import Self

from mainspring.base import current_clock
from mainspring.errors import LimitTimeoutError
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._limiter import LimiterStatistic, LimiterStats
from mainspring.resilience._waiters import WaitLine


class RateLimit:
    """Admit at most `rate` calls within any `bucket_seconds`, in the order in which they asked.

    The window slides: a call leaves it exactly `bucket_seconds` after it was admitted. A server that counts by
    the clock minute may still see up to twice the rate around a full minute. Not thread-safe: use from one
    loop at a time. Conforms to `Limiter`.

    Args:
        rate: how many calls fit in the window, >= 1.
        bucket_seconds: length of the window, > 0.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: an argument is outside its range.

    Example:
        >>> async def main() -> None:
        ...     limit = RateLimit(100, 60.0)
        ...     async with limit:
        ...         print("admitted,", limit.stats().used, "in the window")
        >>> asyncio.run(main())
        admitted, 1 in the window

    Source: sliding log; memory O(rate), time O(1) amortised; one timer, for the first in line.
    """

    __slots__ = ("__weakref__", "_due", "_line", "_log", "_period", "_rate", "_statistic", "_timer")

    def __init__(
        self,
        rate: int = 120,
        bucket_seconds: float = 60.0,
        *,
        max_waiters: int = 10_000,
        statistic_name: str | None = None,
    ) -> None:
        self._rate = check_count("rate", rate)
        self._period = check_seconds("bucket_seconds", bucket_seconds)
        # invariant: ascending, and full only with calls that are, or were when it was last full, in the window
        self._log: deque[float] = deque(maxlen=rate)
        self._line: WaitLine[_Grant] = WaitLine("the rate limit", check_count("max_waiters", max_waiters))
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._statistic = LimiterStatistic(statistic_name)

    async def acquire(self, cost: int = 1, *, timeout: float | None = None) -> None:
        """Wait until `cost` calls fit in the window, then record them.

        Waiters are served first come, first served; a call that would fit does not overtake one that waits.
        A cancelled waiter leaves no trace.

        Args:
            cost: calls to record, 1 <= cost <= rate.
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
            InvalidArgumentError: `cost` is not between 1 and the rate.
        """
        if self._take(cost):
            return None
        self._statistic.refused += 1
        return self._retry_after(cost)

    async def guard(self) -> bool:
        """Wait until a call fits, record it, and return whether there was a wait."""
        if self._take(1):
            return False
        await self._wait(1, None)
        return True

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing: a call counts for its whole window, however short it was."""

    def stats(self) -> LimiterStats:
        """Return the counters of this moment."""
        now = current_clock().monotonic()
        counted = self._statistic
        return LimiterStats(
            limit=self._rate,
            used=sum(1 for at in self._log if at + self._period > now),
            waiting_count=len(self._line),
            granted_count=counted.granted,
            refused_count=counted.refused,
            timeout_count=counted.timeouts,
        )

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<RateLimit {stats.used}/{self._rate} in {self._period:g} s, {stats.waiting_count} waiting>"

    def _take(self, cost: int) -> bool:
        """Record `cost` calls now if they fit and nobody waits."""
        if cost != 1:
            check_count("cost", cost, at_most=self._rate)
        if self._line.futures:
            self._serve()  # the timer may be due, and this caller quicker
            if self._line.futures:
                return False
        now = current_clock().monotonic()
        if self._fits_at(cost) > now:
            return False
        self._record(cost, now)
        return True

    def _fits_at(self, cost: int) -> float:
        """Return when `cost` calls fit, if none is recorded before."""
        log = self._log
        surplus = len(log) + cost - self._rate
        return log[surplus - 1] + self._period if surplus > 0 else -math.inf

    def _record(self, cost: int, now: float) -> None:
        log = self._log  # its maxlen drops those that left the window
        if cost == 1:
            log.append(now)
        else:
            log.extend(repeat(now, cost))
        self._statistic.granted += cost

    def _retry_after(self, cost: int) -> float:
        now = at = current_clock().monotonic()
        planned = list(self._log)
        for weight in (*self._line.weights(), cost):
            surplus = len(planned) + weight - self._rate
            if surplus > 0:
                at = max(at, planned[surplus - 1] + self._period)
            planned.extend(repeat(at, weight))
        wait = at - now
        while now + wait < at:  # the subtraction may have rounded down: never say too little
            wait = math.nextafter(wait, math.inf)
        return wait

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
        line = self._line
        due = math.inf
        while cost := line.head():
            now = current_clock().monotonic()
            due = self._fits_at(cost)
            if due > now:
                break
            due = math.inf
            self._record(cost, now)
            line.serve((now, cost))
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
            self._timer = None
        if due < math.inf:
            loop = asyncio.get_running_loop()
            self._due = due
            self._timer = loop.call_at(loop.time() + (due - current_clock().monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        # It may fire early by the resolution of its clock; then it is set again.
        self._timer = None
        self._serve()

    def _leave(self, grant: "_Grant | None") -> None:
        """Take back what was granted to a caller that is gone, and look at the line anew."""
        if grant is not None:
            at, cost = grant
            self._statistic.granted -= cost
            for _ in range(min(cost, self._log.count(at))):
                self._log.remove(at)
        self._serve()


_Grant = tuple[float, int]
"""When a waiting caller was admitted, and its cost."""
