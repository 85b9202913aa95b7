"""The clock is the one source of time; a test may replace it."""

from datetime import UTC, datetime

from mainspring.base import SystemClock, current_clock, use_clock


class _Stopped(SystemClock):
    def now(self) -> datetime:
        return datetime(2013, 3, 10, tzinfo=UTC)


def test_use_clock_replaces_the_clock_inside_the_block_only() -> None:
    before = current_clock()
    with use_clock(_Stopped()):
        assert datetime(2013, 3, 10, tzinfo=UTC) == current_clock().now()
    assert before is current_clock()


async def test_now_is_aware_and_in_utc() -> None:
    assert UTC is current_clock().now().tzinfo
