"""A bucket of `GlobalAsyncLimiter` without a server, in the time of the test."""

import asyncio
from collections.abc import Callable, Sequence

from mainspring.errors import LimiterUnavailableError
from mainspring.resilience import GlobalAsyncLimiter
from mainspring.resilience._limit_kernels import Kernel, PacedKernel, SlidingLog, seconds_until
from mainspring.resilience.redis_limiter import Algorithm, RedisBucket, Reply, Ticket


class PlainBucket(RedisBucket):
    """Counts in a kernel of this process; `calls` notes how often and for what it was asked."""

    def __init__(self, limit: int, period: float, *, algorithm: Algorithm = "log", burst: int = 1) -> None:
        paced = algorithm == "gcra"
        super().__init__(
            "redis://nowhere",
            client=None,
            name="plain",
            algorithm=algorithm,
            limit=burst if paced else limit,
            rate=limit,
            period=period,
            timeout=5.0,
        )
        self.kernel: Kernel = PacedKernel(limit, period, burst) if paced else SlidingLog(limit, period)
        self.calls: list[list[int]] = []
        self.running = 0
        self.latency: Callable[[], float] = lambda: 0.0
        self.fails = False
        self._at: dict[int, float] = {}

    async def take(self, costs: Sequence[int]) -> Reply:
        self.calls.append(list(costs))
        self.running += 1
        assert self.running == 1, "one call at a time"
        try:
            await asyncio.sleep(self.latency() / 2)
            reply = self._take_now(costs)
            await asyncio.sleep(self.latency() / 2)
        finally:
            self.running -= 1
        return reply

    async def plan(self, costs: Sequence[int]) -> float:
        await asyncio.sleep(0)
        if self.fails:
            raise LimiterUnavailableError(bucket=self.name, reason="away")
        return seconds_until(self.kernel, costs)

    def _take_now(self, costs: Sequence[int]) -> Reply:
        if self.fails:
            raise LimiterUnavailableError(bucket=self.name, reason="away")
        kernel = self.kernel
        while self._returns:
            ticket = self._returns.popleft()
            kernel.take_back(ticket.cost, self._at.pop(ticket.request))
        tickets: list[Ticket] = []
        now = kernel.now()
        for cost in costs:
            due = kernel.fits_at(cost, now)
            if due > now:
                return Reply(tuple(tickets), due - now, kernel.used(now))
            kernel.record(cost, now)
            self._next_request += 1
            self._at[self._next_request] = now
            tickets.append(Ticket(self._next_request, cost, int(now * 1e6)))
        return Reply(tuple(tickets), 0.0, kernel.used(now))


def plain_limiter(
    limit: int,
    period: float,
    *,
    algorithm: Algorithm = "log",
    burst: int = 1,
    on_error: str = "raise",
    max_waiters: int = 10_000,
) -> tuple[GlobalAsyncLimiter, PlainBucket]:
    """Return a limiter over such a bucket, and the bucket."""
    limiter = GlobalAsyncLimiter(
        "redis://nowhere",
        "key",
        limit,
        period,
        algorithm=algorithm,
        burst=burst,
        on_error=on_error,  # type: ignore[arg-type]  # tests pass each mode as text
        max_waiters=max_waiters,
    )
    bucket = PlainBucket(limit, period, algorithm=algorithm, burst=burst)
    limiter._bucket = bucket
    return limiter, bucket
