"""The breaker changes its state by the rules, counts what it should, and refuses without calling."""

import asyncio
import copy
import gc
import logging
import pickle
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from tests.unit.resilience.support_time import virtual

from mainspring.base import get_statistics, use_random
from mainspring.errors import CircuitBroken, InvalidArgumentError
from mainspring.resilience import (
    CircuitBreaker,
    CircuitBreakerStates,
    CircuitBreakerStatistic,
    cutout,
)

PASSING, BROKEN, RECOVERING = CircuitBreakerStates


def _fail(error: BaseException | None = None) -> None:
    raise error or OSError("down")


def _pass() -> str:
    return "up"


async def _fail_async() -> None:
    await asyncio.sleep(0)
    raise OSError("down")


async def _break(breaker: CircuitBreaker, seconds: int = 10) -> None:
    """Let a call fail each second for longer than the window."""
    for _ in range(seconds):
        with pytest.raises(OSError, match="down"):
            breaker.call(_fail)
        await asyncio.sleep(1)


@virtual
async def test_passing_is_judged_when_it_lasted_passing_time() -> None:
    breaker = CircuitBreaker(0.5, 10)
    assert breaker.get_state_delay() == 10.0
    for _ in range(10):
        with pytest.raises(OSError, match="down"):
            await breaker.call_async(_fail_async)
        assert breaker.state is PASSING
        await asyncio.sleep(1)
    assert breaker.state is BROKEN
    assert breaker.get_state_delay() == 10.0


@virtual
async def test_failures_older_than_passing_time_do_not_count() -> None:
    breaker = CircuitBreaker(0.5, 1, passing_time=10)
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            breaker.call(_fail)
    await asyncio.sleep(10.9)
    assert breaker.state is PASSING
    assert breaker.stats().total_count == 0


@virtual
async def test_share_at_the_ratio_keeps_passing_and_above_it_breaks() -> None:
    for failed, expected in ((5, PASSING), (6, BROKEN)):
        breaker = CircuitBreaker(0.5, 10)
        breaker.call(_pass)  # from here on passing_time runs; ten seconds later this call is forgotten
        await asyncio.sleep(1)
        for number in range(10):
            if number < failed:
                with pytest.raises(OSError, match="down"):
                    breaker.call(_fail)
            else:
                breaker.call(_pass)
        await asyncio.sleep(8.5)
        assert breaker.state is PASSING
        await asyncio.sleep(0.5)
        assert breaker.state is expected


@virtual
async def test_broken_refuses_without_calling_then_recovers() -> None:
    breaker = CircuitBreaker(0.5, 10, broken_time=5, recovery_time=8)
    await _break(breaker)
    called: list[int] = []
    with pytest.raises(CircuitBroken, match="calls are refused for 5 s, last failure: OSError") as caught:
        breaker.call(called.append, 1)
    assert called == []
    assert caught.value.retry_after == 5.0
    assert isinstance(caught.value.last_exception, OSError)
    assert caught.value.__cause__ is caught.value.last_exception
    await asyncio.sleep(5)
    assert breaker.state is RECOVERING
    assert breaker.get_state_delay() == 8.0


@virtual
async def test_recovering_lets_a_growing_share_through() -> None:
    breaker = CircuitBreaker(0.5, 1000, min_calls=1, broken_time=1)
    shares: list[float] = []
    waits: set[float] = set()
    with use_random(1):
        with pytest.raises(OSError, match="down"):
            breaker.call(_fail)
        await asyncio.sleep(1)
        for _ in range(4):
            passed = 0
            for _ in range(400):
                try:
                    breaker.call(_pass)
                except CircuitBroken as refused:
                    waits.add(refused.retry_after)
                else:
                    passed += 1
            shares.append(passed / 400)
            await asyncio.sleep(300)
    assert shares[0] == 0.0
    assert waits == {0.0}
    for share, expected in zip(shares[1:], (0.231, 0.516, 0.866), strict=True):
        assert share == pytest.approx(expected, abs=0.08)


@virtual
async def test_recovering_ends_in_passing_or_broken() -> None:
    for failing, expected in ((True, BROKEN), (False, PASSING)):
        breaker = CircuitBreaker(0.5, 10, min_calls=1)
        with pytest.raises(OSError, match="down"):
            breaker.call(_fail)
        await asyncio.sleep(10)
        assert breaker.state is RECOVERING
        await asyncio.sleep(9.9)
        with use_random(3):
            for _ in range(20):
                try:
                    breaker.call(_fail if failing else _pass)
                except (OSError, CircuitBroken):
                    pass
        assert breaker.state is RECOVERING
        await asyncio.sleep(0.2)
        assert breaker.state is expected


