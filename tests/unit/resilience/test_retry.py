"""`retry` calls again what failed, waits as told, and ends as the last call did."""

import asyncio
from collections.abc import Callable

import pytest
from tests.unit.resilience.support_time import VirtualTime, now, virtual

from mainspring.base import Backoff, current_clock
from mainspring.errors import CircuitBroken, InvalidArgumentError, NotCoroutineFunctionError
from mainspring.resilience import RetryAttempt, retry, timeout


class Flaky:
    """Fails with each error in turn, then answers."""

    def __init__(self, *errors: BaseException | None, answer: int = 42) -> None:
        self.errors = list(errors)
        self.answer = answer
        self.calls: list[float] = []

    async def __call__(self) -> int:
        self.calls.append(now())
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return self.answer


THREE = Backoff(1.0, max_tries=3)


@virtual
async def test_success_is_returned_at_once() -> None:
    flaky = Flaky()
    assert await retry()(flaky)() == 42
    assert flaky.calls == [1000.0]


@virtual
async def test_failures_are_tried_again_after_the_delays() -> None:
    flaky = Flaky(OSError(1), OSError(2))
    assert await retry(on=OSError, backoff=THREE)(flaky)() == 42
    assert flaky.calls == [1000.0, 1001.0, 1003.0]


@virtual
async def test_last_exception_is_raised_as_it_came() -> None:
    errors = [OSError(1), OSError(2), OSError(3)]
    with pytest.raises(OSError, match="3") as caught:
        await retry(on=[OSError, KeyError], backoff=THREE)(Flaky(*errors))()
    assert caught.value is errors[2]
    assert caught.value.__context__ is None


@virtual
async def test_other_exceptions_pass_at_once() -> None:
    flaky = Flaky(KeyError(1))
    with pytest.raises(KeyError):
        await retry(on=OSError, backoff=THREE)(flaky)()
    assert len(flaky.calls) == 1


@virtual
async def test_other_exceptions_pass_also_from_a_later_attempt() -> None:
    flaky = Flaky(OSError(1), KeyError(1))
    with pytest.raises(KeyError):
        await retry(on=OSError, backoff=THREE)(flaky)()
    assert len(flaky.calls) == 2


@virtual
async def test_predicate_decides_for_each_failure() -> None:
    flaky = Flaky(OSError("again"), OSError("again"), OSError("no"))
    with pytest.raises(OSError, match="no"):
        await retry(on=lambda error: "again" in str(error), backoff=Backoff(1.0, max_tries=9))(flaky)()
    assert len(flaky.calls) == 3


@virtual
async def test_retry_after_is_the_least_wait() -> None:
    for asked, waited in ((5.0, 5.0), (0.5, 1.0), (None, 1.0), (float("inf"), 1.0), ("soon", 1.0), (-3, 1.0)):
        error = OSError()
        error.retry_after = asked  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        flaky = Flaky(error)
        await retry(on=OSError, backoff=THREE)(flaky)()
        assert flaky.calls[1] - flaky.calls[0] == waited


@virtual
async def test_broken_circuit_says_how_long_to_wait() -> None:
    flaky = Flaky(CircuitBroken(retry_after=7.0))
    await retry(backoff=THREE)(flaky)()
    assert flaky.calls == [1000.0, 1007.0]


@virtual
async def test_refused_results_are_tried_again_and_the_last_is_returned() -> None:
    flaky = Flaky(answer=0)
    refuse: Callable[[int], bool] = lambda result: result == 0  # noqa: E731
    assert await retry(backoff=THREE, retry_result=refuse)(flaky)() == 0
    assert len(flaky.calls) == 3
    flaky = Flaky(OSError(), answer=1)
    assert await retry(backoff=THREE, retry_result=refuse)(flaky)() == 1


