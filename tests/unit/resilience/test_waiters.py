"""The line serves in order, and a caller who leaves is forgotten."""

import asyncio

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.errors import ClosedError, TooManyWaitersError
from mainspring.resilience._waiters import WaitLine


class Desk:
    """A line, and what came back to its server."""

    def __init__(self, limit: int = 10) -> None:
        self.line = WaitLine[str]("the desk", limit)
        self.back: list[str | None] = []

    def caller(self, timeout: float | None = None) -> asyncio.Task[str | None]:
        wait = self.line.wait(timeout=timeout, look=lambda: None, left=self.back.append)
        return asyncio.create_task(wait)


@virtual
async def test_first_come_first_served() -> None:
    desk = Desk()
    callers = [desk.caller() for _ in range(3)]
    await asyncio.sleep(0)
    assert desk.line.weights() == [1, 1, 1]
    for answer in "abc":
        desk.line.serve(answer)
    assert [await caller for caller in callers] == ["a", "b", "c"]
    assert desk.back == []


@virtual
async def test_cancelled_caller_leaves_the_line() -> None:
    desk = Desk()
    first, second = desk.caller(), desk.caller(timeout=5)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    assert len(desk.line) == 1
    assert desk.back == [None]
    desk.line.serve("b")
    assert await second == "b"


@virtual
async def test_answer_to_a_cancelled_caller_goes_back() -> None:
    desk = Desk()
    caller = desk.caller()
    await asyncio.sleep(0)
    desk.line.serve("a")
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert desk.back == ["a"]


@virtual
async def test_caller_cancelled_in_this_turn_of_the_loop_is_passed_over() -> None:
    desk = Desk()
    first, second = desk.caller(), desk.caller()
    await asyncio.sleep(0)
    first.cancel()
    assert desk.line.weights() == [1]
    assert desk.line.serve("b")
    assert await second == "b"
    third = desk.caller()
    await asyncio.sleep(0)
    third.cancel()
    assert not desk.line.serve("c")
    await asyncio.sleep(0)
    assert desk.back == [None, None]


@virtual
async def test_time_is_up_exactly_and_gives_none() -> None:
    desk = Desk()
    caller = desk.caller(timeout=2.5)
    assert await caller is None
    assert now() == 1002.5
    assert len(desk.line) == 0
    assert desk.back == [None]


@virtual
async def test_answer_before_the_time_is_up_wins() -> None:
    desk = Desk()
    caller = desk.caller(timeout=1)
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(now() + 1, desk.line._time_out, next(iter(desk.line.futures)), lambda: None)
    desk.line.serve("a")
    assert await caller == "a"
    await asyncio.sleep(2)


@virtual
async def test_everybody_can_be_sent_away() -> None:
    desk = Desk()
    callers = [desk.caller(), desk.caller()]
    await asyncio.sleep(0)
    desk.line.fail(lambda: ClosedError(what="the desk"))
    callers[1].cancel()
    with pytest.raises(ClosedError):
        await callers[0]
    with pytest.raises(asyncio.CancelledError):
        await callers[1]
    assert desk.back == [None]


@virtual
async def test_full_line_refuses() -> None:
    desk = Desk(limit=1)
    caller = desk.caller()
    await asyncio.sleep(0)
    with pytest.raises(TooManyWaitersError, match="1 callers wait for the desk already"):
        await desk.caller()
    desk.line.serve("a")
    await caller


@virtual
async def test_callers_are_read_in_order_with_what_they_ask_for_without_those_just_cancelled() -> None:
    line = WaitLine[str]("the desk", 10)
    loop = asyncio.get_running_loop()
    first, second, third = (line.join(loop, weight) for weight in (3, 1, 2))
    assert ([first, second], [3, 1]) == line.callers(2)
    second.cancel()
    assert ([first, third], [3, 2]) == line.callers(3)
    assert ["b"] == line.serve_callers([first, second], "ab")
    assert ["a", 1] == [first.result(), len(line)]
