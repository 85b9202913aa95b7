"""Time limits end what takes too long, and nothing else."""

import asyncio
import inspect
import math
import threading
from contextlib import suppress
from functools import partial

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    MisuseError,
    NotCoroutineFunctionError,
)
from mainspring.resilience import deadline, timeout
from mainspring.resilience._timeout import own_deadline


@virtual
async def test_call_that_does_not_suspend_gets_no_timer() -> None:
    class Loop:
        armed = 0

    loop = asyncio.get_running_loop()
    call_at = loop.call_at

    def counting(*args: object, **kwargs: object) -> asyncio.TimerHandle:
        Loop.armed += 1
        return call_at(*args, **kwargs)  # type: ignore[arg-type]

    loop.call_at = counting  # type: ignore[method-assign]

    @timeout(1)
    async def answer() -> int:
        return 42

    assert await answer() == 42
    assert Loop.armed == 0
    assert deadline() is None


@virtual
async def test_call_that_suspends_returns_its_result() -> None:
    @timeout(1)
    async def answer(question: str, *, pause: float) -> str:
        await asyncio.sleep(pause)
        await asyncio.sleep(pause)
        return question

    assert await answer("life", pause=0.4) == "life"
    assert pytest.approx(now()) == 1000.8


@virtual
async def test_slow_call_is_cancelled_at_its_limit() -> None:
    seen: list[float] = []

    @timeout(1.5)
    async def slow() -> None:
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            seen.append(now())
            raise

    with pytest.raises(DeadlineExceededError, match=r"slow\(\) did not end within 1.5 s") as caught:
        await slow()
    assert seen == [1001.5]
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@virtual
async def test_exceptions_pass_before_and_after_the_first_suspension() -> None:
    @timeout(1)
    async def fail(pause: bool) -> None:
        if pause:
            await asyncio.sleep(0.1)
        raise KeyError(pause)

    for pause in (False, True):
        with pytest.raises(KeyError):
            await fail(pause)
        assert deadline() is None


@virtual
async def test_cancellation_from_elsewhere_passes() -> None:
    @timeout(10)
    async def slow() -> None:
        await asyncio.sleep(5)

    task = asyncio.create_task(slow())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@virtual
