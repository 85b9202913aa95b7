"""A bucket of `GlobalAsyncLimiter` without a server, in the time of the test."""

import asyncio
from collections.abc import Callable, Sequence

from mainspring.errors import LimiterUnavailableError
from mainspring.resilience import GlobalAsyncLimiter
from mainspring.resilience._limit_kernels import Kernel, PacedKernel, SlidingLog, seconds_until
from mainspring.resilience._waiters import WaitLine
from mainspring.resilience.redis_limiter import Algorithm, RedisBucket, Reply, Ticket


class NotedLine(WaitLine[tuple[Reply, int]]):
    """A line that remembers for each task what it was given."""

    def __init__(self) -> None:
        super().__init__("a noted line", 10_000)
        self._joined: dict[object, asyncio.Future[tuple[Reply, int] | None]] = {}

    def join(self, loop: asyncio.AbstractEventLoop, weight: int = 1) -> "asyncio.Future[tuple[Reply, int] | None]":
        future = self._joined[asyncio.current_task()] = super().join(loop, weight)
        return future

    def place(self) -> tuple[Reply, int]:
        """Return what this task was granted last."""
        place = self._joined.pop(asyncio.current_task()).result()
        assert place is not None
        return place


async def take_ticket(limiter: GlobalAsyncLimiter, cost: int) -> Ticket:
    """Acquire, and return what it takes to give that back."""
    line = limiter._line = NotedLine()
    await limiter.acquire(cost)
    reply, index = line.place()
    return reply.ticket(index)


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
            kernel.take_back(ticket.cost, self._at[ticket.request])
        request, granted, wait = self._next_request, 0, 0.0
        self._next_request += 1
        now = self._at[request] = kernel.now()
        for cost in costs:
            wait = max(0.0, kernel.fits_at(cost, now) - now)
            if wait:
                break
            kernel.record(cost, now)
            granted += 1
        return Reply(costs, granted, wait, kernel.used(now), request, int(now * 1e6))


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