@virtual
async def test_recovering_without_calls_ends_in_passing() -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=1)
    with pytest.raises(OSError, match="down"):
        breaker.call(_fail)
    await asyncio.sleep(50)
    assert breaker.state is RECOVERING
    await asyncio.sleep(10)
    assert breaker.state is PASSING


@virtual
async def test_min_calls_judges_as_soon_as_so_many_ended() -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=3)
    assert breaker.get_state_delay() == 0.0
    breaker.call(_pass)
    for expected in (PASSING, BROKEN):
        with pytest.raises(OSError, match="down"):
            breaker.call(_fail)
        assert breaker.state is expected


@virtual
async def test_circuit_breaks_also_when_calls_are_rare() -> None:
    breaker = CircuitBreaker(0.5, 30)
    for _ in range(3):
        assert breaker.state is PASSING
        with pytest.raises(OSError, match="down"):
            breaker.call(_fail)
        await asyncio.sleep(11)
    assert breaker.state is BROKEN


@virtual
async def test_failures_leave_the_window() -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=2)
    with pytest.raises(OSError, match="down"):
        breaker.call(_fail)
    await asyncio.sleep(11)
    with pytest.raises(OSError, match="down"):
        breaker.call(_fail)
    assert breaker.state is PASSING
    breaker.call(_pass)
    stats = breaker.stats()
    assert (stats.state, stats.total_count, stats.failed_ratio) == (PASSING, 2, 0.5)
    assert repr(breaker) == "<CircuitBreaker PASSING, 2 calls, 50% failed>"


@virtual
async def test_only_listed_exceptions_are_failures() -> None:
    breaker = CircuitBreaker(0.5, 10, exceptions=[OSError, KeyError], min_calls=1)
    error: BaseException
    for error in (ValueError("other"), RuntimeError("other")):
        with pytest.raises(type(error)):
            breaker.call(_fail, error)
    assert (breaker.stats().total_count, breaker.stats().failed_ratio) == (2, 0.0)
    for error in (asyncio.CancelledError(), CircuitBroken(retry_after=1.0), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            breaker.call(_fail, error)
    assert breaker.stats().total_count == 2


@virtual
async def test_refusal_of_an_inner_breaker_never_counts() -> None:
    inner = CircuitBreaker(0.5, 10)
    inner.open()
    outer = CircuitBreaker(0.5, 10, min_calls=1)
    for _ in range(5):
        with pytest.raises(CircuitBroken):
            await outer.call_async(inner.call_async, _pass)
    assert outer.stats().total_count == 0


@virtual
async def test_listed_cancellation_is_a_failure() -> None:
    breaker = CircuitBreaker(0.5, 10, exceptions=asyncio.CancelledError, min_calls=1)
    with pytest.raises(asyncio.CancelledError):
        breaker.call(_fail, asyncio.CancelledError())
    assert breaker.state is BROKEN


@virtual
async def test_inspector_decides_what_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    def inspect(error: OSError) -> bool:
        if "broken" in str(error):
            raise KeyError("inspector")
        return "real" in str(error)

    breaker = CircuitBreaker(0.9, 10, exceptions=[OSError], exception_inspector=inspect, min_calls=9)
    for text in ("harmless", "real", "broken inspector"):
        with pytest.raises(OSError, match=text):
            breaker.call(_fail, OSError(text))
    assert breaker.stats().total_count == 3
    assert breaker.stats().failed_ratio == pytest.approx(2 / 3)
    assert "exception_inspector failed" in caplog.text


@virtual
async def test_success_forgets_the_last_exception() -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=5)
    with pytest.raises(OSError, match="down"):
        breaker.call(_fail)
    breaker.call(_pass)
    breaker.open()
    with pytest.raises(CircuitBroken) as caught:
        breaker.call(_pass)
    assert caught.value.last_exception is None
    assert caught.value.__cause__ is None


@virtual
async def test_slow_calls_break_the_circuit() -> None:
    breaker = CircuitBreaker(0.5, 100, min_calls=2, slow_call_time=1.0, slow_call_ratio=0.6)

    async def slow() -> None:
        await asyncio.sleep(2)

    await breaker.call_async(slow)
    await breaker.call_async(asyncio.sleep, 0.5)
    assert (breaker.state, breaker.stats().slow_ratio) == (PASSING, 0.5)
    async with breaker:
        await asyncio.gather(breaker(slow)(), slow())
    assert breaker.state is BROKEN
    assert breaker._entered == {}


