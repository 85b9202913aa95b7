"""aggregate collects calls into batches; every caller gets its own result."""

import asyncio
import contextvars
from collections.abc import Awaitable
from typing import Any

import pytest

from mainspring.base import get_statistics
from mainspring.concurrency import AggregateStatistic, Arg, aggregate, aggregate_async
from mainspring.errors import InvalidArgumentError, NotCoroutineFunctionError, ResultNotSetError
from mainspring.testing import VirtualClock, eventually

number = contextvars.ContextVar("number", default=0)


class Squares:
    """Squares numbers in batches and remembers them."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0
        self.error: BaseException | None = None

    async def square(self, *numbers: int, power: int = 2) -> list[int]:
        """Square."""
        self.batches.append(numbers)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return [n**power for n in numbers]


async def collect(*calls: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_calls_of_one_window_are_one_batch(virtual_clock: VirtualClock) -> None:
    squares = Squares()
    square = aggregate(leeway_ms=10)(squares.square)
    assert [0, 1, 4] == await collect(*(square(n) for n in range(3)))
    assert [(0, 1, 2)] == squares.batches
    assert 0.01 == virtual_clock.monotonic()
    assert [9] == await collect(square(3))
    assert [(0, 1, 2), (3,)] == squares.batches
    assert ("square", "Square.") == (square.__name__, square.__doc__)


async def test_a_full_batch_does_not_wait(virtual_clock: VirtualClock) -> None:
    squares = Squares()
    square = aggregate(1000, 2)(squares.square)
    assert [0, 1, 4, 9, 16] == await collect(*(square(n) for n in range(5)))
    assert [(0, 1), (2, 3), (4,)] == squares.batches
    assert 1.0 == virtual_clock.monotonic()


async def test_an_error_is_everybodys() -> None:
    squares = Squares()
    squares.error = KeyError("gone")
    square = aggregate(1)(squares.square)
    assert [squares.error] * 3 == await collect(*(square(n) for n in range(3)))


async def test_a_cancelled_caller_neither_stops_nor_repeats_the_batch() -> None:
    squares = Squares()
    squares.gate.clear()
    square = aggregate(1, 3)(squares.square)
    calls = [asyncio.ensure_future(square(n)) for n in range(3)]
    await eventually(lambda: squares.batches)
    calls[0].cancel()
    await asyncio.sleep(0)
    squares.gate.set()
    assert [1, 4] == (await collect(*calls))[1:]
    assert [(0, 1, 2)] == squares.batches
    assert 0 == squares.cancelled


async def test_a_caller_cancelled_before_the_batch_is_left_out(virtual_clock: VirtualClock) -> None:
    squares = Squares()
    square = aggregate(10)(squares.square)
    calls = [asyncio.ensure_future(square(n)) for n in range(3)]
    await asyncio.sleep(0.01)
    calls[1].cancel()
    asyncio.get_running_loop().call_soon(squares.gate.set)
    assert [0, 4] == (await collect(*calls))[::2]
    assert squares.batches in ([(0, 2)], [(0, 1, 2)])


async def test_a_caller_cancelled_at_the_very_moment_takes_nobody_along() -> None:
    """Its future is done when the batch starts, its coroutine hears of it afterwards."""
    squares = Squares()
    square = aggregate(100_000, 3)(squares.square)
    calls = [asyncio.ensure_future(square(n)) for n in range(2)]
    await asyncio.sleep(0)
    last = asyncio.ensure_future(square(2))
    calls[0].cancel()
    assert 4 == await last
    assert 1 == await calls[1]
    assert [(1, 2)] == squares.batches


async def test_the_batch_is_cancelled_with_its_last_caller() -> None:
    squares = Squares()
    squares.gate.clear()
    square = aggregate(1, 3)(squares.square)
    calls = [asyncio.ensure_future(square(n)) for n in range(3)]
    await eventually(lambda: squares.batches)
    for call in calls:
        call.cancel()
    await collect(*calls)
    await asyncio.sleep(0)
    assert 1 == squares.cancelled


async def test_nobody_left_means_no_call(virtual_clock: VirtualClock) -> None:
    squares = Squares()
    square = aggregate(10)(squares.square)
    call = asyncio.ensure_future(square(1))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.sleep(1)
    assert [] == squares.batches


async def test_a_function_that_cancels_itself_cancels_its_callers() -> None:
    squares = Squares()
    squares.error = asyncio.CancelledError()
    square = aggregate(1)(squares.square)
    call = asyncio.ensure_future(square(1))
    await asyncio.wait({call})
    assert call.cancelled()


async def test_missing_results_are_errors() -> None:
    @aggregate(1)
    async def first_only(*numbers: int) -> list[int]:
        return list(numbers[:1])

    first, second = await collect(first_only(1), first_only(2))
    assert 1 == first
    assert isinstance(second, ResultNotSetError)
    assert "first_only ended without a result" in str(second)


async def test_the_batch_runs_in_the_context_of_its_first_caller() -> None:
    @aggregate(1)
    async def read(*_: int) -> list[int]:
        return [number.get()] * len(_)

    number.set(1)
    first = asyncio.ensure_future(read(0))
    await asyncio.sleep(0)
    number.set(2)
    assert [1, 1] == await collect(first, read(0))


async def test_aggregate_async_resolves_futures_itself() -> None:
    @aggregate_async(1)
    async def resolve(*args: Arg[int, int]) -> None:
        args[0].future.set_result(args[0].value + 1)
        args[1].future.set_exception(KeyError())
        args[2].future.cancel()

    found = await collect(*(resolve(n) for n in range(4)))
    assert 1 == found[0]
    assert [KeyError, asyncio.CancelledError, ResultNotSetError] == [type(one) for one in found[1:]]


async def test_aggregate_async_may_fail_after_some_results() -> None:
    @aggregate_async(1)
    async def resolve(*args: Arg[int, int]) -> None:
        args[0].future.set_result(7)
        raise LookupError

    first, second = await collect(resolve(1), resolve(2))
    assert 7 == first
    assert isinstance(second, LookupError)


def test_each_loop_has_its_own_batches() -> None:
    squares: list[tuple[int, ...]] = []

    @aggregate(1)
    async def square(*numbers: int) -> list[int]:
        squares.append(numbers)
        return [n * n for n in numbers]

    async def leave_open() -> None:
        task = asyncio.ensure_future(square(9))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave_open())
    assert 4 == asyncio.run(square(2))
    assert [(2,)] == squares


async def test_a_loop_in_another_thread_has_its_own_batches() -> None:
    squares: list[tuple[int, ...]] = []

    @aggregate(100_000, 2)
    async def square(*numbers: int) -> list[int]:
        squares.append(numbers)
        return [n * n for n in numbers]

    async def two() -> list[int]:
        return list(await asyncio.gather(square(3), square(4)))

    waiting = asyncio.ensure_future(square(2))
    await asyncio.sleep(0)
    assert [9, 16] == await asyncio.to_thread(asyncio.run, two())
    assert [(3, 4)] == squares
    waiting.cancel()
    await collect(waiting)


async def test_a_cache_answers_and_joins_equal_calls() -> None:
    cache: dict[int, int] = {}
    squares = Squares()
    square = aggregate(1, cache=cache)(squares.square)
    assert [4, 4, 9] == await collect(square(2), square(2), square(3))
    assert [4, 16] == await collect(square(2), square(4))
    assert [(2, 3), (4,)] == squares.batches
    assert {2: 4, 3: 9, 4: 16} == cache


async def test_a_cached_call_is_cancelled_with_its_last_caller_only() -> None:
    squares = Squares()
    squares.gate.clear()
    square = aggregate(1, cache={})(squares.square)
    first, second = asyncio.ensure_future(square(2)), asyncio.ensure_future(square(2))
    await eventually(lambda: squares.batches)
    first.cancel()
    await collect(first)
    assert 0 == squares.cancelled
    second.cancel()
    await collect(second)
    squares.gate.set()
    assert [4] == await collect(square(2))
    assert 2 == len(squares.batches)


async def test_errors_are_not_cached() -> None:
    squares = Squares()
    squares.error = KeyError()
    square = aggregate(1, cache={})(squares.square)
    assert [squares.error] * 2 == await collect(square(1), square(1))
    squares.error = None
    assert [1] == await collect(square(1))


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="leeway_ms=0"):
        aggregate(0)
    with pytest.raises(InvalidArgumentError, match="max_count=0"):
        aggregate_async(1, 0)

    async def one(number: int) -> list[int]:
        return [number]

    def plain(*numbers: int) -> list[int]:
        return list(numbers)

    decorate: Any = aggregate(1)
    with pytest.raises(ValueError, match="variadic positional arguments"):
        decorate(one)
    with pytest.raises(NotCoroutineFunctionError):
        decorate(plain)


async def test_batches_are_counted_by_how_they_end() -> None:
    @aggregate(leeway_ms=2, max_count=2)
    async def halves(*numbers: int) -> list[float]:
        return [1 / number for number in numbers]

    await asyncio.gather(*(halves(number) for number in (1, 2, 4)))
    with pytest.raises(ZeroDivisionError):
        await halves(0)
    found = {each.metric: each.value for each in get_statistics(AggregateStatistic) if "halves" in str(each.name)}
    assert {"leeway_ms": 2.0, "max_count": 2, "done": 3, "success": 2, "error": 1} == found
