"""`GlobalAsyncLimiter` asks once for everybody in line; here over a bucket without a server."""

import asyncio
import logging
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.unit.resilience.support_bucket import NotedLine, plain_limiter
from tests.unit.resilience.support_time import now, run_virtual, virtual

from mainspring.base import get_statistics
from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    LimiterUnavailableError,
    LimitTimeoutError,
    TooManyWaitersError,
)
from mainspring.resilience import GlobalAsyncLimiter, LimiterStatistic


@virtual
async def test_one_call_carries_the_whole_line() -> None:
    limiter, bucket = plain_limiter(10, 60.0)
    bucket.latency = lambda: 1.0
    await asyncio.gather(*(limiter.acquire(cost) for cost in (1, 2, 3)), limiter.acquire(amount=2))
    assert [[1, 2, 3, 2]] == bucket.calls
    assert 8 == limiter.stats().used


@virtual
async def test_there_is_never_more_than_one_call_under_way() -> None:
    limiter, bucket = plain_limiter(20, 10.0)
    bucket.latency = lambda: 0.5

    async def call() -> None:
        for _ in range(5):
            await limiter.acquire()
            await limiter.try_acquire()

    await asyncio.gather(*(call() for _ in range(10)))  # the bucket asserts it
    assert limiter.stats().granted_count >= 50


@virtual
async def test_only_the_head_sleeps_and_nobody_polls() -> None:
    limiter, bucket = plain_limiter(2, 10.0)
    admitted: list[float] = []

    async def call() -> None:
        await limiter.acquire()
        admitted.append(now() - 1000.0)

    await asyncio.gather(*(call() for _ in range(6)))
    assert [0.0, 0.0, 10.0, 10.0, 20.0, 20.0] == pytest.approx(admitted, abs=1e-4)
    assert 3 == len(bucket.calls)


@virtual
async def test_head_that_leaves_lets_those_behind_ask_at_once() -> None:
    limiter, _ = plain_limiter(3, 10.0)
    await limiter.acquire(2)
    large = asyncio.create_task(limiter.acquire(3))
    await asyncio.sleep(1)
    small = asyncio.create_task(limiter.acquire(1))
    await asyncio.sleep(1)
    large.cancel()
    await small
    assert 1002.0 == now()


@virtual
async def test_what_was_granted_to_a_caller_that_left_meanwhile_is_given_back() -> None:
    limiter, bucket = plain_limiter(3, 100.0)
    bucket.latency = lambda: 2.0
    gone = asyncio.create_task(limiter.acquire(3))
    late = asyncio.create_task(limiter.acquire(3, timeout=1.5))
    await asyncio.sleep(1.5)
    gone.cancel()
    await asyncio.wait([gone, late])
    assert isinstance(late.exception(), LimitTimeoutError)
    await limiter.acquire(3)
    assert now() < 1010.0
    assert (3, 3) == (bucket.kernel.used(now()), limiter.stats().granted_count)


@virtual
async def test_caller_cancelled_in_the_moment_of_its_grant_leaves_no_trace() -> None:
    limiter, bucket = plain_limiter(1, 100.0)
    victim = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    while limiter.stats().waiting_count:  # noqa: ASYNC110  # the turn of the loop matters
        await asyncio.sleep(0)
    victim.cancel()
    await asyncio.wait([victim])
    assert victim.cancelled()
    await asyncio.sleep(1)
    assert 0 == bucket.kernel.used(now()) == limiter.stats().granted_count


@virtual
async def test_timeout_of_zero_takes_only_what_fits_at_once() -> None:
    limiter, _ = plain_limiter(1, 10.0)
    await limiter.acquire(timeout=0)
    with pytest.raises(LimitTimeoutError):
        await limiter.acquire(timeout=0)
    assert 1000.0 == now()
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    assert 20.0 == await limiter.try_acquire()
    await waiter


@virtual
async def test_server_that_is_away_is_an_error_for_everybody_who_waits() -> None:
    limiter, bucket = plain_limiter(5, 10.0)
    bucket.fails = True
    results = await asyncio.gather(*(limiter.acquire() for _ in range(3)), return_exceptions=True)
    assert [LimiterUnavailableError] * 3 == [type(result) for result in results]
    assert results[0] is not results[1]
    for call in (limiter.try_acquire, limiter.acquire):
        with pytest.raises(LimiterUnavailableError, match="'plain' cannot be asked: away"):
            await call()
    bucket.fails = False
    await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire(5, timeout=1.0))
    await asyncio.sleep(0.1)
    bucket.fails = True
    with pytest.raises(LimiterUnavailableError):
        await limiter.try_acquire()
    with pytest.raises(LimitTimeoutError):  # it was to be asked again later than that
        await waiting


