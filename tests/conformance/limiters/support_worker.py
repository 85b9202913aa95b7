"""One of several processes that use a bucket as hard as they can; prints what it was granted, and when.

Usage: python -m tests.conformance.limiters.support_worker URL KEY RATE PERIOD SECONDS ALGORITHM SEED
"""

import asyncio
import json
import random
import sys
from typing import Any  # Any: redis-py

from tests.unit.resilience.support_bucket import NotedLine

from mainspring.base import load_extra
from mainspring.errors import LimitTimeoutError
from mainspring.resilience import GlobalAsyncLimiter

CALLERS = 16


async def main(url: str, key: str, rate: int, period: float, seconds: float, algorithm: str, seed: int) -> None:
    redis: Any = load_extra("redis.asyncio", feature="this test", extra="redis")
    limiter = GlobalAsyncLimiter(url, key, rate, period, algorithm="gcra" if algorithm == "gcra" else "log")
    line = limiter._line = NotedLine()
    source = random.Random(seed)
    loop = asyncio.get_running_loop()
    grants: list[tuple[int, int]] = []
    asked = 0
    served: list[int] = []

    async def call() -> None:
        nonlocal asked
        cost = 1 if algorithm == "gcra" else source.choice((1, 1, 2, 3))
        number = asked = asked + 1
        try:
            await limiter.acquire(cost, timeout=source.choice((None, None, None, 0.02, 0.5)))
        except LimitTimeoutError:
            return
        at_us = line.place()[0].at_us
        assert at_us is not None
        grants.append((at_us, cost))
        served.append(number)

    async def caller() -> None:
        while loop.time() < end:
            task = asyncio.create_task(call())
            if source.random() < 0.1:
                await asyncio.sleep(source.uniform(0, 0.05))
                task.cancel()
            await asyncio.wait([task])

    async with redis.Redis.from_url(url) as client:
        await client.rpush(f"{key}:ready", "1")
        await client.blpop(f"{key}:go", timeout=60)
    end = loop.time() + seconds
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    await limiter.close()
    print("grants", json.dumps({"grants": grants, "in_order": served == sorted(served)}), flush=True)


if __name__ == "__main__":
    url, key, rate, period, seconds, algorithm, seed = sys.argv[1:]
    asyncio.run(main(url, key, int(rate), float(period), float(seconds), algorithm, int(seed)))