@virtual
async def test_nested_blocks_of_one_task_are_measured_each() -> None:
    breaker = CircuitBreaker(0.5, 100, min_calls=9, slow_call_time=1.0)
    async with breaker:
        async with breaker:
            await asyncio.sleep(0.5)
        await asyncio.sleep(1)
    assert (breaker.stats().total_count, breaker.stats().slow_ratio) == (2, 0.5)


@virtual
async def test_every_way_to_use_it_counts_a_call() -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=99, statistic_name="ways")

    @breaker
    async def guarded_async(value: int) -> int:
        return value

    @breaker
    def guarded(value: int) -> int:
        """Doc."""
        return value

    async def block() -> None:
        async with breaker:
            raise OSError("down")

    def context() -> None:
        with breaker.context():
            raise OSError("down")

    @breaker
    async def failing() -> None:
        raise OSError("down")

    assert (await guarded_async(1), guarded(2), guarded.__doc__) == (1, 2, "Doc.")
    assert await breaker.call_async(guarded_async, 3) == 3
    assert await breaker.call_async(lambda: 4) == 4
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_result(5)
    assert await breaker.call_async(lambda: future) == 5
    async with breaker as entered:
        assert entered is breaker
    with breaker.context():
        await asyncio.sleep(0)
    for way in (block(), failing(), breaker.call_async(_fail)):
        with pytest.raises(OSError, match="down"):
            await way
    with pytest.raises(OSError, match="down"):
        context()
    # guarded_async inside call_async counts twice
    assert breaker.stats().total_count == 12
    counters = {r.metric: r.value for r in get_statistics(CircuitBreakerStatistic) if r.name == "ways"}
    assert (counters["call_count"], counters["call_passing"]) == (12, 12)
    assert counters["error_ratio_threshold"] == 0.5
    assert counters["error_ratio"] > 0


@virtual
async def test_results_that_come_in_while_broken_are_dropped() -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=1, broken_time=5)
    slow = asyncio.create_task(breaker.call_async(asyncio.sleep, 2))
    failing = asyncio.create_task(breaker(_fail_later)())
    await asyncio.sleep(0)
    breaker.open(duration=4)
    await slow
    with pytest.raises(OSError, match="down"):
        await failing
    assert breaker.stats().total_count == 0
    await asyncio.sleep(2)
    assert breaker.state is RECOVERING


async def _fail_later() -> None:
    await asyncio.sleep(1)
    raise OSError("down")


@virtual
@pytest.mark.parametrize("how", ["call", "async block", "context"])
async def test_calls_from_before_the_break_do_not_count_while_recovering(how: str) -> None:
    breaker = CircuitBreaker(0.5, 10, broken_time=1, recovery_time=4)

    async def fail_late() -> None:
        await asyncio.sleep(2)
        raise OSError("hung")

    async def call() -> None:
        if how == "call":
            await breaker.call_async(fail_late)
        elif how == "context":
            with breaker.context():
                await fail_late()
        else:
            async with breaker:
                await fail_late()

    hung = [asyncio.create_task(call()) for _ in range(5)]
    await asyncio.sleep(0)
    breaker.open(duration=1)
    await asyncio.sleep(1)
    assert breaker.state is RECOVERING
    await asyncio.gather(*hung, return_exceptions=True)
    assert breaker.stats().total_count == 0
    await asyncio.sleep(2.9)
    with use_random(1), suppress(CircuitBroken, OSError):
        async with breaker:
            await asyncio.sleep(0)
            raise OSError("of now")
    assert breaker.stats().total_count == 1
    await asyncio.sleep(0.1)
    assert breaker.state is BROKEN


@virtual
async def test_open_holds_until_close() -> None:
    breaker = CircuitBreaker(0.5, 10)
    breaker.open()
    await asyncio.sleep(1e6)
    assert breaker.state is BROKEN
    assert breaker.get_state_delay() == float("inf")
    breaker.close()
    assert breaker.call(_pass) == "up"
    assert breaker.state is PASSING


