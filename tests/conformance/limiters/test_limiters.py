"""What every limiter promises, on virtual time."""

import asyncio
import math
import random

import pytest
from tests.conformance.limiters.support_subjects import PERIOD, SUBJECTS, Grant, Subject, attempt, now

from mainspring.errors import InvalidArgumentError, LimitTimeoutError
from mainspring.resilience import Limiter
from mainspring.testing import VirtualClock

every_limiter = pytest.mark.parametrize("subject", SUBJECTS, ids=str)
TICK = 4e-6
"""Seconds by which a timer may be late on the virtual clock, which moves in whole microseconds."""


async def fill(subject: Subject, limiter: Limiter) -> None:
    """Take what can be taken now."""
    while await attempt(limiter, 1) is None:
        pass


async def hold(subject: Subject, limiter: Limiter, cost: int, seconds: float, grants: list[Grant]) -> None:
    await limiter.acquire(cost)
    grants.append(Grant(now(), cost, now() + seconds))
    await asyncio.sleep(seconds)
    subject.release(limiter, cost)


@every_limiter
@pytest.mark.parametrize("seed", range(12))
async def test_never_more_than_the_limit_in_any_window(
    subject: Subject, seed: int, virtual_clock: VirtualClock
) -> None:
    source = random.Random(seed)
    limiter = subject.make()
    grants: list[Grant] = []

    async def call() -> None:
        await asyncio.sleep(source.uniform(0, 60) if source.random() < 0.7 else source.choice((0.0, 8.0, 20.0)))
        cost, timeout = source.randint(1, subject.limit), source.choice((None, None, 0.0, 3.0))
        try:
            await limiter.acquire(cost, timeout=timeout)
        except LimitTimeoutError:
            return
        began = now()
        try:
            await asyncio.sleep(source.choice((0.125, 0.5, 3.0)))
        finally:
            grants.append(Grant(began, cost, now()))
            subject.release(limiter, cost)

    tasks = [asyncio.create_task(call()) for _ in range(60)]
    for _ in range(10):
        await asyncio.sleep(source.uniform(0, 8))
        source.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(grants) > 10
    assert 0 == subject.excess(grants)
    assert 0 == limiter.stats().waiting_count


@every_limiter
async def test_first_come_first_served(subject: Subject, virtual_clock: VirtualClock) -> None:
    limiter = subject.make()
    order: list[int] = []

    async def call(number: int, cost: int) -> None:
        await limiter.acquire(cost)
        order.append(number)
        await asyncio.sleep(1.0)
        subject.release(limiter, cost)

    source = random.Random(4)
    tasks: list[asyncio.Task[None]] = []
    for number in range(40):
        tasks.append(asyncio.create_task(call(number, source.randint(1, subject.limit))))
        await asyncio.sleep(source.choice((0.0, 0.0, 0.25)))
    await asyncio.gather(*tasks)
    assert list(range(40)) == order


@every_limiter
@pytest.mark.parametrize("moment", [0.0, 0.5, "granted"])
async def test_cancelled_waiter_leaves_no_trace(
    subject: Subject, moment: float | str, virtual_clock: VirtualClock
) -> None:
    async def run(*, with_victim: bool) -> tuple[list[Grant], int, int]:
        limiter, grants = subject.make(), list[Grant]()
        began = now()
        tasks = [asyncio.create_task(hold(subject, limiter, subject.limit, 1.0, grants)) for _ in range(2)]
        await asyncio.sleep(0)
        victim = asyncio.create_task(limiter.acquire(subject.limit)) if with_victim else None
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(hold(subject, limiter, 1, 1.0, grants)) for _ in range(3)]
        if victim is not None:
            await _cancel(limiter, victim, moment)
        await asyncio.gather(*tasks)
        stats = limiter.stats()
        assert 0 == stats.waiting_count
        return [Grant(round(g.at - began, 5), g.cost, 0.0) for g in grants], stats.used, stats.granted_count

    alone = await run(with_victim=False)
    await asyncio.sleep(10 * PERIOD - now() % PERIOD)
    assert alone == await run(with_victim=True)


async def _cancel(limiter: Limiter, victim: "asyncio.Task[None]", moment: float | str) -> None:
    if isinstance(moment, float):
        await asyncio.sleep(moment)
    else:
        # Right after its grant, before it could run.
        before = limiter.stats().waiting_count
        while limiter.stats().waiting_count == before or victim.done():
            await asyncio.sleep(0.01)
            before = max(before, limiter.stats().waiting_count)
    victim.cancel()
    await asyncio.wait([victim])


@every_limiter
async def test_cost_above_the_limit_is_refused_at_once(subject: Subject, virtual_clock: VirtualClock) -> None:
    limiter = subject.make()
    await fill(subject, limiter)
    before = limiter.stats()
    for cost in (subject.limit + 1, 10**9, 0, -1):
        with pytest.raises(InvalidArgumentError, match="cost="):
            await limiter.acquire(cost)
        with pytest.raises(InvalidArgumentError, match="cost="):
            await attempt(limiter, cost)
    assert 0.0 == now()
    assert before == limiter.stats()


@every_limiter
async def test_timeout_is_exact(subject: Subject, virtual_clock: VirtualClock) -> None:
    limiter = subject.make()
    await fill(subject, limiter)
    before = limiter.stats()
    for timeout in (0.0, 0.125, 0.25):
        began = now()
        with pytest.raises(LimitTimeoutError):
            await limiter.acquire(subject.limit, timeout=timeout)
        assert began + timeout == now()
    with pytest.raises(InvalidArgumentError, match="timeout="):
        await limiter.acquire(timeout=-1.0)
    after = limiter.stats()
    assert (before.used, before.granted_count, 0, 3) == (
        after.used,
        after.granted_count,
        after.waiting_count,
        after.timeout_count,
    )


@every_limiter
@pytest.mark.parametrize("seed", range(8))
async def test_retry_after_is_true(subject: Subject, seed: int, virtual_clock: VirtualClock) -> None:
    """After the wait it fits, and a moment before it does not."""
    source = random.Random(seed)
    limiter = subject.make()
    refused = 0
    for _ in range(20):
        await asyncio.sleep(source.uniform(0, PERIOD / 4))
        waiting = [
            asyncio.create_task(limiter.acquire()) for _ in range(source.choice((0, 0, 2)) * (not subject.holds))
        ]
        await asyncio.sleep(0)
        cost = source.randint(1, subject.limit)
        wait = await attempt(limiter, cost)
        if wait is None:
            continue
        refused += 1
        if subject.holds:
            assert math.inf == wait
            subject.release(limiter, limiter.stats().used)
        else:
            assert wait > 0
            if not waiting and wait > 0.01:
                await asyncio.sleep(wait - 0.005)
                assert await attempt(limiter, cost) is not None
                await asyncio.sleep(0.005 + TICK)
            else:
                await asyncio.sleep(wait + 3 * TICK)
        assert await attempt(limiter, cost) is None
        await asyncio.gather(*waiting)
    assert refused > 3


@every_limiter
async def test_statistics_count_what_happened(subject: Subject, virtual_clock: VirtualClock) -> None:
    limiter = subject.make()
    assert isinstance(limiter, Limiter)
    async with limiter as entered:
        assert limiter is entered
        inside = limiter.stats()
    assert (1, 1, subject.limit) == (inside.used, inside.granted_count, inside.limit)
    await fill(subject, limiter)
    stats = limiter.stats()
    assert (1, 0, 0) == (stats.refused_count, stats.timeout_count, stats.waiting_count)
    assert subject.limit == stats.used
    assert type(limiter).__name__ in repr(limiter)
