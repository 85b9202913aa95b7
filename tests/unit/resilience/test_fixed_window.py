"""`FixedWindow` counts by the clock, as many servers do."""

import asyncio

import pytest
from tests.unit.resilience.support_time import now, virtual

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import FixedWindow


@virtual
async def test_count_starts_anew_at_full_minutes() -> None:
    limit = FixedWindow(2)  # the clock says 1000: 20 s before a full minute
    admitted: list[float] = []
    for _ in range(5):
        await limit.acquire()
        admitted.append(now())
    assert [1000.0, 1000.0, 1020.0, 1020.0, 1080.0] == admitted
    assert "<FixedWindow 1/2 in 60 s, 0 waiting>" == repr(limit)


@virtual
async def test_retry_after_counts_the_windows_that_the_line_fills() -> None:
    limit = FixedWindow(1, 60.0)
    await limit.acquire()
    waiters = [asyncio.create_task(limit.acquire()) for _ in range(2)]
    await asyncio.sleep(0)
    assert 140.0 == limit.try_acquire()
    await asyncio.gather(*waiters)


def test_wrong_arguments_are_refused() -> None:
    for limit, period in ((0, 60.0), (1, 0.0)):
        with pytest.raises(InvalidArgumentError):
            FixedWindow(limit, period)
