"""A plan shows the next fires and what the zone's clock does between them."""

from datetime import UTC, datetime

from mainspring.jobs.model import At, Cron, plan_fires

_DAILY = Cron("30 1 * * *", "America/New_York")
_HOURLY = Cron("0 * * * *", "America/New_York")


def test_the_change_to_summer_time_is_marked() -> None:
    marks = [one.mark for one in plan_fires(_DAILY, datetime(2013, 3, 9, 12, tzinfo=UTC), 3)]
    assert marks == ["", "clock forward 1:00", ""]


def test_the_hour_that_comes_twice_is_marked() -> None:
    fires = plan_fires(_HOURLY, datetime(2013, 11, 3, 4, 30, tzinfo=UTC), 3)
    assert [one.local.hour for one in fires] == [1, 1, 2]
    assert [one.mark for one in fires] == ["", "clock back 1:00 (second)", ""]


def test_a_plan_ends_with_its_schedule() -> None:
    instant = datetime(2013, 1, 1, tzinfo=UTC)
    fires = plan_fires(At(instant), datetime(2012, 1, 1, tzinfo=UTC), 5)
    assert [(instant, None)] == [(one.fire, one.interval) for one in fires]
