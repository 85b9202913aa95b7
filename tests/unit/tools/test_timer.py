"""Timer: what it logs, when, and where from."""

import asyncio
import logging

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.testing import VirtualClock
from mainspring.tools import Timer


async def test_a_block_is_timed(virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Timer("load") as timer:
        await virtual_clock.advance(1234.56785)
        assert 1234.56785 == pytest.approx(timer.elapsed)
    await virtual_clock.advance(5)
    with Timer():
        pass
    assert ["[load] Duration: 1,234.5678", "Duration: 0.0000"] == [record.message for record in caplog.records]
    assert 1234.56785 == pytest.approx(timer.elapsed)
    assert {"test_timer.py"} == {record.filename for record in caplog.records}
    assert {"test_a_block_is_timed"} == {record.funcName for record in caplog.records}
    assert {"INFO"} == {record.levelname for record in caplog.records}


async def test_steps_are_logged_every_so_many(virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with Timer("rows", 2) as timer:
        for _ in range(3):
            await virtual_clock.advance(1)
            timer.step()
        assert (2.0, 3) == (timer.interval, timer.count)
        await virtual_clock.advance(1)
    lines = ["[rows] Duration (2): 2.0000", "[rows] Duration (3): 2.0000", "[rows] Duration: 4.0000"]
    assert lines == [record.message for record in caplog.records]
    assert {"test_steps_are_logged_every_so_many"} == {record.funcName for record in caplog.records}
    assert ("[rows] ", 2, timer.start_global + 4) == (timer.name, timer.every, timer.end)


async def test_a_timer_starts_afresh_and_lets_exceptions_pass(virtual_clock: VirtualClock) -> None:
    lines: list[str] = []
    timer = Timer("x", report=lines.append)

    async def fail() -> None:
        with timer:
            timer.step()
            await virtual_clock.advance(1)
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            await fail()
    assert 2 * ["[x] Duration (1): 1.0000", "[x] Duration: 1.0000"] == lines
    assert "<Timer [x] 1.0000 s, 1 steps>" == repr(timer)


async def test_timers_of_tasks_are_separate(virtual_clock: VirtualClock) -> None:
    lines: list[str] = []

    async def work(seconds: float) -> None:
        async with Timer(f"{seconds:g}", report=lines.append):
            await asyncio.sleep(seconds)

    await asyncio.gather(work(3), work(1), work(2))
    assert ["[1] Duration: 1.0000", "[2] Duration: 2.0000", "[3] Duration: 3.0000"] == lines


@pytest.mark.parametrize("every", [0, -1, 1.5])
def test_every_is_a_count(every: int) -> None:
    with pytest.raises(InvalidArgumentError, match="every"):
        Timer("x", every)
