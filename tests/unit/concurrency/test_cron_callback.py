"""CronCallback: at the times of its expression, by the wall clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mainspring.base import CronExpression, use_clock
from mainspring.concurrency import CronCallback
from mainspring.errors import CallbackRunningError, InvalidArgumentError
from mainspring.testing import VirtualClock


class Ticks:
    """Notes when it was called."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.at: list[str] = []

    async def __call__(self) -> None:
        self.at.append(self.clock.now().strftime("%d %H:%M:%S"))
        await asyncio.sleep(self.seconds)


async def test_it_calls_at_the_times_of_the_expression(virtual_clock: VirtualClock) -> None:
    ticks = Ticks(virtual_clock)
    cron = CronCallback(ticks)
    cron.start("*/20 * * * *")
    await virtual_clock.advance(3700)
    assert ["01 00:20:00", "01 00:40:00", "01 01:00:00"] == ticks.at
    with pytest.raises(CallbackRunningError):
        cron.start("* * * * *")
    with pytest.raises(asyncio.CancelledError):
        await cron.stop()


async def test_a_sixth_field_are_seconds(virtual_clock: VirtualClock) -> None:
    ticks = Ticks(virtual_clock)
    cron = CronCallback(ticks)
    cron.start(spec="* * * * * *")
    await virtual_clock.advance(3.5)
    assert ["01 00:00:01", "01 00:00:02", "01 00:00:03"] == ticks.at
    cron.stop().cancel()


@pytest.mark.virtual_clock(datetime(2013, 3, 10, 0, tzinfo=UTC))
async def test_the_zone_may_be_chosen(virtual_clock: VirtualClock) -> None:
    ticks = Ticks(virtual_clock)
    cron = CronCallback(ticks)
    cron.start(CronExpression("0 12 * * *"), zone=ZoneInfo("America/New_York"))
    await virtual_clock.advance(2 * 86400)
    assert ["10 16:00:00", "11 16:00:00"] == ticks.at
    cron.stop().cancel()


async def test_jitter_spreads_calls_but_loses_none(virtual_clock: VirtualClock) -> None:
    at: list[float] = []
    cron = CronCallback(lambda: at.append(virtual_clock.monotonic()))
    cron.start("*/2 * * * *", jitter=100)
    await virtual_clock.advance(100 * 120 + 100)
    cron.stop().cancel()
    assert list(range(1, 101)) == [int(each // 120) for each in at]
    offsets = [each % 120 for each in at]
    assert 50 < max(offsets) <= 100
    assert len(set(offsets)) > 50


async def test_errors_are_logged_unless_they_are_listed(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[type[Exception]] = [KeyError, OSError, KeyError]

    async def fail() -> None:
        if errors:
            raise errors.pop(0)("of the call")

    cron = CronCallback(fail)
    cron.start("* * * * *", suppress_exceptions=(KeyError,))
    await virtual_clock.advance(400)
    assert [] == errors
    assert 1 == caplog.text.count("OSError: of the call")
    assert "KeyError" not in caplog.text
    cron.stop().cancel()


@pytest.mark.parametrize("shield", [False, True])
async def test_a_shielded_call_outlives_stop(virtual_clock: VirtualClock, shield: bool) -> None:
    ended: list[str] = []

    async def work() -> None:
        await asyncio.sleep(30)
        ended.append("whole")

    cron = CronCallback(work)
    cron.start("* * * * *", shield=shield)
    await virtual_clock.advance(70)
    stopping = cron.stop()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await virtual_clock.advance(100)
    assert ["whole"] * shield == ended


async def test_a_long_call_makes_others_fall_out(virtual_clock: VirtualClock) -> None:
    ticks = Ticks(virtual_clock, seconds=150)
    cron = CronCallback(ticks)
    cron.start("* * * * *")
    await virtual_clock.advance(420)
    assert ["01 00:01:00", "01 00:04:00", "01 00:07:00"] == ticks.at
    cron.stop().cancel()


async def test_a_wall_clock_that_was_set_is_followed(virtual_clock: VirtualClock) -> None:
    class SetBack:
        """The virtual clock, ten minutes late."""

        time, monotonic = virtual_clock.time, virtual_clock.monotonic

        def now(self) -> datetime:
            return virtual_clock.now() - timedelta(minutes=10)

    ticks = Ticks(virtual_clock)
    cron = CronCallback(ticks)
    cron.start("0 * * * *")
    await virtual_clock.advance(1800)
    with use_clock(SetBack()):
        await virtual_clock.advance(2100)
        assert [] == ticks.at
        await virtual_clock.advance(600)
    assert ["01 01:10:00"] == ticks.at
    cron.stop().cancel()


@pytest.mark.virtual_clock(datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
async def test_after_the_last_time_it_stops(virtual_clock: VirtualClock) -> None:
    cron = CronCallback(Ticks(virtual_clock))
    cron.start("0 0 1 1 *")
    await virtual_clock.settle()
    assert "stopped" in repr(cron)


async def test_bad_expressions_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        CronCallback(int).start("every day")
    with pytest.raises(InvalidArgumentError, match="jitter=-1"):
        CronCallback(int).start("* * * * *", jitter=-1)
