from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from mainspring.base._zone_spans import span_at


def test_change_is_found_to_the_second() -> None:
    zone = ZoneInfo("America/New_York")
    change = round(datetime(2013, 3, 10, 7, tzinfo=UTC).timestamp())
    assert (-5 * 3600, change) == (span_at(zone, change - 1).offset, span_at(zone, change - 1).end)
    assert (-4 * 3600, change) == (span_at(zone, change).offset, span_at(zone, change).start)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7))])
def test_a_fixed_offset_is_one_span(zone: timezone) -> None:
    assert span_at(zone, 0) == span_at(zone, 1 << 40)


def test_spans_tile_time() -> None:
    zone, second = ZoneInfo("Europe/Berlin"), 0
    for _ in range(60):
        span = span_at(zone, second)
        assert span.start <= second < span.end
        assert second == span.start or second == 0
        second = span.end


class Nowhere(tzinfo):
    """A zone that knows no offset."""

    def utcoffset(self, dt: datetime | None) -> None:
        return None

    def dst(self, dt: datetime | None) -> None:
        return None

    def tzname(self, dt: datetime | None) -> None:
        return None

    def fromutc(self, dt: datetime) -> datetime:
        return dt


def test_a_zone_without_an_offset_counts_as_utc() -> None:
    assert span_at(Nowhere(), 5).offset == 0
