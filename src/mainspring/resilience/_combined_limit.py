"""`CombinedLimit`: several windows at once."""

from typing import Any, cast  # Any: the kernels of the parts, of whatever kind

from mainspring.errors import InvalidArgumentError
from mainspring.resilience._limit_kernels import CombinedKernel, Kernel
from mainspring.resilience._queued_limiter import QueuedLimiter


class CombinedLimit(QueuedLimiter[CombinedKernel]):
    """Admit a call when every one of several limits has room for it, and count it in each.

    A call that waits is counted nowhere until it fits everywhere. A part may belong to several combinations
    and be used by itself as well: each then keeps a line of its own, and what one admits counts for all.
    Conforms to `Limiter`.

    Args:
        limits: `RateLimit`, `GCRA`, `FixedWindow` or combinations of them, at least one.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: there is no limit, or one of another kind.

    Example:
        >>> from mainspring.resilience import RateLimit
        >>> limit = CombinedLimit(RateLimit(10, 1.0), RateLimit(200, 60.0))
        >>> limit.try_acquire() is None
        True
    """

    __slots__ = ()

    def __init__(
        self, *limits: QueuedLimiter[Any], max_waiters: int = 10_000, statistic_name: str | None = None
    ) -> None:
        kernels = [_kernel_of(limit) for limit in limits or (None,)]
        super().__init__(CombinedKernel(kernels), max_waiters, statistic_name)

    def __repr__(self) -> str:
        stats = self.stats()
        parts = len(self._kernel.parts)
        return f"<CombinedLimit of {parts}, {stats.limit - stats.used} fit now, {stats.waiting_count} waiting>"


def _kernel_of(limit: object) -> Kernel:
    if isinstance(limit, QueuedLimiter):
        return cast("QueuedLimiter[Kernel]", limit)._kernel  # cast: the check cannot tell of which kernel
    expected = "at least one RateLimit, GCRA, FixedWindow or CombinedLimit, and nothing else"
    raise InvalidArgumentError(argument="limits", value=limit, expected=expected)
