"""Every limiter that keeps the promises of `Limiter`, and how to tell that it admitted too much."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import isawaitable

from tests.unit.resilience.support_bucket import plain_limiter

from mainspring.base import current_clock
from mainspring.resilience import GCRA, Bulkhead, CombinedLimit, FixedWindow, Limiter, RateLimit
from mainspring.resilience.redis_limiter import Algorithm

PERIOD = 8.0
WHOLE_SECONDS = 1356998400  # where the virtual clock starts, a multiple of PERIOD


@dataclass(frozen=True, slots=True)
class Grant:
    """What was admitted, from when, and until when it was held."""

    at: float
    cost: int
    until: float


def largest_sum(grants: Sequence[Grant], period: float) -> int:
    """Return the largest cost within any half-open window of `period` seconds, less a nanosecond."""
    ends = [(start.at, start.at + period - 1e-9) for start in grants]
    return max((sum(g.cost for g in grants if start <= g.at < end) for start, end in ends), default=0)


def largest_aligned_sum(grants: Sequence[Grant], period: float) -> int:
    """Return the largest cost within any window that begins at a multiple of `period`."""
    windows: dict[float, int] = {}
    for grant in grants:
        index = (grant.at + WHOLE_SECONDS) // period
        windows[index] = windows.get(index, 0) + grant.cost
    return max(windows.values(), default=0)


def largest_crowd(grants: Sequence[Grant]) -> int:
    """Return the largest cost that was held at once."""
    return max((sum(g.cost for g in grants if g.at <= start.at < g.until) for start in grants), default=0)


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of limiter. `limit` is its largest cost; `excess` is 0 or how much too much was admitted."""

    name: str
    make: Callable[[], Limiter]
    limit: int
    excess: Callable[[Sequence[Grant]], int]
    holds: bool = False
    """Whether a place stays taken until it is released, so that nobody can know when one is free."""

    def __str__(self) -> str:
        return self.name

    def release(self, limiter: Limiter, cost: int) -> None:
        """Give back what `acquire` took, where that is to be given back."""
        if isinstance(limiter, Bulkhead):
            limiter.release(cost)


def now() -> float:
    """Return the virtual seconds."""
    return current_clock().monotonic()


async def attempt(limiter: Limiter, cost: int = 1) -> float | None:
    """Call `try_acquire`, and wait for its answer when a server gives it."""
    answer = limiter.try_acquire(cost)
    return await answer if isawaitable(answer) else answer


def _combined() -> Limiter:
    return CombinedLimit(RateLimit(2, 1.0), FixedWindow(6, PERIOD), GCRA(10, PERIOD, burst=4), RateLimit(5, PERIOD))


def _paced() -> Limiter:
    return plain_limiter(5, PERIOD, algorithm="gcra", burst=4)[0]


def _local(algorithm: Algorithm = "log", burst: int = 1) -> Limiter:
    """Return a global limiter whose server is away from the start, so that the process limits itself."""
    limiter, bucket = plain_limiter(5, PERIOD, algorithm=algorithm, burst=burst, on_error="local")
    bucket.fails = True
    return limiter


def _excess_of_combined(grants: Sequence[Grant]) -> int:
    return max(
        largest_sum(grants, 1.0) - 2,
        largest_aligned_sum(grants, PERIOD) - 6,
        largest_sum(grants, PERIOD) - 5,
        0,
    )


SUBJECTS = [
    Subject("RateLimit", lambda: RateLimit(5, PERIOD), 5, lambda g: max(0, largest_sum(g, PERIOD) - 5)),
    Subject("GCRA", lambda: GCRA(5, PERIOD), 1, lambda g: max(0, largest_sum(g, PERIOD) - 5)),
    Subject("GCRA-burst", lambda: GCRA(5, PERIOD, burst=4), 4, lambda g: max(0, largest_sum(g, PERIOD) - 8)),
    Subject("FixedWindow", lambda: FixedWindow(5, PERIOD), 5, lambda g: max(0, largest_aligned_sum(g, PERIOD) - 5)),
    Subject("CombinedLimit", _combined, 2, _excess_of_combined),
    Subject("GlobalAsyncLimiter", lambda: plain_limiter(5, PERIOD)[0], 5, lambda g: max(0, largest_sum(g, PERIOD) - 5)),
    Subject("GlobalAsyncLimiter-gcra", _paced, 4, lambda g: max(0, largest_sum(g, PERIOD) - 8)),
    Subject("GlobalAsyncLimiter-local", _local, 5, lambda g: max(0, largest_sum(g, PERIOD) - 5)),
    Subject(
        "GlobalAsyncLimiter-local-gcra", lambda: _local("gcra", 4), 4, lambda g: max(0, largest_sum(g, PERIOD) - 8)
    ),
    Subject("Bulkhead", lambda: Bulkhead(5), 5, lambda g: max(0, largest_crowd(g) - 5), holds=True),
]
