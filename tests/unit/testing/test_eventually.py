"""eventually() asks until the answer is true, and shows the last one when it never was."""

import asyncio

import pytest

from mainspring.errors import InvalidArgumentError, NeverHappenedError
from mainspring.testing import VirtualClock, eventually


async def test_the_first_true_answer_is_returned(virtual_clock: VirtualClock) -> None:
    answers = iter(["", "", "yes"])
    assert await eventually(lambda: next(answers)) == "yes"


async def test_an_async_predicate_is_awaited(virtual_clock: VirtualClock) -> None:
    async def later() -> float:
        await asyncio.sleep(1)
        return virtual_clock.monotonic() > 2.5 and virtual_clock.monotonic()

    assert await eventually(later) > 2.5


async def test_the_error_shows_the_last_answer(virtual_clock: VirtualClock) -> None:
    def rows() -> list[int]:
        return []

    with pytest.raises(NeverHappenedError, match=r"rows did not happen within 2 s; last seen: \[\]"):
        await eventually(rows, within=2)
    assert pytest.approx(virtual_clock.monotonic(), abs=0.001) == 2.0


async def test_a_predicate_that_hangs_is_cut(virtual_clock: VirtualClock) -> None:
    with pytest.raises(NeverHappenedError, match="no answer yet"):
        await eventually(asyncio.Event().wait)


async def test_errors_of_the_predicate_go_up() -> None:
    def slow() -> bool:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await eventually(slow)
    with pytest.raises(InvalidArgumentError, match="within"):
        await eventually(slow, within=0)
