"""The bucket in a real server: its layout, its clock, and what happens to it."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.unit.resilience.support_bucket import take_ticket

from mainspring.base import new_id
from mainspring.errors import LimiterUnavailableError, LimitTimeoutError, MissingExtraError
from mainspring.resilience import GlobalAsyncLimiter, redis_limiter
from mainspring.resilience.redis_limiter import RedisBucket, Ticket
from mainspring.testing import ValkeyServer

pytestmark = pytest.mark.extras


@pytest.fixture
async def client(valkey_server: ValkeyServer) -> AsyncGenerator[Any]:
    """redis-py on the shared server."""
    redis: Any = pytest.importorskip("redis.asyncio")
    async with redis.Redis.from_url(valkey_server.url, decode_responses=True) as each:
        yield each


@pytest.fixture
def key() -> str:
    """A bucket of the test's own."""
    return new_id()


@pytest.fixture
async def limiter(valkey_server: ValkeyServer, key: str) -> AsyncGenerator[GlobalAsyncLimiter]:
    """Three calls in a minute."""
    one = GlobalAsyncLimiter(valkey_server.url, key, 3)
    yield one
    await one.close()


async def test_bucket_is_a_sorted_set_that_older_programs_can_share(
    limiter: GlobalAsyncLimiter, client: Any, key: str
) -> None:
    bucket = f"GlobalLimiter:{key}|3|60"
    seconds, micros = await client.time()
    await client.zadd(bucket, {"other|1|0": seconds + micros / 1e6 - 30, "other|0|0": seconds - 61})
    async with limiter:
        pass
    members = await client.zrange(bucket, 0, -1, withscores=True)
    assert "other|1|0" == members[0][0]
    instance, request, item = members[1][0].split("|")
    assert (36, "0", "0") == (len(instance), request, item)
    assert 0 <= members[1][1] - (seconds + micros / 1e6) < 30
    assert 2 == len(members) == limiter.stats().used
    assert 60_000 < await client.pttl(bucket) <= 121_000


async def test_wait_is_exact_by_the_clock_of_the_server(limiter: GlobalAsyncLimiter, client: Any, key: str) -> None:
    bucket = f"GlobalLimiter:{key}|3|60"
    seconds, _ = await client.time()
    await client.zadd(bucket, {"a|1|0": seconds - 50, "a|2|0": seconds - 40, "a|3|0": seconds - 30})
    waits = [await limiter.try_acquire(cost) for cost in (1, 2, 3)]
    now = await client.time()
    passed = now[0] - seconds + now[1] / 1e6
    for wait, expires in zip(waits, (10.0, 20.0, 30.0), strict=True):
        assert wait is not None
        assert expires - passed <= wait <= expires


async def test_plan_counts_in_who_waits(limiter: GlobalAsyncLimiter, client: Any, key: str) -> None:
    bucket = f"GlobalLimiter:{key}|3|60"
    seconds, _ = await client.time()
    await client.zadd(bucket, {"a|1|0": seconds - 50, "a|2|0": seconds - 40, "a|3|0": seconds - 30})
    waiter = asyncio.create_task(limiter.acquire(2))
    await asyncio.sleep(0)
    waits = [await limiter.try_acquire(cost) for cost in (1, 2)]
    now = await client.time()
    passed = now[0] - seconds + now[1] / 1e6
    for wait, due in zip(waits, (30.0, 80.0), strict=True):
        assert wait is not None
        assert due - passed <= wait <= due
    waiter.cancel()
    await asyncio.wait([waiter])


async def test_calls_of_one_process_have_members_of_their_own(
    limiter: GlobalAsyncLimiter, client: Any, key: str
) -> None:
    await asyncio.gather(limiter.acquire(), limiter.acquire(2))
    assert 3 == await client.zcard(f"GlobalLimiter:{key}|3|60")
    with pytest.raises(LimitTimeoutError):
        await limiter.acquire(timeout=0.01)
    assert 3 == await client.zcard(f"GlobalLimiter:{key}|3|60")


