"""Intervals are half-open and know their day; ends written by people mean one instant or are refused."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model import DataInterval, to_instant, zone_of


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # year, month, day and more


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    interval = DataInterval(_utc(2013, 1, 1), _utc(2013, 1, 1, 1))
    assert interval.start in interval
    assert interval.end not in interval


def test_the_date_is_the_one_of_the_jobs_zone() -> None:
    interval = DataInterval(_utc(2013, 1, 1, 3), _utc(2013, 1, 1, 4), "America/New_York")
    assert date(2012, 12, 31) == interval.date


def test_duration_counts_the_seconds_that_really_pass() -> None:
    zone = "America/New_York"
    interval = DataInterval(to_instant(date(2013, 11, 3), zone), to_instant(date(2013, 11, 4), zone), zone)
    assert interval.duration == 25 * 3600


def test_an_interval_prints_as_iso_text() -> None:
    assert str(DataInterval(_utc(2013, 1, 1), _utc(2013, 1, 2))) == "2013-01-01T00:00:00Z/2013-01-02T00:00:00Z"


def test_a_date_means_midnight_in_the_zone() -> None:
    assert _utc(2013, 1, 1, 5) == to_instant(date(2013, 1, 1), "America/New_York")


def test_a_midnight_that_does_not_exist_means_the_first_instant_of_the_day() -> None:
    assert _utc(2018, 11, 4, 3) == to_instant(date(2018, 11, 4), "America/Sao_Paulo")


def test_text_is_read_as_a_date_or_an_aware_datetime() -> None:
    assert _utc(2013, 1, 1) == to_instant("2013-01-01", "UTC")
    assert _utc(2013, 1, 1, 5) == to_instant("2013-01-01T05:00:00+00:00", "UTC")


def test_an_aware_datetime_keeps_its_instant() -> None:
    given = datetime(2013, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert _utc(2013, 1, 1) == to_instant(given, "America/New_York")


@pytest.mark.parametrize("value", [datetime(2013, 1, 1), "2013-01-01T00:00:00", "last week", None, 2013])  # noqa: DTZ001
def test_a_naive_datetime_and_other_text_are_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        to_instant(value, "UTC")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        zone_of(name)
    assert "Area/City" in (caught.value.hint or "")


def test_ends_are_kept_in_utc() -> None:
    zone = timezone(timedelta(hours=2))
    interval = DataInterval(datetime(2013, 1, 1, 2, tzinfo=zone), datetime(2013, 1, 1, 3, tzinfo=zone))
    assert "2013-01-01T00:00:00Z/2013-01-01T01:00:00Z" == str(interval)
    assert interval.start.tzinfo is UTC


def test_naive_and_empty_intervals_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="aware"):
        DataInterval(datetime(2013, 1, 1), _utc(2013, 1, 2))  # noqa: DTZ001
    with pytest.raises(InvalidArgumentError, match="an instant after"):
        DataInterval(_utc(2013, 1, 1), _utc(2013, 1, 1))


def test_clipping_keeps_what_lies_after() -> None:
    interval = DataInterval(_utc(2013, 1, 1), _utc(2013, 1, 3))
    assert interval is interval.clipped(_utc(2012, 1, 1))
    assert DataInterval(_utc(2013, 1, 2), _utc(2013, 1, 3)) == interval.clipped(_utc(2013, 1, 2))
    assert interval.clipped(_utc(2013, 1, 3)) is None
