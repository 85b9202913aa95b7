"""The names of the older libraries that are about failure and load, and the `Backoff` of aiomisc."""

import asyncio
import importlib
from typing import Any

import pytest

from mainspring.base import get_statistics
from mainspring.compat import aiomisc
from mainspring.compat.aiomisc.backoff import Backoff, BackoffStatistic
from mainspring.errors import InvalidArgumentError, MisuseError, NotCoroutineFunctionError
from mainspring.testing import VirtualClock

NAMES = {
    "aiomisc": "CircuitBreaker CircuitBroken PoolBase asyncbackoff asyncretry cutout timeout",
    "aiomisc.backoff": "Backoff BackoffExecution BackoffStatistic RetryStatistic asyncbackoff asyncretry",
    "aiomisc.circuit_breaker": "CircuitBreaker CircuitBreakerStates CircuitBreakerStatistic CircuitBroken cutout",
    "aiomisc.pool": "PoolBase",
    "aiomisc.timeout": "timeout",
    "mutil.ratelimit": "RateLimit",
    "pyutils": "GlobalAsyncLimiter",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_they_were(module: str) -> None:
    found = importlib.import_module(f"mainspring.compat.{module}")
    assert [] == [name for name in NAMES[module].split() if getattr(found, name) is None]


def test_timeout_is_the_function_also_when_its_module_is_imported() -> None:
    module = importlib.import_module("mainspring.compat.aiomisc.timeout")
    assert aiomisc.timeout is module.timeout
    assert aiomisc.timeout is not module
    untyped: Any = aiomisc.timeout(1)
    with pytest.raises(NotCoroutineFunctionError):
        untyped(print)


async def test_timeout_limits_a_call(virtual_clock: VirtualClock) -> None:
    @aiomisc.timeout(value=2)
    async def slow() -> None:
        await asyncio.sleep(60)

    with pytest.raises(asyncio.TimeoutError):
        await slow()
    assert 2.0 == virtual_clock.monotonic()


class Flaky:
    """Fails so often, then returns its arguments."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def call(self, *args: int, **kwargs: int) -> tuple[tuple[int, ...], dict[str, int]]:
        self.failures -= 1
        if self.failures >= 0:
            raise ConnectionError(f"{self.failures} left")
        return args, kwargs


async def test_backoff_decorates_and_executes(virtual_clock: VirtualClock) -> None:
    backoff = Backoff(None, 100, 1.5, (ConnectionError,), statistic_name="api")
    assert ((1,), {"b": 2}) == await backoff(Flaky(2).call)(1, b=2)
    assert ((1,), {"b": 2}) == await backoff.execute(Flaky(1).call, 1, b=2)
    assert 4.5 == virtual_clock.monotonic()
    counted = {result.metric: result.value for result in get_statistics(BackoffStatistic) if result.name == "api"}
    assert {"done": 2, "attempts": 5, "cancels": 0, "errors": 0, "sum_time": 4.5} == counted


async def test_execution_tells_how_it_went_and_is_for_one_call(virtual_clock: VirtualClock) -> None:
    execution = Backoff(None, None, 1, (ConnectionError,), max_tries=3).prepare(Flaky(2).call)
    assert (None, 0) == (execution.last_exception, execution.total_tries)
    assert ((7,), {}) == await execution(7)
    assert "0 left" == str(execution.last_exception)
    assert 3 == execution.total_tries
    with pytest.raises(MisuseError):
        await execution(7)


async def test_execution_keeps_the_failure_that_ended_it(virtual_clock: VirtualClock) -> None:
    async def wrong() -> None:
        raise KeyError("a")

    for function, kind in ((wrong, KeyError), (Flaky(5).call, ConnectionError)):
        backoff = Backoff(1.0, None, 1, exceptions=(ConnectionError,), max_tries=2, giveup=lambda error: False)
        execution = backoff.prepare(function)
        with pytest.raises(kind):
            await execution()
        assert isinstance(execution.last_exception, kind)


async def test_execution_notes_attempts_that_took_too_long(virtual_clock: VirtualClock) -> None:
    seen: list[object] = []

    async def slow() -> None:
        seen.append(execution.last_exception)
        await asyncio.sleep(60)

    execution = Backoff(2.0, 5.0, 1.0).prepare(slow)
    with pytest.raises(TimeoutError):
        await execution()
    assert 2 == execution.total_tries
    assert [None, TimeoutError] == [seen[0], TimeoutError if isinstance(seen[1], TimeoutError) else seen[1]]


def test_backoff_refuses_what_cannot_work() -> None:
    wrong: list[dict[str, Any]] = [
        {"attempt_timeout": -1},
        {"deadline": -1},
        {"pause": -1},
        {"max_tries": 0},
        {"giveup": 3},
        {"exceptions": (asyncio.CancelledError,)},
    ]
    make: Any = Backoff
    for arguments in wrong:
        with pytest.raises(InvalidArgumentError):
            make(**({"attempt_timeout": 1, "deadline": 1} | arguments))
