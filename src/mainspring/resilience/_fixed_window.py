"""`FixedWindow`: a count that starts anew at every full period of the time of day."""

from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._limit_kernels import AlignedWindow
from mainspring.resilience._queued_limiter import QueuedLimiter


class FixedWindow(QueuedLimiter[AlignedWindow]):
    """Admit at most `limit` calls within each `period` of the clock, as servers that count by the minute do.

    The windows begin at whole multiples of `period` since 1970-01-01T00:00Z, on the clock of this machine: keep
    it in step with the server's. Around a border between windows up to twice the limit may come close together.
    When the clock is set back, the count goes on in the window that begins then. Not thread-safe: use from one
    loop at a time. Conforms to `Limiter`.

    Args:
        limit: how many calls fit in each window, >= 1.
        period: seconds, > 0.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: an argument is outside its range.
    """

    __slots__ = ()

    def __init__(
        self,
        limit: int,
        period: float = 60.0,
        *,
        max_waiters: int = 10_000,
        statistic_name: str | None = None,
    ) -> None:
        kernel = AlignedWindow(check_count("limit", limit), check_seconds("period", period))
        super().__init__(kernel, max_waiters, statistic_name)

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<FixedWindow {stats.used}/{stats.limit} in {self._kernel.period:g} s, {stats.waiting_count} waiting>"
