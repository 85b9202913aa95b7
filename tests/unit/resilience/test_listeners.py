"""Listeners of a breaker may be coroutine functions, and cannot break it."""

import asyncio
import logging

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import CircuitBreaker, CircuitBreakerStates, deadline, timeout

PASSING, BROKEN, RECOVERING = CircuitBreakerStates


@virtual
async def test_coroutine_functions_run_as_tasks_that_are_not_waited_for() -> None:
    breaker = CircuitBreaker(0.5, 10)
    heard: list[tuple[float, CircuitBreakerStates, float | None]] = []

    async def listen(before: CircuitBreakerStates, after: CircuitBreakerStates) -> None:
        await asyncio.sleep(2)
        heard.append((now() - 1000.0, after, deadline()))

    breaker.add_listener(listen)
    async with timeout(60):
        breaker.open(duration=1)
        await asyncio.sleep(1)
        assert breaker.state is RECOVERING
        assert [] == heard
        await asyncio.sleep(10)
    assert [(2.0, BROKEN, None), (3.0, RECOVERING, None)] == heard
    assert set() == breaker._listeners._tasks


@virtual
async def test_failing_task_is_logged_and_a_cancelled_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    breaker = CircuitBreaker(0.5, 10)

    async def fail(before: CircuitBreakerStates, after: CircuitBreakerStates) -> None:
        if after is PASSING:
            raise asyncio.CancelledError
        raise KeyError("listener")

    breaker.add_listener(fail)
    breaker.open()
    breaker.close()
    await asyncio.sleep(1)
    assert [logging.ERROR] == [record.levelno for record in caplog.records]


def test_coroutine_function_without_a_loop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    breaker = CircuitBreaker(0.5, 10)

    async def listen(before: CircuitBreakerStates, after: CircuitBreakerStates) -> None:
        raise NotImplementedError

    breaker.add_listener(listen)
    breaker.open()
    assert breaker.state is BROKEN
    assert ["a listener of a circuit breaker failed"] == caplog.messages


def test_listener_is_a_callable() -> None:
    with pytest.raises(InvalidArgumentError, match="listener="):
        CircuitBreaker(0.5, 10).add_listener(3)  # type: ignore[arg-type]  # what is tested
