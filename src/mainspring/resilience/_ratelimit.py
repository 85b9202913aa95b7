"""`RateLimit`: an exact sliding window over the times of the calls it admitted."""

from mainspring.base import current_clock
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._limit_kernels import SlidingLog
from mainspring.resilience._queued_limiter import QueuedLimiter


class RateLimit(QueuedLimiter[SlidingLog]):
    """Admit at most `rate` calls within any `bucket_seconds`, in the order in which they asked.

    The window slides: a call leaves it exactly `bucket_seconds` after it was admitted. A server that counts by
    the clock minute may still see up to twice the rate around a full minute; `FixedWindow` counts as it does.
    Not thread-safe: use from one loop at a time. Conforms to `Limiter`.

    Args:
        rate: how many calls fit in the window, >= 1.
        bucket_seconds: length of the window, > 0.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: an argument is outside its range.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     limit = RateLimit(100, 60.0)
        ...     async with limit:
        ...         print("admitted,", limit.stats().used, "in the window")
        >>> asyncio.run(main())
        admitted, 1 in the window

    Source: sliding log; memory O(rate), time O(1) amortised; one timer, for the first in line.
    """

    __slots__ = ()

    def __init__(
        self,
        rate: int = 120,
        bucket_seconds: float = 60.0,
        *,
        max_waiters: int = 10_000,
        statistic_name: str | None = None,
    ) -> None:
        kernel = SlidingLog(check_count("rate", rate), check_seconds("bucket_seconds", bucket_seconds))
        super().__init__(kernel, max_waiters, statistic_name)

    async def guard(self) -> bool:
        """Wait until a call fits, record it, and return whether there was a wait."""
        if self._take(1):
            return False
        await self._wait(1, None)
        return True

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<RateLimit {stats.used}/{stats.limit} in {self._kernel.period:g} s, {stats.waiting_count} waiting>"

    def _take(self, cost: int) -> bool:
        if cost != 1 or self._line.futures:
            return super()._take(cost)
        # The same for the plain case, without the calls: 0.2 us of 0.6.
        log = self._kernel.log
        now = current_clock().monotonic()
        if len(log) == log.maxlen and log[0] + self._kernel.period > now:
            return False
        log.append(now)
        self._statistic.granted += 1
        return True