async def test_cancellation_at_the_same_moment_as_expiry_is_not_swallowed() -> None:
    @timeout(1)
    async def slow() -> None:
        await asyncio.sleep(5)

    async def block() -> None:
        async with timeout(1):
            await asyncio.sleep(5)

    for make in (slow, block):
        task = asyncio.create_task(make())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(now() + 1, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task


@virtual
async def test_cancellation_that_the_call_absorbs_at_its_first_suspension() -> None:
    @timeout(1)
    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(5)
        await asyncio.sleep(0)
        return "done"

    @timeout(1)
    async def yielding() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(5)
        return "done"

    assert await stubborn() == "done"
    assert await yielding() == "done"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@virtual
async def test_zero_fails_before_anything_runs() -> None:
    ran: list[int] = []

    @timeout(0)
    async def never() -> None:
        ran.append(1)

    with pytest.raises(DeadlineExceededError):
        await never()
    limit = timeout(0)
    with pytest.raises(DeadlineExceededError):
        async with limit:
            ran.append(2)
    assert ran == []
    assert limit.expired


@virtual
async def test_none_is_no_limit() -> None:
    async def long() -> None:
        await asyncio.sleep(1e6)

    assert timeout(None)(long) is long
    limit = timeout(None)
    async with limit:
        await long()
    assert not limit.expired
    assert limit.deadline is None


@virtual
async def test_block_ends_at_its_limit_and_says_so() -> None:
    limit = timeout(2)
    assert "idle" in repr(limit)

    async def block() -> None:
        async with limit:
            assert limit.deadline == 1002.0
            assert "open" in repr(limit)
            await asyncio.sleep(5)

    with pytest.raises(DeadlineExceededError, match="the block did not end within 2 s"):
        await block()
    assert now() == 1002.0
    assert limit.expired
    assert "closed, expired" in repr(limit)


@virtual
async def test_block_may_be_used_again_but_not_at_the_same_time() -> None:
    limit = timeout(1)
    for _ in range(2):
        async with limit as entered:
            assert entered is limit
            await asyncio.sleep(0.5)
            with pytest.raises(MisuseError, match="is entered already"):
                await limit.__aenter__()


@virtual
async def test_error_of_an_expired_block_passes() -> None:
    async def busy() -> None:
        async with timeout(1):
            try:
                await asyncio.sleep(5)
            finally:
                raise KeyError("inner")

    with pytest.raises(KeyError):
        await busy()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@virtual
async def test_deadline_is_the_earliest_of_the_limits_around() -> None:
    assert deadline() is None
    async with timeout(10):
        assert deadline() == 1010.0
        async with timeout(3):
            assert 1003.0 == deadline() == own_deadline()
            async with timeout(20):
                assert deadline() == 1003.0
        assert deadline() == 1010.0
    assert deadline() is None


@virtual
async def test_outer_limit_wins_over_a_longer_inner_one() -> None:
    outer, inner = timeout(1), timeout(10)
    with pytest.raises(DeadlineExceededError, match="within 1 s"):
        async with outer, inner:
            await asyncio.sleep(100)
    assert outer.expired
    assert not inner.expired


@virtual
async def test_tasks_see_the_deadline_while_the_block_is_open() -> None:
    seen: list[tuple[float | None, float | None]] = []

    async def child() -> None:
        seen.append((deadline(), own_deadline()))
        await asyncio.sleep(1)
        seen.append((deadline(), own_deadline()))
        async with timeout(4):
            seen.append((deadline(), own_deadline()))

    async with timeout(5):
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
    await task
    # The child is not cancelled by the limit of its parent, so that limit is not its own.
    assert seen == [(1005.0, None), (None, None), (1005.0, 1005.0)]


@virtual
async def test_call_that_could_only_be_late_is_not_started() -> None:
    loop = asyncio.get_running_loop()

    @timeout(5)
    async def inner() -> None:
        raise AssertionError

    async with timeout(1):
        loop._virtual.seconds += 2  # type: ignore[attr-defined]  # as a long computation does
        with pytest.raises(DeadlineExceededError):
            await inner()
        with pytest.raises(DeadlineExceededError):
            async with timeout(5):
                raise AssertionError


@virtual
async def test_cleanup_of_what_was_cancelled_has_limits_of_its_own() -> None:
    """The time of the body is up, but not that of the farewell."""
    cleaned: list[float] = []

    @timeout(2)
    async def farewell() -> None:
        assert deadline() == now() + 2
        await asyncio.sleep(1.5)

    async def body() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            assert deadline() is None
            await farewell()
            async with timeout(1):
                await asyncio.sleep(0.5)
            cleaned.append(now())

    limit = timeout(1)

    async def block() -> None:
        async with limit:
            try:
                await body()
            finally:
                with pytest.raises(MisuseError, match="is entered already"):
                    await limit.__aenter__()

    for call in (timeout(1)(body), block):
        with pytest.raises(DeadlineExceededError):
            await call()
    assert cleaned == [1003.0, 1006.0]


async def test_outside_of_a_task_there_is_no_limit_to_arm() -> None:
    @timeout(1)
    async def slow() -> None:
        await asyncio.sleep(1)

    failure: list[BaseException] = []

    def drive() -> None:
        try:
            slow().send(None)
        except MisuseError as exc:
            failure.append(exc)

    asyncio.get_running_loop().call_soon(drive)
    await asyncio.sleep(0)
    assert str(failure[0]) == "timeout() was used outside of a task"


async def test_closing_a_suspended_call_closes_the_function() -> None:
    closed: list[bool] = []

    @timeout(1)
    async def slow() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            closed.append(True)

    coroutine = slow()
    coroutine.send(None)
    coroutine.close()
    assert closed == [True]


@virtual
async def test_call_that_is_closed_elsewhere_leaves_the_limits_there_alone() -> None:
    """As the garbage collector does, in whatever task runs then."""

    @timeout(3)
    async def slow() -> None:
        await asyncio.sleep(1)

    coroutine = slow()
    async with timeout(2):
        coroutine.send(None)
    async with timeout(5):
        before = deadline()
        coroutine.close()
        assert before is not None
        assert before == deadline() == own_deadline()


@virtual
async def test_calls_one_after_the_other_keep_the_limit_around() -> None:
    async with timeout(10):
        for _ in range(3):
            await timeout(1)(asyncio.sleep)(0)
            await timeout(1)(asyncio.sleep)(0.5)
            assert deadline() == own_deadline() == 1010.0
    assert deadline() is None


@virtual
async def test_a_block_that_is_held_stands_still() -> None:
    limit = timeout(10)

    async def hold_thrice() -> None:
        async with limit:
            await asyncio.sleep(4)
            for _ in range(2):
                limit.hold()
                limit.hold()
                assert (None, 6.0) == (deadline(), limit.left)
                await asyncio.sleep(100)
                limit.resume()
                limit.resume()
                assert (now() + 6.0, 6.0) == (deadline(), limit.left)
            limit.hold()  # before its timer has followed
            await asyncio.sleep(100)
            other = threading.Thread(target=limit.resume)
            other.start()
            other.join()
            await asyncio.sleep(7)

    with pytest.raises(DeadlineExceededError):
        await hold_thrice()
    assert limit.expired
    assert 1310.0 == now()


@virtual
async def test_a_limit_around_one_that_is_held_counts_on() -> None:
    async with timeout(20), timeout(10) as inner:
        inner.hold()
        assert 1020.0 == deadline()


@virtual
async def test_nothing_is_held_before_a_block_and_after_its_end() -> None:
    limit = timeout(10)
    assert math.inf == limit.left
    limit.hold()
    limit.resume()
    async with limit:
        limit.hold()
    limit.resume()
    async with limit:
        limit.hold()
        limit.resume()
    await asyncio.sleep(0)  # in which a timer would follow
    with suppress(asyncio.CancelledError, DeadlineExceededError):
        async with limit:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(11)
            limit.hold()  # it is up
            assert 0.0 == limit.left
    await asyncio.sleep(100)


def test_decorator_keeps_the_name_and_takes_coroutine_functions_only() -> None:
    @timeout(1)
    async def named() -> None:
        """Doc."""

    assert named.__name__ == "named"
    assert named.__doc__ == "Doc."
    assert inspect.iscoroutinefunction(named)
    with pytest.raises(NotCoroutineFunctionError) as caught:
        timeout(1)(lambda: None)  # type: ignore[arg-type, return-value]  # pyright: ignore
    assert isinstance(caught.value, TypeError)


async def test_partials_and_callable_objects_are_taken() -> None:
    class Adder:
        async def __call__(self, number: int) -> int:
            return number + 1

    async def add(first: int, second: int) -> int:
        return first + second

    assert await timeout(1)(partial(add, 1))(2) == 3
    assert await timeout(1)(Adder())(2) == 3


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", True])
def test_wrong_limits_are_refused(seconds: float) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds"):
        timeout(seconds)
