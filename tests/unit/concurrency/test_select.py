"""select waits for the first and leaves no loser behind."""

import asyncio
from typing import Any

import pytest

from mainspring.concurrency import select
from mainspring.errors import DeadlineExceededError, InvalidArgumentError
from mainspring.testing import VirtualClock, eventually


class Runner:
    """A coroutine that says whether it was cancelled and has cleaned up."""

    def __init__(self) -> None:
        self.cleaned = False

    async def forever(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.cleaned = True


async def fail(error: Exception) -> None:
    raise error


async def test_all_but_the_first_are_none() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result(True)
    results = await select(asyncio.Event().wait(), future, asyncio.sleep(3600))
    waited, first, slept = results
    assert (None, True, None) == (waited, first, slept)
    assert (1, True, 3) == (results.result_idx, results.result(), len(results))
    assert results.done()
    assert not results.is_exception
    assert (results[1], list(results[:2])) == (True, [None, True])
    assert "1 of 3: True" in repr(results)


async def test_losers_are_cancelled_and_awaited() -> None:
    loser = Runner()
    await select(loser.forever(), asyncio.sleep(0))
    assert loser.cleaned


async def test_wait_false_lets_losers_end_in_the_background() -> None:
    loser = Runner()
    await select(loser.forever(), asyncio.sleep(0), wait=False)
    assert not loser.cleaned
    await eventually(lambda: loser.cleaned)


async def test_cancel_false_leaves_losers_alone() -> None:
    loser = asyncio.ensure_future(asyncio.sleep(0.01, "late"))
    await select(loser, asyncio.sleep(0), cancel=False)
    assert "late" == await loser


async def test_the_timeout_is_an_error(virtual_clock: VirtualClock) -> None:
    """The original returned an unfinished result."""
    loser = Runner()
    with pytest.raises(TimeoutError, match="the first of 1 awaitables did not end within 5 s") as caught:
        await select(loser.forever(), timeout=5)
    assert isinstance(caught.value, DeadlineExceededError)
    assert loser.cleaned
    assert 5.0 == virtual_clock.monotonic()


async def test_the_first_exception_is_raised() -> None:
    with pytest.raises(KeyError):
        await select(fail(KeyError()), asyncio.sleep(3600))
    result = await select(fail(KeyError()), fail(LookupError()), return_exceptions=True)
    assert result.is_exception
    assert isinstance(result.value, KeyError)
    with pytest.raises(KeyError):
        result.result()


async def test_a_cancelled_awaitable_counts_as_ended() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await select(future, asyncio.sleep(3600))


async def test_a_cancelled_select_cancels_all() -> None:
    losers = [Runner(), Runner()]
    selecting = asyncio.ensure_future(select(*(loser.forever() for loser in losers)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    selecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await selecting
    assert [True, True] == [loser.cleaned for loser in losers]


async def test_nothing_to_wait_for_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        await select()


async def test_what_cannot_be_awaited_is_refused_before_anything_starts() -> None:
    before = asyncio.all_tasks()
    runner = asyncio.sleep(3600)
    not_awaitable: Any = 5
    with pytest.raises(InvalidArgumentError, match="only what can be awaited"):
        await select(runner, not_awaitable)
    assert before == asyncio.all_tasks()
    runner.close()
