"""`GCRA`: calls at an even pace, with one number for all memory."""

from mainspring.base import current_clock
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._limit_kernels import PacedKernel
from mainspring.resilience._queued_limiter import QueuedLimiter


class GCRA(QueuedLimiter[PacedKernel]):
    """Admit calls at an even pace: one each `period / rate` seconds, and up to `burst` at once after a pause.

    At most `rate` + `burst` - 1 calls are admitted within any `period`, so the default is exact (to a nanosecond),
    and a burst as large as the rate admits up to twice the rate in its first window. A timer that fires late
    delays the pace; a burst of 2 or more catches up. Memory is O(1), however large the rate. Not thread-safe:
    use from one loop at a time. Conforms to `Limiter`.

    Args:
        rate: how many calls fit in `period` seconds, >= 1.
        period: seconds, > 0.
        burst: how many calls may come at once, and the largest cost, >= 1.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: an argument is outside its range.

    Example:
        >>> limit = GCRA(10, 1.0)
        >>> limit.try_acquire() is None
        True
        >>> 0.0 < limit.try_acquire() < 0.11
        True

    Source: generic cell rate algorithm, ITU-T I.371; time O(1).
    """

    __slots__ = ("_rate",)

    def __init__(
        self,
        rate: int,
        period: float = 1.0,
        *,
        burst: int = 1,
        max_waiters: int = 10_000,
        statistic_name: str | None = None,
    ) -> None:
        self._rate = f"{check_count('rate', rate)} per {check_seconds('period', period):g} s"
        super().__init__(PacedKernel(rate, period, check_count("burst", burst)), max_waiters, statistic_name)

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<GCRA {self._rate}, {stats.used}/{stats.limit} of the burst used, {stats.waiting_count} waiting>"

    def _take(self, cost: int) -> bool:
        if cost != 1 or self._line.futures:
            return super()._take(cost)
        # The same for the plain case, without the calls: half of its time.
        kernel = self._kernel
        now = current_clock().monotonic()
        start, steps = kernel.start, kernel.steps
        if start + steps * kernel.interval <= now:
            kernel.start = now
            kernel.steps = 1
        elif start + (steps + 1 - kernel.limit) * kernel.interval <= now:
            kernel.steps = steps + 1
        else:
            return False
        kernel.last = now
        self._statistic.granted += 1
        return True