@virtual
async def test_listeners_hear_each_change_and_cannot_break_it(caplog: pytest.LogCaptureFixture) -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=1)
    heard: list[tuple[CircuitBreakerStates, CircuitBreakerStates]] = []

    def listen(before: CircuitBreakerStates, after: CircuitBreakerStates) -> None:
        heard.append((before, after))
        raise KeyError("listener")

    breaker.add_listener(listen)
    with pytest.raises(OSError, match="down"):
        breaker.call(_fail)
    breaker.open(duration=1)
    await asyncio.sleep(1)
    assert breaker.state is RECOVERING
    breaker.close()
    assert heard == [(PASSING, BROKEN), (BROKEN, RECOVERING), (RECOVERING, PASSING)]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3


@virtual
async def test_recovering_counts_its_calls_by_how_they_end() -> None:
    breaker = CircuitBreaker(0.5, 10, min_calls=1, statistic_name="recovery")
    breaker.open(duration=1)
    await asyncio.sleep(1)
    assert breaker.state is RECOVERING
    await asyncio.sleep(9.99)
    with use_random(1), pytest.raises(OSError, match="down"):
        breaker.call(_fail)
    with use_random(1):
        assert breaker.call(_pass) == "up"
    counters = {r.metric: r.value for r in get_statistics(CircuitBreakerStatistic) if r.name == "recovery"}
    assert (counters["call_recovering"], counters["call_recovering_failed"], counters["call_recovering_ok"]) == (
        2,
        1,
        1,
    )


def test_needs_no_loop() -> None:
    breaker = CircuitBreaker(0.5, 10)
    assert breaker.call(_pass) == "up"
    assert "PASSING" in repr(breaker)
    assert list(CircuitBreakerStates) == [0, 1, 2]


async def test_a_block_that_another_task_leaves_keeps_nothing() -> None:
    """As an async generator that the loop closes, or a stream that its server does."""
    breaker = CircuitBreaker(0.9, 60.0)
    with suppress(OSError):
        async with breaker:
            raise OSError("makes it note when calls began")
    held: list[AsyncExitStack] = []

    async def enter() -> None:
        held.append(AsyncExitStack())
        await held[-1].enter_async_context(breaker)

    for _ in range(3):
        await asyncio.create_task(enter())
    for stack in held:
        await stack.aclose()
    await asyncio.sleep(0)  # a task is held by the turn that it woke
    gc.collect()
    assert 0 == len(breaker._entered)


def test_wrong_arguments_are_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"error_ratio": 5},
        {"error_ratio": 0},
        {"error_ratio": 1},
        {"response_time": 0},
        {"response_time": -1},
        {"exceptions": [int]},
        {"broken_time": -1},
        {"recovery_time": -1},
        {"passing_time": -1},
        {"exception_inspector": 1},
        {"min_calls": 0},
        {"slow_call_time": 0},
        {"slow_call_ratio": 2},
    ]
    for arguments in wrong:
        accepted: dict[str, Any] = {"error_ratio": 0.5, "response_time": 10}
        with pytest.raises(InvalidArgumentError) as caught:
            CircuitBreaker(**(accepted | arguments))
        assert isinstance(caught.value, ValueError)
    breaker = CircuitBreaker(0.5, 10, recovery_time=0, broken_time=0, passing_time=0)
    assert (breaker._recovery_time, breaker._broken_time, breaker._passing_time) == (10.0, 10.0, 10.0)
    with pytest.raises(InvalidArgumentError):
        breaker.add_listener(1)  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidArgumentError):
        breaker.open(duration=-1)


def test_refusal_survives_pickle() -> None:

    error = CircuitBroken(retry_after=2.0, last_exception=OSError("down"))
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(twin) == str(error)
        assert twin.retry_after == 2.0


@virtual
async def test_cutout_gives_each_function_a_breaker_of_its_own() -> None:
    decorate = cutout(0.5, 10, OSError, min_calls=1)

    @decorate
    async def first() -> None:
        raise OSError("down")

    @decorate
    def second() -> str:
        return "up"

    with pytest.raises(OSError, match="down"):
        await first()
    with pytest.raises(CircuitBroken):
        await first()
    assert second() == "up"


@virtual
async def test_cutout_without_exceptions_watches_every_exception() -> None:
    guarded = cutout(0.5, 10, min_calls=1)(_fail)
    with pytest.raises(KeyError):
        guarded(KeyError("any"))
    with pytest.raises(CircuitBroken):
        guarded()


def test_cutout_refuses_wrong_arguments_where_they_are_written() -> None:
    with pytest.raises(InvalidArgumentError):
        cutout(5, 10)
    with pytest.raises(InvalidArgumentError):
        cutout(0.5, 10)(5)  # type: ignore[type-var]  # pyright: ignore
