"""Random calls and jumps of the clock against the breaker, beside a model that keeps every call."""

import asyncio
import math
import random
from itertools import pairwise

import pytest
from tests.unit.resilience.support_time import now, run_virtual

from mainspring.base import use_random
from mainspring.errors import CircuitBroken
from mainspring.resilience import CircuitBreaker, CircuitBreakerStates

PASSING, BROKEN, RECOVERING = CircuitBreakerStates
RATIO, PASSING_TIME, BROKEN_TIME, RECOVERY_TIME = 0.5, 10.0, 4.0, 6.0
SLOW_TIME, SLOW_RATIO = 1.5, 0.4


def bucket_of(at: float) -> int:
    """Return the number of the bucket, of a tenth of PASSING_TIME, that a moment lies in."""
    return math.floor(at * 10 / PASSING_TIME)


class Model:
    """The rules of the states, over the full list of calls."""

    def __init__(self, min_calls: int | None, lots: random.Random) -> None:
        self.state = PASSING
        self.since = 0.0
        self.broken_for = BROKEN_TIME
        self.calls: list[tuple[float, int, bool, bool]] = []  # when, in which bucket, failed, slow
        self.min_calls = min_calls
        self.lots = lots

    def look(self, at: float) -> None:
        failed_ratio, slow_ratio, count = self.share(at)
        if self.state is PASSING:
            judged = bool(self.calls) and at >= self.calls[0][0] + PASSING_TIME
            if self.min_calls is not None:
                judged = count >= self.min_calls
            if judged and (failed_ratio > RATIO or slow_ratio > SLOW_RATIO):
                self.enter(BROKEN, at)
        elif self.state is BROKEN:
            if at >= self.since + self.broken_for:
                self.enter(RECOVERING, at)
        elif at >= self.since + RECOVERY_TIME:
            self.enter(PASSING if failed_ratio < RATIO and slow_ratio < SLOW_RATIO else BROKEN, at)

    def share(self, at: float) -> tuple[float, float, int]:
        window = self.calls
        if self.state is PASSING:
            newest = bucket_of(at)
            counted = set(range(newest - 9, newest + 1))  # ten buckets, the current one among them
            window = [call for call in self.calls if call[1] in counted]
            assert all(at - call[0] < PASSING_TIME for call in window)
        count = len(window)
        failed, slow = sum(call[2] for call in window), sum(call[3] for call in window)
        return failed / (count or 1), slow / (count or 1), count

    def enter(self, state: CircuitBreakerStates, at: float) -> None:
        self.state, self.since, self.calls, self.broken_for = state, at, [], BROKEN_TIME

    def admits(self, at: float) -> bool:
        if self.state is PASSING and not any(failed or slow for _, _, failed, slow in self.calls):
            return True  # nothing to look at
        self.look(at)
        if self.state is RECOVERING:
            return self.lots.random() + 1 < 2 ** ((at - self.since) / RECOVERY_TIME)
        return self.state is PASSING

    def ended(self, at: float, *, failed: bool, slow: bool = False, began: float = math.inf) -> None:
        if self.state is PASSING or (self.state is RECOVERING and began >= self.since):
            self.calls.append((at, bucket_of(at), failed, slow))
            if failed or slow:
                self.look(at)


