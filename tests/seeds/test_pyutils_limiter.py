"""The GlobalAsyncLimiter of the pyutils seed, against a real server; mutil's RateLimit has no example there."""

import asyncio
from typing import Any

import pytest

from mainspring.base import new_id
from mainspring.compat import pyutils
from mainspring.testing import ValkeyServer

pytestmark = pytest.mark.extras


@pytest.fixture
def seeded(valkey_server: ValkeyServer) -> Any:
    """The class, on the private server, with a bucket of the test's own."""
    mark = new_id()

    def make(redis_url, key, max_rate, time_period=60, prefix="GlobalLimiter"):
        assert redis_url == "redis://localhost:6379/0"
        return pyutils.GlobalAsyncLimiter(valkey_server.url, mark + key, max_rate, time_period, prefix)

    return make


async def test_limiter_basic_use(seeded: Any) -> None:
    GlobalAsyncLimiter = seeded
    made = []

    async def make_api_call():
        made.append(1)

    limiter = GlobalAsyncLimiter(
        redis_url="redis://localhost:6379/0", key="api_calls", max_rate=100, time_period=60, prefix="MyApp"
    )

    async with limiter:
        await make_api_call()

    await limiter.acquire(amount=3)
    await make_api_call()

    assert 2 == len(made)
    assert 4 == limiter.stats().used


def test_limiter_in_several_workers(seeded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    GlobalAsyncLimiter = seeded

    async def worker(worker_id: int):
        limiter = GlobalAsyncLimiter(
            redis_url="redis://localhost:6379/0", key="shared_api", max_rate=50, time_period=60
        )

        for i in range(10):
            async with limiter:
                print(f"Worker {worker_id} - request {i}")
                await asyncio.sleep(0.01)

    async def main():
        await asyncio.gather(worker(1), worker(2), worker(3))

    asyncio.run(main())

    lines = capsys.readouterr().out.splitlines()
    assert sorted(f"Worker {w} - request {i}" for w in (1, 2, 3) for i in range(10)) == sorted(lines)


def test_limiter_counts_over_all_workers(seeded: Any) -> None:
    async def main():
        limiters = [seeded("redis://localhost:6379/0", "k", 3, 3600) for _ in range(3)]
        for limiter in limiters:
            await limiter.acquire()
        return [await limiter.try_acquire() for limiter in limiters]

    assert all(wait > 3000 for wait in asyncio.run(main()))