@virtual
async def test_allow_lets_every_call_through_and_tells_once(caplog: pytest.LogCaptureFixture) -> None:
    limiter, bucket = plain_limiter(1, 10.0, on_error="allow")
    bucket.fails = True
    with caplog.at_level(logging.WARNING, "mainspring.resilience"):
        await asyncio.gather(*(limiter.acquire() for _ in range(20)))
        assert 1 == len(bucket.calls)
        assert "the server is away" in repr(limiter)
        await asyncio.sleep(2)
        await limiter.acquire()
        assert 2 == len(bucket.calls)
        await asyncio.sleep(2)
        bucket.fails = False
        await limiter.acquire()
        assert 10.0 == await limiter.try_acquire()
    told = [record.getMessage() for record in caplog.records if record.name.startswith("mainspring.resilience")]
    assert ["every call is allowed", "the server answers again"] == [message.rsplit(": ", 1)[1] for message in told]


@virtual
async def test_local_limits_the_process_by_itself_and_counts_what_the_server_granted() -> None:
    limiter, bucket = plain_limiter(4, 10.0, on_error="local")
    await limiter.acquire(2)
    bucket.fails = True
    await asyncio.sleep(2)
    await limiter.acquire(2)
    assert 1002.0 == now()
    assert 8.0 == await limiter.try_acquire()
    waiter = asyncio.create_task(limiter.acquire(3))
    await asyncio.sleep(0.1)
    assert 9.9 == pytest.approx(await limiter.try_acquire(), abs=1e-3)
    await waiter
    assert 1012.0 == pytest.approx(now(), abs=1e-3)


@virtual
async def test_waiter_of_a_local_limit_cancelled_right_after_its_grant_is_uncounted() -> None:
    limiter, bucket = plain_limiter(1, 10.0, on_error="local")
    bucket.fails = True
    victim = asyncio.create_task(limiter.acquire())
    for _ in range(20):
        await asyncio.sleep(0)
        if limiter.stats().granted_count:
            break
    assert not victim.done()
    victim.cancel()
    await asyncio.wait([victim])
    assert victim.cancelled()
    assert limiter.stats().granted_count == 0
    assert await limiter.try_acquire() is None
    assert limiter.stats().used == 1


@virtual
async def test_try_acquire_beside_waiters_for_whom_nobody_asked_yet_is_counted_after_them() -> None:
    limiter, bucket = plain_limiter(3, 10.0)
    waiters = [asyncio.create_task(limiter.acquire()) for _ in range(2)]
    await asyncio.sleep(0)
    assert limiter.stats().waiting_count == 2
    assert await limiter.try_acquire() is None
    await asyncio.gather(*waiters)
    assert (bucket.kernel.used(now()), limiter.stats().granted_count) == (3, 3)
    assert 10.0 == await limiter.try_acquire()


@virtual
async def test_try_acquire_lets_a_sleeping_waiter_go_first_when_another_process_gave_back() -> None:
    limiter, bucket = plain_limiter(2, 10.0)
    granted_at = now()
    await limiter.acquire(2)
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(1)
    bucket.kernel.take_back(2, granted_at)
    assert await limiter.try_acquire() is None
    await waiter
    assert granted_at + 1.0 == now()
    assert (bucket.kernel.used(now()), limiter.stats().granted_count) == (2, 4)


@virtual
async def test_waiters_of_a_local_limit_go_back_to_the_server_when_it_is_there() -> None:
    limiter, bucket = plain_limiter(1, 100.0, on_error="local")
    bucket.fails = True
    await limiter.acquire()
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(5)
    bucket.fails = False
    await waiter
    assert now() < 1010.0


@virtual
async def test_plan_is_made_here_when_the_server_goes_away_meanwhile() -> None:
    limiter, bucket = plain_limiter(1, 10.0, on_error="local")
    await limiter.acquire()
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(1)
    bucket.fails = True
    assert 19.0 == await limiter.try_acquire()
    await waiter


@virtual
async def test_what_is_owed_to_a_server_that_is_away_waits_for_it() -> None:
    limiter, bucket = plain_limiter(1, 100.0, on_error="allow")
    bucket.latency = lambda: 1.0
    victim = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.9)
    victim.cancel()
    bucket.fails = True
    await asyncio.sleep(5)
    assert bucket.owes
    bucket.fails = False
    await limiter.acquire()
    assert not bucket.owes


@virtual
async def test_closing_sends_the_line_away_and_the_limiter_can_be_used_again() -> None:
    limiter, _ = plain_limiter(1, 10.0)
    await limiter.close()
    await limiter.acquire()
    waiters = [asyncio.create_task(limiter.acquire()) for _ in range(2)]
    await asyncio.sleep(1)
    await limiter.close()
    for waiter in waiters:
        with pytest.raises(ClosedError):
            await waiter
    await limiter.acquire()
    assert 1010.0 == pytest.approx(now(), abs=1e-3)