async def _call(kind: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    if kind == "fail":
        raise OSError("down")
    if kind == "other":
        raise KeyError("other")
    if kind == "cancel":
        raise asyncio.CancelledError


async def _step(breaker: CircuitBreaker, model: Model, source: random.Random) -> None:
    kind = source.choice(("pass", "fail", "fail", "other", "cancel", "jump", "look", "open", "close", "close"))
    if kind in {"open", "close"} and source.random() < 0.8:
        kind = "fail"
    if kind == "jump":
        await asyncio.sleep(source.choice((0.25, 1.0, 3.0, 5.0, 25.0)))
    elif kind == "open":
        duration = source.choice((None, 2.0, 2.0, 9.0, 9.0))
        breaker.open(duration=duration)
        model.enter(BROKEN, now())
        model.broken_for = math.inf if duration is None else duration
    elif kind == "close":
        breaker.close()
        model.enter(PASSING, now())
    elif kind == "look":
        model.look(now())
        assert breaker.state is model.state
    else:
        expected = model.admits(now())
        seconds = source.choice((0.0, 0.0, 0.5))
        try:
            await breaker.call_async(_call, kind, seconds)
        except CircuitBroken:
            assert not expected
            return
        except (OSError, KeyError, asyncio.CancelledError):
            pass
        assert expected
        if kind != "cancel":
            model.ended(now(), failed=kind == "fail")
    assert breaker._state is model.state


@pytest.mark.parametrize("min_calls", [None, 3])
@pytest.mark.parametrize("seed", range(30))
def test_breaker_does_as_the_model_does(seed: int, min_calls: int | None) -> None:
    source = random.Random(seed)
    seen: set[CircuitBreakerStates] = set()

    async def main() -> None:
        breaker = CircuitBreaker(
            RATIO,
            PASSING_TIME,
            [OSError],
            broken_time=BROKEN_TIME,
            recovery_time=RECOVERY_TIME,
            min_calls=min_calls,
        )
        model = Model(min_calls, random.Random(seed))
        for _ in range(600):
            await _step(breaker, model, source)
            seen.add(model.state)

    with use_random(seed):
        run_virtual(main())
    assert seen == {PASSING, BROKEN, RECOVERING}


class Crowd:
    """Calls that are under way at the same time over one breaker, and end or are cancelled one by one."""

    def __init__(self, breaker: CircuitBreaker, model: Model, *, is_slow_judged: bool) -> None:
        self.breaker = breaker
        self.is_slow_judged = is_slow_judged
        self.model = model
        self.running: dict[asyncio.Task[None], tuple[asyncio.Future[None], float]] = {}

    async def start(self, how: str) -> None:
        expected = self.model.admits(now())
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(getattr(self, f"_by_{how}")(gate))
        await settle()
        refused = task.done() and isinstance(task.exception(), CircuitBroken)
        assert refused is not expected
        if expected:
            self.running[task] = (gate, now())

    async def end(self, task: "asyncio.Task[None]", kind: str) -> None:
        gate, began = self.running.pop(task)
        if kind == "cancel":
            task.cancel()
        elif kind == "pass":
            gate.set_result(None)
        else:
            gate.set_exception(OSError("down") if kind == "fail" else KeyError("other"))
        await settle()
        assert task.done()
        assert task.cancelled() or task.exception() is None or isinstance(task.exception(), OSError | KeyError)
        if kind != "cancel":
            slow = self.is_slow_judged and now() - began > SLOW_TIME
            self.model.ended(now(), failed=kind == "fail", slow=slow, began=began)

    async def _by_call(self, gate: "asyncio.Future[None]") -> None:
        async def wait() -> None:
            await gate

        await self.breaker.call_async(wait)

    async def _by_decorator(self, gate: "asyncio.Future[None]") -> None:
        @self.breaker
        async def wait() -> None:
            await gate

        await wait()

    async def _by_async_block(self, gate: "asyncio.Future[None]") -> None:
        async with self.breaker:
            await gate

    async def _by_context(self, gate: "asyncio.Future[None]") -> None:
        with self.breaker.context():
            await gate


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_slow_judged", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_breaker_does_as_the_model_does_with_many_calls_at_once(seed: int, is_slow_judged: bool) -> None:
    """Slow calls, failed ones and cancellations, through every way to call, while the clock jumps."""
    source = random.Random(seed)
    changes: list[tuple[CircuitBreakerStates, CircuitBreakerStates]] = []

    async def main() -> None:
        breaker = CircuitBreaker(
            RATIO,
            PASSING_TIME,
            [OSError],
            broken_time=BROKEN_TIME,
            recovery_time=RECOVERY_TIME,
            min_calls=3,
            slow_call_time=SLOW_TIME if is_slow_judged else None,
            slow_call_ratio=SLOW_RATIO,
        )
        breaker.add_listener(lambda before, after: changes.append((before, after)))
        crowd = Crowd(breaker, Model(3, random.Random(seed)), is_slow_judged=is_slow_judged)
        usual = ("pass", "pass") if is_slow_judged else ("fail", "fail")  # one rule or the other breaks the circuit
        for _ in range(400):
            kind = source.choice(("start", "start", "start", "end", "end", "jump"))
            if kind == "jump":
                await asyncio.sleep(source.choice((0.25, 0.25, 1.0, 2.0, 5.0)))
            elif kind == "start":
                await crowd.start(source.choice(("call", "decorator", "async_block", "context")))
            elif crowd.running:
                task = source.choice(list(crowd.running))
                await crowd.end(task, source.choice((*usual, "pass", "fail", "other", "cancel")))
            assert breaker._state is crowd.model.state
        for task in list(crowd.running):
            await crowd.end(task, "cancel")
        assert breaker._entered == {}

    with use_random(seed):
        run_virtual(main())
    assert {(PASSING, BROKEN), (BROKEN, RECOVERING)} <= set(changes)
    for (_, reached), (left, _) in pairwise(changes):
        assert reached is left
