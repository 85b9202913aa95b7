"""Simulated time: exact, fast, and the process's own inside the block."""

import asyncio
import math
from datetime import UTC, datetime, timedelta

import pytest

from mainspring.base import current_clock, use_random
from mainspring.errors import InvalidArgumentError, VirtualClockError
from mainspring.testing import VirtualClock

_START = datetime(2013, 3, 10, 7, tzinfo=UTC)


async def _sleep_each_hour_of_a_year() -> int:
    clock = current_clock()
    due, fired = clock.now(), 0
    for _ in range(8760):
        due += timedelta(hours=1)
        await asyncio.sleep((due - clock.now()).total_seconds())
        fired += due == clock.now() and due.timestamp() == clock.time()
    return fired


def test_a_year_of_hours_fires_at_the_exact_microseconds() -> None:
    with VirtualClock(_START) as clock:
        assert clock.run(_sleep_each_hour_of_a_year()) == 8760
        assert _START + timedelta(days=365) == clock.now()


def test_thirds_of_a_second_end_within_a_microsecond() -> None:
    with VirtualClock(_START) as clock:
        for _ in range(3):
            clock.run(asyncio.sleep(1 / 3))
        assert pytest.approx(clock.monotonic(), abs=3e-6) == 1.0


@pytest.mark.parametrize("delay", [1e-6, 3e-7, 1e-8, 1e-30])
def test_no_wait_however_short_leaves_it_standing_still(delay: float) -> None:
    async def main() -> int:
        clock, turns = current_clock(), 0
        await asyncio.sleep(0.1)
        while round(clock.monotonic() * 1e6) < 100_005 and turns < 100:
            await asyncio.sleep(delay)
            turns += 1
        return turns

    with VirtualClock() as clock:
        assert 5 == clock.run(main())


def test_an_instant_that_floats_miss_by_a_hair_is_met() -> None:
    with VirtualClock() as clock:
        clock.run(asyncio.sleep(0.1))
        clock.run(asyncio.sleep(0.2))  # the sum is a hair above 0.3
        assert 0.3 == clock.monotonic()
        clock.run(asyncio.sleep(0))
        assert 0.3 == clock.monotonic()


async def test_a_timer_for_ever_is_no_timer(virtual_clock: VirtualClock) -> None:
    endless = asyncio.create_task(asyncio.sleep(math.inf))
    await asyncio.sleep(86_400 * 3)
    assert not endless.done()
    assert 86_400 * 3 == virtual_clock.monotonic()
    endless.cancel()
    await asyncio.wait({endless})


def test_it_is_the_clock_of_the_process_inside_the_block_only() -> None:
    before = current_clock()
    with VirtualClock(_START) as clock:
        assert clock is current_clock()
        assert clock.now() == _START
        assert clock.monotonic() == 0.0
    assert before is current_clock()


def test_timers_fire_in_the_order_of_their_times() -> None:
    order: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (3600, 5, 86400 * 40, 60):
            loop.call_later(delay, order.append, delay)
        await asyncio.sleep(86400 * 41)

    with VirtualClock() as clock:
        clock.run(main())
    assert order == [5, 60, 3600, 86400 * 40]


async def test_advance_lets_everything_due_happen_and_nothing_later(virtual_clock: VirtualClock) -> None:
    seen: list[str] = []

    async def step(after: float, name: str) -> None:
        await asyncio.sleep(after)
        await asyncio.sleep(0)
        seen.append(name)

    async with asyncio.TaskGroup() as tasks:
        for after in (1.0, 5.0, 5.000002):
            tasks.create_task(step(after, str(after)))
        await virtual_clock.advance(5.0)
        assert seen == ["1.0", "5.0"]


async def test_the_fixture_runs_the_test_in_virtual_time(virtual_clock: VirtualClock) -> None:
    assert virtual_clock is current_clock()
    await asyncio.sleep(86400)
    assert datetime(2013, 1, 2, tzinfo=UTC) == virtual_clock.now()
    assert repr(virtual_clock) == "<VirtualClock now=2013-01-02T00:00:00+00:00>"


@pytest.mark.virtual_clock(_START)
async def test_the_mark_sets_the_first_instant(virtual_clock: VirtualClock) -> None:
    assert virtual_clock.now() == _START


async def test_settle_passes_no_time(virtual_clock: VirtualClock) -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(asyncio.sleep(10))
        await virtual_clock.settle()
        assert virtual_clock.monotonic() == 0.0
        assert not task.done()


async def test_a_cancelled_settle_leaves_no_trace(virtual_clock: VirtualClock) -> None:
    waiting = asyncio.ensure_future(virtual_clock.settle())
    await asyncio.sleep(0)
    waiting.cancel()
    await virtual_clock.settle()
    assert waiting.cancelled()


def test_it_runs_inside_its_block_only() -> None:
    clock = VirtualClock()
    with pytest.raises(VirtualClockError, match="no loop"):
        clock.run(asyncio.sleep(0))
    with pytest.raises(VirtualClockError, match="no loop"):
        _ = clock.loop
    with clock:
        clock.run(asyncio.sleep(1))
    with pytest.raises(VirtualClockError, match="no loop"):
        clock.run(asyncio.sleep(0))


def test_start_must_be_aware_and_patience_above_zero() -> None:
    with pytest.raises(InvalidArgumentError, match="start"):
        VirtualClock(datetime(2013, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidArgumentError, match="patience"):
        VirtualClock(patience=0)


def _order_of_ten(seed: int, *, shuffle: bool = True) -> list[int]:
    async def note_all() -> list[int]:
        order: list[int] = []
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(_note(order, number))
        return order

    with use_random(seed), VirtualClock(shuffle=shuffle) as clock:
        return clock.run(note_all())


async def _note(order: list[int], number: int) -> None:
    order.append(number)


def test_a_shuffled_clock_tries_another_order_with_each_seed_and_the_same_with_the_same() -> None:
    orders = [_order_of_ten(seed) for seed in range(5)]
    assert len({tuple(order) for order in orders}) == 5
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders == [_order_of_ten(seed) for seed in range(5)]


def test_a_clock_that_is_not_asked_to_shuffle_keeps_the_order() -> None:
    assert list(range(10)) == _order_of_ten(1, shuffle=False)
