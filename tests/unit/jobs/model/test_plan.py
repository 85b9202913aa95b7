"""A plan shows the next fires and what the zone's clock does between them."""

from datetime import UTC, datetime

from mainspring.jobs.model import At, Cron, Every, plan_fires

_DAILY = Cron("30 1 * * *", "America/New_York")
_HOURLY = Cron("0 * * * *", "America/New_York")


def test_the_change_to_summer_time_is_marked() -> None:
    marks = [one.mark for one in plan_fires(_DAILY, datetime(2013, 3, 9, 12, tzinfo=UTC), 3)]
    assert marks == ["", "clock forward 1:00", ""]


def test_the_hour_that_comes_twice_is_marked() -> None:
    fires = plan_fires(_HOURLY, datetime(2013, 11, 3, 4, 30, tzinfo=UTC), 3)
    assert [one.local.hour for one in fires] == [1, 1, 2]
    assert [one.mark for one in fires] == ["(first)", "clock back 1:00 (second)", ""]


def test_a_time_of_day_that_comes_twice_is_marked_though_it_fires_once() -> None:
    marks = [one.mark for one in plan_fires(_DAILY, datetime(2013, 11, 2, 12, tzinfo=UTC), 3)]
    assert marks == ["(first)", "clock back 1:00", ""]


def test_a_time_of_day_that_does_not_exist_is_marked_where_it_fires() -> None:
    schedule = Cron("30 2 * * *", "America/New_York")
    fires = plan_fires(schedule, datetime(2013, 3, 9, 12, tzinfo=UTC), 2)
    assert [f"{one.local:%H:%M}" for one in fires] == ["03:00", "02:30"]
    assert [one.mark for one in fires] == ["clock forward 1:00 (moved out of the gap)", ""]


def test_a_shift_of_half_an_hour_is_marked() -> None:
    schedule = Cron("45 1 * * *", "Australia/Lord_Howe")
    marks = [one.mark for one in plan_fires(schedule, datetime(2013, 4, 6, tzinfo=UTC), 2)]
    assert marks == ["(first)", "clock back 0:30"]


def test_a_grid_of_instants_has_nothing_to_move() -> None:
    schedule = Every(3600, timezone="America/New_York")
    marks = [one.mark for one in plan_fires(schedule, datetime(2013, 3, 10, 6, tzinfo=UTC), 2)]
    assert marks == ["clock forward 1:00", ""]


def test_a_plan_ends_with_its_schedule() -> None:
    instant = datetime(2013, 1, 1, tzinfo=UTC)
    fires = plan_fires(At(instant), datetime(2012, 1, 1, tzinfo=UTC), 5)
    assert [(instant, None)] == [(one.fire, one.interval) for one in fires]
