"""A server that dies, comes back, hangs, forgets its scripts, or whose clock is set back."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest

from mainspring.base import new_id
from mainspring.errors import LimiterUnavailableError, LimitTimeoutError
from mainspring.resilience import GlobalAsyncLimiter
from mainspring.resilience._call_watch import CallWatch
from mainspring.testing import ValkeyServer, eventually

pytestmark = pytest.mark.extras


@pytest.fixture
def server() -> Generator[ValkeyServer]:
    """A server that the test may break."""
    with ValkeyServer() as one:
        yield one


async def _connect(server: ValkeyServer) -> Any:
    redis: Any = pytest.importorskip("redis.asyncio")
    return redis.Redis.from_url(server.url, decode_responses=True)


async def test_server_that_was_started_again_is_used_at_once(server: ValkeyServer) -> None:
    limiter = GlobalAsyncLimiter(server.url, "k", 3)
    await limiter.acquire(3)
    server.kill()
    server.start()
    await limiter.acquire(3)  # over a connection that is closed, with scripts that are gone
    assert 3 == limiter.stats().used
    await limiter.close()


async def test_killed_server_is_an_error_for_everybody_and_the_next_one_serves(server: ValkeyServer) -> None:
    limiter = GlobalAsyncLimiter(server.url, "k", 3)
    await limiter.acquire(3)
    waiters = [asyncio.create_task(limiter.acquire(timeout=0.1 + 60)) for _ in range(5)]
    await asyncio.sleep(0)
    server.kill()
    with pytest.raises(LimiterUnavailableError):
        await limiter.try_acquire()
    await limiter.close()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(isinstance(result, Exception) for result in results)
    with pytest.raises(LimiterUnavailableError, match="GlobalLimiter:k"):
        await limiter.acquire()
    server.start()
    await limiter.acquire()
    await limiter.close()


@pytest.mark.parametrize("on_error", ["allow", "local"])
async def test_killed_server_is_replaced_until_it_is_back(server: ValkeyServer, on_error: Any) -> None:
    limiter = GlobalAsyncLimiter(server.url, "k", 3, 3600, on_error=on_error)
    await limiter.acquire()
    server.kill()
    await limiter.acquire(2)
    wait = await limiter.try_acquire()
    assert (wait is None) == (on_error == "allow")
    server.start()
    await eventually(lambda: _asks_the_server(limiter))
    await limiter.close()


async def _asks_the_server(limiter: GlobalAsyncLimiter) -> bool:
    await limiter.try_acquire()
    return "the server is away" not in repr(limiter)


async def test_scripts_flushed_under_load_are_loaded_again(server: ValkeyServer) -> None:
    limiter = GlobalAsyncLimiter(server.url, "k", 1_000)
    client = await _connect(server)

    async def call() -> None:
        for _ in range(20):
            await limiter.acquire()

    async def flush() -> None:
        for _ in range(20):
            await client.script_flush()

    await asyncio.gather(flush(), *(call() for _ in range(10)))
    assert 200 == await client.zcard("GlobalLimiter:k|1000|60")
    await client.aclose()
    await limiter.close()


async def test_paused_server_delays_and_loses_nothing(
    server: ValkeyServer, mainspring_count: Callable[[int, int], int]
) -> None:
    limiter = GlobalAsyncLimiter(server.url, "k", 20, 3600, redis_timeout=50.0)
    client = await _connect(server)
    await limiter.acquire()
    server.pause()
    with pytest.raises(LimitTimeoutError):
        await limiter.acquire(timeout=0.05)
    victim = asyncio.create_task(limiter.acquire(5))
    await asyncio.sleep(0.05)
    victim.cancel()
    asyncio.get_running_loop().call_later(mainspring_count(200, 2000) / 1000, server.resume)
    await asyncio.gather(*(limiter.acquire() for _ in range(19)))
    assert 20 == await client.zcard("GlobalLimiter:k|20|3600") == limiter.stats().granted_count
    await client.aclose()
    await limiter.close()


async def test_call_that_was_given_up_and_done_all_the_same_is_undone(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = GlobalAsyncLimiter(server.url, "k", 5, 3600, redis_timeout=50.0)
    client = await _connect(server)
    await limiter.acquire()
    server.pause()
    with monkeypatch.context() as patch:  # impatient only while nobody answers
        patch.setattr(limiter._bucket, "_watch", CallWatch("the call of the server", 0.1))
        with pytest.raises(LimiterUnavailableError, match="within"):
            await limiter.acquire(4)
    server.resume()
    await limiter.acquire(2)
    assert 3 == await client.zcard("GlobalLimiter:k|5|3600")
    await client.aclose()
    await limiter.close()


@pytest.fixture
async def client(valkey_server: ValkeyServer) -> AsyncGenerator[Any]:
    """redis-py on the shared server."""
    one = await _connect(valkey_server)
    yield one
    await one.aclose()


class ToldTime:
    """A limiter whose scripts read the server's time from a key of the test."""

    def __init__(self, url: str, client: Any, limit: int, period: float, algorithm: Any) -> None:
        self.client = client
        self.key = new_id()
        self.limiter = GlobalAsyncLimiter(url, self.key, limit, period, algorithm=algorithm)
        bucket = self.limiter._bucket
        told = f"redis.call('LRANGE', '{self.key}:time', 0, 1)"
        bucket.take_script = bucket.take_script.replace("redis.call('TIME')", told)
        bucket.plan_script = bucket.plan_script.replace("redis.call('TIME')", told)
        assert told in bucket.take_script
        assert told in bucket.plan_script

    async def tell(self, micros: int) -> None:
        """Set the server's clock."""
        await self.client.delete(f"{self.key}:time")
        await self.client.rpush(f"{self.key}:time", micros // 1_000_000, micros % 1_000_000)


@pytest.mark.parametrize("algorithm", ["log", "gcra"])
@pytest.mark.parametrize("seed", range(4))
async def test_clock_that_is_set_back_admits_no_more_and_blocks_no_longer_than_two_periods(
    valkey_server: ValkeyServer, client: Any, seed: int, algorithm: str
) -> None:
    """By the time that really went by; the clock is also right for a while, and jumps by hours."""
    source = random.Random(seed)
    limit, period = 4, 10
    told = ToldTime(valkey_server.url, client, limit, period, algorithm)
    costs = (1, 2, 4) if algorithm == "log" else (1,)
    passed, offset = 0, 1_700_000_000_000_000
    grants: list[tuple[int, int]] = []
    for _ in range(150):
        passed += source.choice((0, 1, 200_000, 1_000_000, 3_000_000))
        if source.random() < 0.1:
            offset -= source.choice((1, 500_000, 4_000_000, 30_000_000, 3600_000_000))
        await told.tell(passed + offset)
        cost = source.choice(costs)
        wait = await told.limiter.try_acquire(cost)
        if wait is None:
            grants.append((passed, cost))
        else:
            assert 0 < wait <= 2 * period
    assert len(grants) > 15
    for start, _ in grants:
        assert limit >= sum(cost for at, cost in grants if start <= at < start + period * 1_000_000)
    await told.limiter.close()


@pytest.mark.parametrize("algorithm", ["log", "gcra"])
async def test_retry_after_is_true_to_the_microsecond(valkey_server: ValkeyServer, client: Any, algorithm: str) -> None:
    source = random.Random(3)
    told = ToldTime(valkey_server.url, client, 3, 7.0, algorithm)
    micros = 1_700_000_000_123_456
    refused = 0
    for _ in range(60):
        micros += source.randint(0, 3_000_000)
        await told.tell(micros)
        cost = source.randint(1, 3) if algorithm == "log" else 1
        wait = await told.limiter.try_acquire(cost)
        if wait is None:
            continue
        refused += 1
        micros += round(wait * 1e6)
        await told.tell(micros - 1)
        assert 1e-6 == await told.limiter.try_acquire(cost)
        await told.tell(micros)
        assert await told.limiter.try_acquire(cost) is None
    assert refused > 20
    await told.limiter.close()


async def test_clock_that_is_far_ahead_for_a_while_closes_the_bucket_for_one_period_only(
    valkey_server: ValkeyServer, client: Any
) -> None:
    told = ToldTime(valkey_server.url, client, 2, 60, "log")
    right = 1_700_000_000_000_000
    await told.tell(right + 86_400_000_000)
    assert await told.limiter.try_acquire(2) is None
    await told.tell(right)
    assert 60.0 == await told.limiter.try_acquire()
    await told.tell(right + 60_000_000)
    assert await told.limiter.try_acquire(2) is None
    await told.limiter.close()
