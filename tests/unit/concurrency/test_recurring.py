"""RecurringCallback: the strategy says when, and whether."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from mainspring.concurrency import RecurringCallback
from mainspring.errors import InvalidArgumentError, StrategyException, StrategySkip, StrategyStop
from mainspring.testing import VirtualClock


def script(*answers: Any) -> Callable[[RecurringCallback], Any]:
    """A strategy that gives these answers, and then stops."""
    left = list(answers)

    def strategy(_: RecurringCallback) -> Any:
        answer = left.pop(0) if left else StrategyStop()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return strategy


async def test_the_strategy_says_when(virtual_clock: VirtualClock) -> None:
    at: list[float] = []
    recurring = RecurringCallback(lambda: at.append(virtual_clock.monotonic()), name="clockwork")
    assert "clockwork" in repr(recurring)
    await recurring.start(script(5, StrategySkip(3), 2.5, 0))
    assert [5.0, 10.5, 10.5] == at
    assert "calls=3" in repr(recurring)


async def test_strategies_and_functions_may_be_async(virtual_clock: VirtualClock) -> None:
    given: list[tuple[int, int]] = []

    async def call(first: int, *, second: int) -> None:
        given.append((first, second))

    async def strategy(callback: RecurringCallback) -> float:
        if given:
            raise StrategyException("enough")
        return 1

    await RecurringCallback(call, 1, second=2).start(strategy)
    assert [(1, 2)] == given


@pytest.mark.parametrize("answer", ["soon", None, float("nan"), StrategySkip("soon")])  # type: ignore[arg-type]
async def test_what_is_no_number_ends_it_with_a_warning(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    await RecurringCallback(int).start(script(answer, 0))
    assert "no number of seconds" in caplog.text


async def test_a_negative_number_counts_as_zero(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    await RecurringCallback(calls.append, 1).start(script(-5))
    assert [1] == calls
    assert "counts as 0" in caplog.text


async def test_errors_are_logged_unless_they_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    errors = [ValueError("loud"), KeyError("listed error"), asyncio.CancelledError("own")]

    async def fail() -> None:
        raise errors.pop(0)

    await RecurringCallback(fail).start(script(0, 0, 0), suppress_exceptions=(KeyError,))
    assert [] == errors
    assert "ValueError: loud" in caplog.text
    assert "listed error" not in caplog.text
    assert "was cancelled" in caplog.text


@pytest.mark.parametrize("shield", [False, True])
async def test_cancelling_the_task_ends_the_call_unless_it_is_shielded(
    virtual_clock: VirtualClock, shield: bool
) -> None:
    ended: list[bool] = []

    async def call() -> None:
        await asyncio.sleep(5)
        ended.append(True)

    task = RecurringCallback(call).start(script(1), shield=shield)
    await virtual_clock.advance(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    await virtual_clock.advance(10)
    assert [True] * shield == ended


async def test_cancelling_while_it_waits_ends_it(virtual_clock: VirtualClock) -> None:
    task = RecurringCallback(int).start(script(100))
    await virtual_clock.advance(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_start_works_before_the_loop_runs() -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        calls: list[int] = []
        task = RecurringCallback(calls.append, 1).start(script(0), loop)
        runner.run(asyncio.wait_for(task, 20))
        assert [1] == calls


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        RecurringCallback(3)  # type: ignore[arg-type]