async def test_costs_in_thousands_are_one_call(valkey_server: ValkeyServer, client: Any, key: str) -> None:
    limiter = GlobalAsyncLimiter(valkey_server.url, key, 30_000)
    await limiter.acquire(amount=12_345)
    assert 12_345 == limiter.stats().used
    members = await client.zrange(f"GlobalLimiter:{key}|30000|60", 0, -1)
    assert {f"0|{item}" for item in range(12_345)} == {member.partition("|")[2] for member in members}
    await limiter.close()


async def test_what_is_given_back_is_gone(limiter: GlobalAsyncLimiter, client: Any, key: str) -> None:
    ticket = await take_ticket(limiter, 2)
    limiter._bucket.give_back(ticket)
    assert await limiter.try_acquire(3) is None
    assert 3 == await client.zcard(f"GlobalLimiter:{key}|3|60")


async def test_one_of_several_granted_in_a_call_is_given_back(client: Any, key: str) -> None:
    bucket = f"GlobalLimiter:{key}|5|60"
    several = GlobalAsyncLimiter("", key, 5, client=client)
    reply = await several._bucket.take([1, 2, 2])
    several._bucket.give_back(reply.ticket(1))
    await several._bucket.take([])
    members = await client.zrange(bucket, 0, -1)
    assert ["0|0", "0|3", "0|4"] == sorted(member.partition("|")[2] for member in members)
    assert await several.try_acquire(3) is not None
    assert await several.try_acquire(2) is None


