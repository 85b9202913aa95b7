"""Random callers against `RateLimit`, beside a plain simulation of what must happen."""

import asyncio
import random
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import pytest
from tests.unit.resilience.support_time import now, run_virtual

from mainspring.errors import LimitTimeoutError
from mainspring.resilience import RateLimit

START = 1000.0


@dataclass
class Caller:
    """Who comes when, asks for what, and gives up when; no two give up at the same moment."""

    arrives: float
    cost: int
    timeout: float | None
    cancelled_at: float | None
    outcome: tuple[str, float] = ("", 0.0)


def _callers(source: random.Random, rate: int) -> list[Caller]:
    callers: list[Caller] = []
    at = START
    for number in range(source.randint(5, 40)):
        at += source.choice((0.0, 0.0, 0.25, 1.0, 3.0))
        timeout = source.choice((None, None, 0.25, 2.0, 5.0))
        if timeout is not None:
            timeout += number / 1024
        cancelled_at = at + source.randint(0, 30) / 4 + (number + 0.5) / 1024 if source.random() < 0.2 else None
        callers.append(Caller(at, source.randint(1, rate), timeout, cancelled_at))
    return callers


def _simulate(callers: list[Caller], rate: int, period: float) -> list[tuple[str, float]]:
    """Walk over all moments at which anything can happen; keep the whole log and the line as lists."""
    outcomes = [("", 0.0)] * len(callers)
    granted: list[tuple[float, int]] = []
    line: list[int] = []
    arrived: set[int] = set()
    moments = [caller.arrives for caller in callers]
    moments += [caller.arrives + caller.timeout for caller in callers if caller.timeout is not None]
    moments += [caller.cancelled_at for caller in callers if caller.cancelled_at is not None]

    def serve(at: float) -> None:
        while line:
            cost = callers[line[0]].cost
            used = sum(taken for time, taken in granted if time + period > at)
            if used + cost > rate:
                return
            granted.append((at, cost))
            heappush(moments, at + period)
            outcomes[line.pop(0)] = ("granted", at)

    def leave(number: int, reason: str, at: float) -> None:
        if number in line:
            line.remove(number)
            outcomes[number] = (reason, at)
            serve(at)

    heapify(moments)
    while moments:
        at = heappop(moments)
        serve(at)
        for number, caller in enumerate(callers):
            if caller.timeout is not None and caller.arrives + caller.timeout == at:
                leave(number, "timeout", at)
            if caller.cancelled_at == at:
                leave(number, "cancelled", at)
        for number, caller in enumerate(callers):
            if caller.arrives == at and number not in arrived:
                arrived.add(number)
                line.append(number)
                serve(at)
    return outcomes


async def _call(limit: RateLimit, caller: Caller) -> None:
    try:
        await limit.acquire(caller.cost, timeout=caller.timeout)
    except LimitTimeoutError:
        caller.outcome = ("timeout", now())
    except asyncio.CancelledError:
        caller.outcome = ("cancelled", now())
    else:
        caller.outcome = ("granted", now())


@pytest.mark.parametrize("seed", range(60))
def test_every_caller_fares_as_in_the_simulation(seed: int) -> None:
    source = random.Random(seed)
    rate, period = source.randint(1, 6), source.choice((0.5, 2.0, 10.0))
    callers = _callers(source, rate)

    async def main() -> None:
        limit = RateLimit(rate, period)
        tasks: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        for caller in callers:
            if caller.arrives > now():
                await asyncio.sleep(caller.arrives - now())
            tasks.append(asyncio.create_task(_call(limit, caller)))
            if caller.cancelled_at is not None:
                loop.call_at(caller.cancelled_at, tasks[-1].cancel)
        await asyncio.gather(*tasks)
        assert limit.stats().waiting_count == 0
        assert limit._timer is None
        granted = [(c.outcome[1], c.cost) for c in callers if c.outcome[0] == "granted"]
        assert sum(cost for _, cost in granted) == limit.stats().granted_count
        for end, _ in granted:
            assert sum(cost for at, cost in granted if at <= end and at + period > end) <= rate

    run_virtual(main())
    assert [caller.outcome for caller in callers] == _simulate(callers, rate, period)


@pytest.mark.parametrize("seed", range(30))
def test_retry_after_is_true(seed: int) -> None:
    source = random.Random(seed)
    rate, period = source.randint(1, 5), source.uniform(0.1, 100.0)

    async def main() -> None:
        limit = RateLimit(rate, period)
        tasks: list[asyncio.Task[None]] = []
        for _ in range(20):
            await asyncio.sleep(source.uniform(0, period))
            costs = [source.randint(1, rate) for _ in range(source.randint(0, 2))]
            tasks += [asyncio.create_task(limit.acquire(cost)) for cost in costs]
            await asyncio.sleep(0)
            cost = source.randint(1, rate)
            wait = limit.try_acquire(cost)
            if wait is not None:
                assert wait > 0
                await asyncio.sleep(wait)
                assert limit.try_acquire(cost) is None
        await asyncio.gather(*tasks)

    run_virtual(main(), start=source.uniform(0, 1e6))