@virtual
async def test_on_retry_is_told_of_each_pause() -> None:
    told: list[RetryAttempt] = []
    error = OSError()

    async def tell_later(attempt: RetryAttempt) -> None:
        await asyncio.sleep(0)
        told.append(attempt)

    await retry(on=OSError, backoff=THREE, on_retry=told.append)(Flaky(error, error))()
    await retry(on=OSError, backoff=THREE, on_retry=tell_later)(Flaky(error))()
    assert told == [RetryAttempt(1, 1.0, error), RetryAttempt(2, 2.0, error), RetryAttempt(1, 1.0, error)]


@virtual
async def test_attempt_that_would_start_after_the_deadline_is_not_waited_for() -> None:
    flaky = Flaky(OSError(1), OSError(2))
    with pytest.raises(OSError, match="2"):
        await timeout(2.0)(retry(on=OSError, backoff=THREE)(flaky))()
    assert flaky.calls == [1000.0, 1001.0]
    assert now() == 1001.0


@virtual
@pytest.mark.parametrize("delay", [0.0, 1.0])
async def test_no_attempt_follows_an_on_retry_that_used_up_the_time(delay: float) -> None:
    flaky = Flaky(OSError(1), OSError(2))
    clock = current_clock()
    assert isinstance(clock, VirtualTime)

    def block(_: RetryAttempt) -> None:
        clock.seconds += 1.5 if delay else 3.0

    with pytest.raises(OSError, match="1"):
        await timeout(2.0)(retry(on=OSError, backoff=Backoff.constant(delay, max_tries=3), on_retry=block)(flaky))()
    assert flaky.calls == [1000.0]


@virtual
async def test_until_ends_a_pause_and_forbids_another() -> None:
    closing = asyncio.Event()
    flaky = Flaky(OSError(1), OSError(2), OSError(3), OSError(4))
    insist = retry(on=OSError, backoff=Backoff(1.0, max_tries=9), until=closing)(flaky)
    asyncio.get_running_loop().call_later(1.5, closing.set)
    with pytest.raises(OSError, match="2"):
        await insist()
    assert (flaky.calls, now()) == ([1000.0, 1001.0], 1001.5)
    with pytest.raises(OSError, match="3"):
        await insist()
    assert now() == 1001.5


@virtual
async def test_until_that_is_never_set_changes_nothing() -> None:
    flaky = Flaky(OSError(1), OSError(2))
    assert 42 == await retry(on=OSError, backoff=THREE, until=asyncio.Event())(flaky)()
    assert flaky.calls == [1000.0, 1001.0, 1003.0]
    eager = Flaky(OSError(1), OSError(2))
    assert 42 == await retry(on=OSError, backoff=Backoff.constant(0.0), until=asyncio.Event())(eager)()


@virtual
async def test_cancellation_passes_during_call_and_pause() -> None:
    async def slow() -> None:
        await asyncio.sleep(1)
        raise OSError

    for moment in (0.5, 1.5):
        task = asyncio.create_task(retry(backoff=THREE)(slow)())
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@virtual
async def test_arguments_and_name_are_kept() -> None:
    @retry(backoff=THREE)
    async def add(first: int, *, second: int) -> int:
        if now() == 1000.0:
            raise OSError
        return first + second

    assert add.__name__ == "add"
    assert await add(1, second=2) == 3


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(NotCoroutineFunctionError):
        retry()(lambda: None)  # type: ignore[arg-type, return-value]  # pyright: ignore
    for on in (int, [OSError, 1], asyncio.CancelledError, BaseException, 5):
        with pytest.raises(InvalidArgumentError, match="on="):
            retry(on=on)  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidArgumentError, match="on='OSError' is not accepted"):
        retry(on="OSError")  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidArgumentError) as caught:
        retry(asyncio.sleep)  # type: ignore[arg-type]  # pyright: ignore
    assert "write @retry() instead of @retry" in (caught.value.hint or "")
    with pytest.raises(InvalidArgumentError, match="backoff="):
        retry(backoff=3)  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidArgumentError, match="on_retry="):
        retry(on_retry=3)  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidArgumentError, match="until="):
        retry(until=3)  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidArgumentError, match="retry_result="):
        retry(retry_result=3)  # type: ignore[arg-type]  # pyright: ignore
