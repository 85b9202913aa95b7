"""The five rules of `asyncbackoff`, one test each, and what follows from them."""

import asyncio
from typing import Any

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.base import get_statistics
from mainspring.errors import InvalidArgumentError, NotCoroutineFunctionError
from mainspring.resilience import BackoffStatistic, RetryStatistic, asyncbackoff, asyncretry


class Calls:
    """Raises each error in turn after `duration` seconds, then returns; remembers when it was called."""

    def __init__(self, *errors: Exception, duration: float = 0.0) -> None:
        self.errors = list(errors)
        self.duration = duration
        self.at: list[float] = []

    async def __call__(self) -> str:
        self.at.append(now() - 1000.0)
        await asyncio.sleep(self.duration)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@virtual
async def test_rule_1_call_is_cancelled_after_deadline() -> None:
    calls = Calls(duration=10)
    with pytest.raises(TimeoutError):
        await asyncbackoff(None, 3)(calls)()
    assert now() == 1003.0
    assert calls.at == [0.0]


@virtual
async def test_the_error_of_the_deadline_names_the_function() -> None:
    @asyncbackoff(None, 3)
    async def fetch() -> None:
        await asyncio.sleep(10)

    with pytest.raises(TimeoutError, match=r"fetch\(\) did not end within 3 s"):
        await fetch()


@virtual
async def test_rule_2_attempt_is_cancelled_after_attempt_timeout_and_made_anew() -> None:
    calls = Calls(duration=10)
    with pytest.raises(TimeoutError):
        await asyncbackoff(2, None, max_tries=3)(calls)()
    assert calls.at == [0.0, 2.0, 4.0]
    assert now() == 1006.0


@virtual
async def test_rule_3_attempts_are_pause_seconds_apart() -> None:
    calls = Calls(OSError(), OSError())
    assert await asyncbackoff(1, 10, 0.5, OSError)(calls)() == "done"
    assert calls.at == [0.0, 0.5, 1.0]


@virtual
async def test_rule_4_there_are_at_most_max_tries_attempts() -> None:
    calls = Calls(*(OSError(number) for number in range(1, 9)))
    with pytest.raises(OSError, match="3"):
        await asyncbackoff(1, 10, exceptions=[OSError], max_tries=3)(calls)()
    assert len(calls.at) == 3


@virtual
async def test_rule_5_giveup_ends_the_attempts() -> None:
    calls = Calls(OSError("again"), OSError("no"))
    with pytest.raises(OSError, match="no"):
        await asyncbackoff(1, 10, 0, OSError, giveup=lambda error: "no" in str(error))(calls)()
    assert len(calls.at) == 2


@virtual
async def test_timeout_error_of_the_function_is_always_tried_again() -> None:
    calls = Calls(TimeoutError(), TimeoutError())
    assert await asyncbackoff(None, None)(calls)() == "done"
    assert len(calls.at) == 3


@virtual
async def test_other_exceptions_pass_at_once() -> None:
    calls = Calls(KeyError())
    with pytest.raises(KeyError):
        await asyncbackoff(1, 10, 0, OSError)(calls)()
    assert len(calls.at) == 1


@virtual
async def test_what_is_no_exception_passes_even_when_it_is_listed() -> None:
    calls: list[int] = []

    @asyncbackoff(None, None, 0, KeyboardInterrupt)  # type: ignore[arg-type]  # pyright: ignore
    async def interrupted() -> None:
        calls.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await interrupted()
    assert len(calls) == 1


@virtual
async def test_deadline_raises_the_last_failure_and_counts_pauses() -> None:
    calls = Calls(OSError(1), OSError(2), OSError(3))
    with pytest.raises(OSError, match="2"):
        await asyncbackoff(None, 3, 2, OSError)(calls)()
    assert calls.at == [0.0, 2.0]
    assert now() == 1003.0


@virtual
async def test_deadline_of_zero_is_a_timeout_without_a_call() -> None:
    calls = Calls()
    with pytest.raises(TimeoutError):
        await asyncbackoff(None, 0)(calls)()
    assert calls.at == []


@virtual
async def test_timeout_of_an_attempt_passes_while_the_deadline_is_not_reached() -> None:
    with pytest.raises(TimeoutError):
        await asyncbackoff(1, 10, max_tries=1)(Calls(duration=5))()
    assert now() == 1001.0


@virtual
async def test_cancellation_passes() -> None:
    decorate = asyncbackoff(None, 10, statistic_name="cancelled")
    task = asyncio.create_task(decorate(Calls(duration=5))())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _counters(BackoffStatistic, "cancelled")["cancels"] == 1


@virtual
async def test_asyncretry_repeats_without_limits_of_time() -> None:
    calls = Calls(ValueError(), KeyError(), duration=100)
    decorated = asyncretry(3, statistic_name="retries")(calls)
    assert await decorated() == "done"
    assert len(calls.at) == 3
    with pytest.raises(KeyError):
        await asyncretry(2)(Calls(KeyError(), KeyError()))()
    counters = _counters(RetryStatistic, "retries")
    assert (counters["attempts"], counters["done"], counters["sum_time"]) == (3, 1, 300.0)


@virtual
async def test_asyncretry_catches_only_what_is_listed() -> None:
    with pytest.raises(KeyError):
        await asyncretry(None, exceptions=(ConnectionError,), pause=1)(Calls(ConnectionError(), KeyError()))()
    assert now() == 1001.0


def test_wrong_arguments_are_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"attempt_timeout": -1, "deadline": 1},
        {"attempt_timeout": 1, "deadline": -1},
        {"attempt_timeout": 1, "deadline": 1, "pause": -1},
        {"attempt_timeout": 1, "deadline": 1, "max_tries": 0},
        {"attempt_timeout": 1, "deadline": 1, "giveup": 1},
        {"attempt_timeout": 1, "deadline": 1, "exceptions": [1]},
        {"attempt_timeout": 1, "deadline": 1, "exceptions": [BaseException]},
    ]
    for arguments in wrong:
        with pytest.raises(InvalidArgumentError) as caught:
            asyncbackoff(**arguments)
        assert isinstance(caught.value, ValueError)
    with pytest.raises(NotCoroutineFunctionError):
        asyncbackoff(1, 1)(lambda: None)  # type: ignore[arg-type, return-value]  # pyright: ignore


def _counters(kind: type[BackoffStatistic], name: str) -> dict[str, float]:
    return {result.metric: result.value for result in get_statistics(kind) if result.name == name}
