"""One object makes fires and intervals, and both agree."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model import At, Cron, DataInterval, Every, Schedule

_T0 = datetime(2013, 1, 1, 5, tzinfo=UTC)
_T1 = datetime(2014, 1, 1, 5, tzinfo=UTC)
_SCHEDULES: list[Schedule] = [Cron("0 * * * *", "America/New_York"), Cron("30 2 * * *", "Europe/Berlin"), Every(900)]


def test_the_hours_of_2013_in_new_york_are_8760() -> None:
    assert len(list(_SCHEDULES[0].intervals(_T0, _T1))) == 8760


@pytest.mark.parametrize("schedule", _SCHEDULES, ids=repr)
def test_intervals_tile_the_time_line_both_ways(schedule: Schedule) -> None:
    start, end = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 4, 2, tzinfo=UTC)
    forward = list(schedule.intervals(start, end))
    assert forward == list(schedule.intervals_reversed(start, end))[::-1]
    assert all(one.end == two.start for one, two in pairwise(forward))
    assert all(schedule.interval_at(one.end) == one for one in forward)


@pytest.mark.parametrize("schedule", [*_SCHEDULES, At(_T0)], ids=repr)
def test_a_schedule_comes_back_from_its_spec(schedule: Schedule) -> None:
    again = Schedule.from_spec(schedule.spec())
    assert schedule == again
    assert hash(schedule) == hash(again)
    assert schedule.describe() == again.describe()


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 5000))
def test_every_counts_its_intervals_exactly(start: int, length: int, step: int) -> None:
    schedule = Every(step, anchor=_T0)
    low = _T0 + timedelta(seconds=start - 500_000)
    high = low + timedelta(seconds=min(length, 200 * step))
    assert (len(list(schedule.intervals(low, high))), True) == schedule.count(low, high)


def test_cron_counts_by_estimate() -> None:
    assert _SCHEDULES[0].count(_T0, _T1) == (8760, False)


def test_at_fires_once_and_has_no_interval() -> None:
    schedule = At(_T0)
    assert schedule.next_fire(_T0 - timedelta(seconds=1)) == _T0
    assert schedule.next_fire(_T0) is None
    assert schedule.previous_fire(_T0) == _T0
    assert schedule.previous_fire(_T0 - timedelta(seconds=1)) is None
    assert schedule.interval_at(_T0) is None
    assert list(schedule.intervals(_T0, _T1)) == list(schedule.intervals_reversed(_T0, _T1)) == []
    assert schedule.count(_T0, _T1) == (0, True)


def test_an_interval_that_begins_on_the_grid_is_whole() -> None:
    first = next(Every(3600).intervals(_T0, _T1))
    assert DataInterval(_T0, _T0 + timedelta(hours=1)) == first


def test_the_time_line_ends_without_an_error() -> None:
    assert list(Cron("0 0 1 1 *").intervals(datetime(9998, 6, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))) == []
    assert (
        list(Cron("0 0 1 1 *").intervals_reversed(datetime(1, 1, 1, tzinfo=UTC), datetime(1, 6, 1, tzinfo=UTC))) == []
    )


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), 0.0001])
def test_every_refuses_intervals_that_make_no_grid(interval: float) -> None:
    with pytest.raises(InvalidArgumentError, match="every"):
        Every(interval)


def test_a_spec_of_no_known_kind_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="kind"):
        Schedule.from_spec({"kind": "moon"})
    assert Every(5) != "every"


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "60", True, 1e12])
def test_intervals_that_are_no_seconds_are_refused(interval: float) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds from"):
        Every(interval)


def test_a_grid_ends_with_the_calendar() -> None:
    daily = Every(86_400)
    assert daily.next_fire(datetime.max.replace(tzinfo=UTC)) is None
    assert (
        Every(86_400, anchor=datetime(2013, 1, 1, 5, tzinfo=UTC)).previous_fire(datetime.min.replace(tzinfo=UTC))
        is None
    )
