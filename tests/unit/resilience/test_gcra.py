"""`GCRA` admits at an even pace."""

import asyncio

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import GCRA


@virtual
async def test_calls_come_at_an_even_pace() -> None:
    limit = GCRA(4, 10.0)
    admitted: list[float] = []
    for _ in range(4):
        await limit.acquire()
        admitted.append(now() - 1000.0)
    assert [0.0, 2.5, 5.0, 7.5] == pytest.approx(admitted, abs=1e-5)


@virtual
async def test_pause_saves_up_a_burst_and_no_more() -> None:
    limit = GCRA(1, 10.0, burst=3)
    await asyncio.sleep(1000)
    assert [None, None, None] == [limit.try_acquire() for _ in range(3)]
    assert 10.0 == pytest.approx(limit.try_acquire())
    await asyncio.sleep(25)
    assert [None, None] == [limit.try_acquire() for _ in range(2)]
    assert 5.0 == pytest.approx(limit.try_acquire())
    assert "<GCRA 1 per 10 s, 3/3 of the burst used, 0 waiting>" == repr(limit)


@virtual
async def test_cost_waits_for_as_much_of_the_burst() -> None:
    limit = GCRA(1, 10.0, burst=3)
    await limit.acquire(2)
    await limit.acquire(3)
    assert 20.0 == pytest.approx(now() - 1000.0, abs=1e-5)


def test_wrong_arguments_are_refused() -> None:
    for rate, period, burst in ((0, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0)):
        with pytest.raises(InvalidArgumentError):
            GCRA(rate, period, burst=burst)