@virtual
async def test_closing_before_anybody_was_asked_for_leaves_a_limiter_that_can_be_used_again() -> None:
    limiter, _ = plain_limiter(1, 60.0)
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)  # it is in line; the task that asks has not begun
    await limiter.close()
    with pytest.raises(ClosedError):
        await waiter
    async with asyncio.timeout(1.0):
        await limiter.acquire()


def test_limiter_moves_on_to_the_next_loop() -> None:
    limiter, _ = plain_limiter(100, 10.0)

    async def call() -> None:
        async with limiter as entered:
            assert limiter is entered
        pending = asyncio.create_task(limiter.acquire(100, timeout=50.0))
        await asyncio.sleep(0.5)
        pending.cancel()

    for start in (1000.0, 2000.0):
        run_virtual(call(), start=start)


@virtual
async def test_line_is_bounded() -> None:
    limiter, _ = plain_limiter(1, 10.0, max_waiters=2)
    results = await asyncio.gather(*(limiter.acquire() for _ in range(3)), return_exceptions=True)
    assert [type(None), type(None), TooManyWaitersError] == [type(result) for result in results]


@pytest.mark.parametrize("seed", range(10))
def test_calls_that_take_their_time_lose_and_double_nothing(seed: int) -> None:
    """Random callers, cancellations and timeouts over a slow server: what was used is what was granted."""
    source = random.Random(seed)

    async def main() -> None:
        limiter, bucket = plain_limiter(6, 20.0)
        line = limiter._line = NotedLine()
        bucket.latency = lambda: source.choice((0.0, 0.1, 3.0))
        granted: list[tuple[float, int]] = []

        async def call() -> None:
            await asyncio.sleep(source.uniform(0, 60))
            cost = source.randint(1, 6)
            try:
                await limiter.acquire(cost, timeout=source.choice((None, None, 0.05, 2.0)))
            except LimitTimeoutError:
                return
            granted.append((line.place()[0].at_us or 0, cost))

        tasks = [asyncio.create_task(call()) for _ in range(50)]
        for _ in range(15):
            await asyncio.sleep(source.uniform(0, 6))
            source.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(10)
        assert sum(cost for _, cost in granted) == limiter.stats().granted_count
        assert not bucket.owes
        left = sum(cost for at, cost in granted if at + 20_000_000 > now() * 1e6)
        assert left == bucket.kernel.used(now())
        for at, _ in granted:
            assert sum(cost for other, cost in granted if at <= other < at + 20_000_000) <= 6

    run_virtual(main())


@virtual
async def test_counters_have_a_name() -> None:
    limiter = GlobalAsyncLimiter("redis://nowhere", "k", 3, statistic_name="api")
    with pytest.raises(InvalidArgumentError):
        await limiter.try_acquire(4)
    assert {"granted": 0, "waited": 0, "refused": 0, "timeouts": 0} == {
        result.metric: result.value for result in get_statistics(LimiterStatistic) if result.name == "api"
    }


def test_bucket_is_named_as_the_numbers_are_written() -> None:
    limiters = (
        GlobalAsyncLimiter("redis://nowhere", "k", 50, 60),
        GlobalAsyncLimiter("redis://nowhere", "k", 50, 60.0, prefix="MyApp"),
        GlobalAsyncLimiter("redis://nowhere", "k", 50, 0.5, algorithm="gcra"),
    )
    names = [limiter._bucket.name for limiter in limiters]
    assert ["GlobalLimiter:k|50|60", "MyApp:k|50|60.0", "GlobalLimiter:k|50|0.5|gcra"] == names
    assert "GlobalLimiter:k|50|60" == GlobalAsyncLimiter("redis://nowhere", "k", 50)._bucket.name


@virtual
async def test_wrong_arguments_are_refused_at_once() -> None:
    wrong: list[dict[str, Any]] = [
        {"max_rate": 0},
        {"time_period": 0},
        {"algorithm": "leaky"},
        {"on_error": "ignore"},
        {"redis_timeout": 0},
        {"max_waiters": 0},
        {"algorithm": "gcra", "burst": 0},
    ]
    right: dict[str, Any] = {"max_rate": 5}
    make: Callable[..., GlobalAsyncLimiter] = partial(GlobalAsyncLimiter, "redis://nowhere", "k")
    for arguments in wrong:
        with pytest.raises(InvalidArgumentError, match=list(arguments)[-1]):
            make(**(right | arguments))
    limiter, bucket = plain_limiter(3, 10.0)
    with pytest.raises(ValueError, match="amount=4"):
        await limiter.acquire(amount=4)
    assert [] == bucket.calls


@virtual
async def test_a_pump_that_ends_at_once_is_followed_by_another() -> None:
    """Where tasks can start eagerly; before Python 3.12 it begins a turn later."""
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
    limiter, bucket = plain_limiter(2, 10.0, on_error="allow")
    bucket.fails = True
    for _ in range(5):
        async with asyncio.timeout(1.0):
            await limiter.acquire()
    assert 5 == limiter.stats().granted_count
    assert 1 == len(bucket.calls)
