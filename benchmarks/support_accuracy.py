"""One process that uses a limiter over Redis as hard as it may; prints when it was admitted.

Usage: python -m benchmarks.support_accuracy URL SUBJECT RATE START SECONDS     (START: unix time)
"""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any  # Any: rivals come without types

from mainspring.resilience import GlobalAsyncLimiter

SUBJECTS = {
    "ours, log": "mainspring",
    "ours, gcra": "mainspring",
    "limits, fixed window": "limits",
    "limits, moving window": "limits",
    "limits, sliding counter": "limits",
    "throttled, gcra": "throttled",
    "pyrate-limiter": "pyrate_limiter",
}
CALLERS = 10
POLL_SECONDS = 0.004

Admit = Callable[[], Awaitable[bool | float]]


async def admission(url: str, subject: str, rate: int) -> tuple[Admit, Callable[[], Awaitable[object]] | None]:
    """Return what admits one call, or says no; ours waits by itself and returns the server's instant."""
    if subject.startswith("ours"):
        limiter = GlobalAsyncLimiter(url, subject, rate, 1.0, algorithm="gcra" if "gcra" in subject else "log")

        instants: deque[float] = deque()  # by the clock of the server, in the order in which callers are served
        take = limiter._bucket.take

        async def noted(costs: Sequence[int]) -> Any:
            reply = await take(costs)
            instants.extend([(reply.at_us or 0) / 1e6] * reply.granted)
            return reply

        async def acquire() -> float:
            await limiter.acquire()
            return instants.popleft()

        limiter._bucket.take = noted  # type: ignore[method-assign]

        return acquire, limiter.close
    if subject.startswith("limits"):
        limits: Any = import_module("limits")
        aio: Any = import_module("limits.aio")
        kind = {"fixed": "FixedWindow", "moving": "MovingWindow", "sliding": "SlidingWindowCounter"}[subject.split()[1]]
        storage = aio.storage.RedisStorage(f"async+{url}", implementation="redispy")
        strategy = getattr(aio.strategies, f"{kind}RateLimiter")(storage)
        item = limits.RateLimitItemPerSecond(rate, 1, subject)
        return lambda: strategy.hit(item), None
    if subject.startswith("throttled"):
        asynchronous: Any = import_module("throttled.asyncio")
        quota = asynchronous.per_sec(rate, burst=rate)
        gcra = asynchronous.Throttled(key="k", using="gcra", quota=quota, store=asynchronous.RedisStore(server=url))

        async def limit() -> bool:
            return not (await gcra.limit()).limited

        return limit, None
    pyrate: Any = import_module("pyrate_limiter")
    redis: Any = import_module("redis.asyncio")
    bucket = await pyrate.RedisBucket.init([pyrate.Rate(rate, 1000)], redis.Redis.from_url(url), "pyrate")
    limiter = pyrate.Limiter(bucket)
    return lambda: limiter.try_acquire_async("k", blocking=False), None


async def main(url: str, subject: str, rate: int, start: float, seconds: float) -> None:
    admit, close = await admission(url, subject, rate)
    admitted: list[tuple[float, float]] = []
    await asyncio.sleep(max(0.0, start - time.time()))

    async def caller() -> None:
        while (now := time.time()) < start + seconds:
            said = await admit()
            if not said:
                await asyncio.sleep(POLL_SECONDS)
                continue
            now = time.time()
            admitted.append((now, said if isinstance(said, float) else now))

    callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
    await asyncio.wait(callers, timeout=max(0.0, start + seconds + 0.2 - time.time()))
    for one in callers:
        one.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    if close is not None:
        await close()
    print(json.dumps(admitted))


if __name__ == "__main__":
    address, name, per_second, begin, length = sys.argv[1:]
    asyncio.run(main(address, name, int(per_second), float(begin), float(length)))