async def test_a_whole_call_whose_answer_was_lost_is_given_back(
    limiter: GlobalAsyncLimiter, client: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lose_next_answer(limiter._bucket, monkeypatch)
    reply = await limiter._bucket.take([1, 1, 1, 1])
    assert (3, 3) == (reply.granted, reply.used)
    members = await client.zrange(f"GlobalLimiter:{key}|3|60", 0, -1)
    assert ["1|0", "1|1", "1|2"] == sorted(member.partition("|")[2] for member in members)
    assert not limiter._bucket.owes


async def test_database_of_the_url_is_used_also_over_a_second_connection(
    valkey_server: ValkeyServer, client: Any, key: str
) -> None:
    limiter = GlobalAsyncLimiter(f"{valkey_server.url.removesuffix('/0')}/3?decode_responses=True", key, 3)
    await limiter.acquire()
    await limiter._bucket._own.disconnect()
    await limiter.acquire()
    await limiter.close()
    assert 0 == await client.exists(f"GlobalLimiter:{key}|3|60")
    await client.select(3)
    assert 2 == await client.zcard(f"GlobalLimiter:{key}|3|60")


async def test_client_of_the_user_is_used_and_left_open(client: Any, key: str) -> None:
    limiter = GlobalAsyncLimiter("", key, 3, client=client)
    await limiter.acquire()
    await limiter.close()
    assert 1 == await client.zcard(f"GlobalLimiter:{key}|3|60")


async def test_flushed_scripts_are_loaded_again(limiter: GlobalAsyncLimiter, client: Any) -> None:
    for _ in range(3):
        await client.script_flush()
        await limiter.acquire()
    assert 3 == limiter.stats().used


async def test_even_pace_is_one_number_with_an_end(valkey_server: ValkeyServer, client: Any, key: str) -> None:
    limiter = GlobalAsyncLimiter(valkey_server.url, key, 10, 10_000, algorithm="gcra", burst=3)
    before = await client.time()
    assert [None, None] == [await limiter.try_acquire(cost) for cost in (2, 1)]
    waits = [await limiter.try_acquire(cost) for cost in (1, 2, 3)]
    waiter = asyncio.create_task(limiter.acquire(2))
    await asyncio.sleep(0)
    waits.append(await limiter.try_acquire())
    bucket = f"GlobalLimiter:{key}|10|10000|gcra"
    lifetime = await client.pttl(bucket)
    after = await client.time()
    passed = after[0] - before[0] + (after[1] - before[1]) / 1e6
    for wait, due in zip(waits, (1000.0, 2000.0, 3000.0, 3000.0), strict=True):
        assert wait is not None
        assert due - passed <= wait <= due
    assert 20_000 < lifetime / 1000 <= 23_001.001
    waiter.cancel()
    await asyncio.wait([waiter])
    assert "string" == await client.type(bucket)
    assert (3, 3) == (limiter.stats().used, limiter.stats().granted_count)
    await limiter.close()


async def test_pace_is_given_back_unless_somebody_came_later(valkey_server: ValkeyServer, key: str) -> None:
    first = GlobalAsyncLimiter(valkey_server.url, key, 1, 1000, algorithm="gcra", burst=2)
    second = GlobalAsyncLimiter(valkey_server.url, key, 1, 1000, algorithm="gcra", burst=2)
    ticket = await take_ticket(first, 2)
    first._bucket.give_back(ticket)
    ticket = await take_ticket(first, 1)
    await second.acquire()
    first._bucket.give_back(ticket)
    assert await first.try_acquire() is not None
    await first.close()
    await second.close()


async def test_pace_given_back_in_whole_is_free_for_others(valkey_server: ValkeyServer, key: str) -> None:
    first = GlobalAsyncLimiter(valkey_server.url, key, 1, 1000, algorithm="gcra", burst=2)
    second = GlobalAsyncLimiter(valkey_server.url, key, 1, 1000, algorithm="gcra", burst=2)
    first._bucket.give_back(await take_ticket(first, 2))
    await first._bucket.take([])
    assert await second.try_acquire(2) is None
    await first.close()
    await second.close()


async def test_try_after_a_lost_answer_is_counted_by_itself(
    limiter: GlobalAsyncLimiter, client: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lost try is given back later than the next one was granted, since so much else is given back first."""
    bucket = limiter._bucket
    for number in range(1_000):
        bucket.give_back(Ticket(1_000_000 + number, 1))
    _lose_next_answer(bucket, monkeypatch)
    await bucket.take([1])
    await bucket.take([])
    assert not bucket.owes
    assert 1 == await client.zcard(f"GlobalLimiter:{key}|3|60")


async def test_plan_is_made_although_the_idle_connection_was_closed(
    limiter: GlobalAsyncLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limiter.acquire(3)
    _lose_next_answer(limiter._bucket, monkeypatch)
    assert 0 < await limiter._bucket.plan([1]) <= 60


async def test_wrong_type_of_the_key_is_said(limiter: GlobalAsyncLimiter, client: Any, key: str) -> None:
    await client.set(f"GlobalLimiter:{key}|3|60", "something else")
    with pytest.raises(LimiterUnavailableError, match="WRONGTYPE"):
        await limiter.acquire()


async def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    redis_limiter._library.cache_clear()
    monkeypatch.setitem(sys.modules, "redis.exceptions", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    limiter = GlobalAsyncLimiter("redis://127.0.0.1:1", "k", 3)
    with pytest.raises(MissingExtraError, match=r"GlobalAsyncLimiter needs the module 'redis"):
        await limiter.acquire()


def test_returns_are_bounded() -> None:
    bucket = RedisBucket(
        "redis://nowhere", client=None, name="b", algorithm="log", limit=1, rate=1, period=1.0, timeout=1.0
    )
    for number in range(20_000):
        bucket.give_back(Ticket(number, 1))
    assert bucket.owes
    assert 10_000 == len(bucket._returns)


def test_what_is_given_back_at_once_is_bounded() -> None:
    """Each ticket may stand for a thousand callers, and the server does nothing else meanwhile."""
    bucket = RedisBucket(
        "redis://nowhere", client=None, name="b", algorithm="log", limit=9000, rate=1, period=1.0, timeout=1.0
    )
    for number in range(10):
        bucket.give_back(Ticket(number, 400))
    assert [0, 1, 2] == [ticket.request for ticket in bucket._next_returns()]
    assert 7 == len(bucket._returns)


def _lose_next_answer(bucket: RedisBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server do the next call, and the connection break before it answers."""
    call = bucket._call

    async def lose(*words: Any) -> Any:
        await call(*words)
        monkeypatch.setattr(bucket, "_call", call)
        raise redis_limiter._library("redis.exceptions").ConnectionError("closed")

    monkeypatch.setattr(bucket, "_call", lose)
