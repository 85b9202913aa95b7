"""Intervals tile the time line in every zone, and missed time is accounted for to the last microsecond."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.support_cron_oracle import ZONES, utc

from mainspring.jobs.model import Cron, DataInterval, Every, Missed, Schedule, plan_missed, to_instant


def tiles(schedule: Schedule, start: datetime, end: datetime) -> list[DataInterval]:
    """Return the intervals of a window after checking that they tile it, in both directions."""
    intervals = list(schedule.intervals(start, end))
    assert all(earlier.end == later.start for earlier, later in pairwise(intervals))
    assert intervals == list(schedule.intervals_reversed(start, end))[::-1]
    return intervals


@pytest.mark.timeout(3600)  # every zone in both directions
@pytest.mark.parametrize("expression", ["30 2 * * *", "0 */8 * * *"])
def test_intervals_tile_the_time_line_in_every_zone(
    expression: str, mainspring_count: Callable[[int, int], int]
) -> None:
    window = timedelta(days=mainspring_count(200, 3000))
    for number, name in enumerate(ZONES):
        start = utc(1990 + number % 40, 1 + number % 12)  # another stretch of history for each zone
        intervals = tiles(Cron(expression, name), start, start + window)
        assert intervals[0].start - start < timedelta(hours=50), name
        assert start + window - intervals[-1].end < timedelta(hours=50), name


EXPRESSIONS = ["0 * * * *", "*/20 * * * *", "0 0 * * *", "30 1,2 * * *", "0 0 1 * *", "0 12 * * mon-fri", "0 6 L * *"]
zones = st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"])
schedules = st.one_of(
    st.builds(Cron, st.sampled_from(EXPRESSIONS), zones),
    st.builds(Every, st.sampled_from([600.0, 3600.0, 5400.5, 86_400.0])),
)
instants = st.integers(0, 20 * 365 * 86_400).map(lambda second: utc(2000) + timedelta(seconds=second))


@settings(max_examples=150, deadline=None)
@given(schedules, instants)
def test_interval_at_a_fire_is_the_interval_that_ends_there(schedule: Schedule, after: datetime) -> None:
    fire = schedule.next_fire(after)
    assert fire is not None
    interval = schedule.interval_at(fire)
    assert interval is not None
    assert interval.start <= after < interval.end == fire
    assert [interval] == list(schedule.intervals(interval.start, interval.end))
    assert [] == list(schedule.intervals(interval.start, interval.end - timedelta(microseconds=1)))
    assert schedule == Schedule.from_spec(schedule.spec())


@settings(max_examples=150, deadline=None)
@given(schedules, instants, st.floats(0, 30))
def test_counts_are_exact_or_close(schedule: Schedule, start: datetime, days: float) -> None:
    end = start + timedelta(days=days)
    found = len(list(schedule.intervals(start, end)))
    count, exact = schedule.count(start, end)
    assert found == count if exact else abs(found - count) <= 6 + found * 0.5


@settings(max_examples=300, deadline=None)
@given(
    schedule=schedules,
    cursor=instants,
    days=st.floats(0, 5),
    policy=st.sampled_from(Missed),
    lookback=st.none() | st.floats(0, 400_000),
    grace=st.floats(0, 7200),
    limit=st.integers(1, 50),
)
def test_missed_time_is_tiled_by_runs_and_skips(
    schedule: Schedule,
    cursor: datetime,
    days: float,
    policy: Missed,
    lookback: float | None,
    grace: float,
    limit: int,
) -> None:
    """Batch by batch until nothing is left: each fire is in one run or one skipped range, nothing in two."""
    now, at = cursor + timedelta(days=days), cursor
    parts: list[DataInterval] = []
    runs: list[datetime] = []
    for _ in range(1000):
        plan = plan_missed(schedule, cursor=at, now=now, policy=policy, max_lookback=lookback, grace=grace, limit=limit)
        assert len(plan.runs) <= limit
        if plan.cursor == at:
            assert not plan.runs
            assert not plan.skipped
            break
        parts += [*(run.interval for run in plan.runs if run.interval), *plan.skipped]
        runs += [run.fire for run in plan.runs]
        at = plan.cursor
    parts.sort(key=lambda part: part.start)
    assert [cursor, *(part.end for part in parts)] == [*(part.start for part in parts), at]
    assert sorted(set(runs)) == runs
    last = schedule.previous_fire(now)
    assert at == (last if last is not None and last > cursor else cursor)
    if policy is not Missed.ALL:
        assert len(runs) <= 1
    if lookback is not None:
        assert all((now - fire).total_seconds() <= lookback for fire in runs)
    if policy is Missed.SKIP:
        assert all((now - fire).total_seconds() <= grace for fire in runs)


@settings(max_examples=200, deadline=None)
@given(st.dates(date(1950, 1, 1), date(2040, 1, 1)), st.sampled_from(ZONES))
def test_a_date_means_the_first_instant_of_that_day(day: date, name: str) -> None:
    instant = to_instant(day, name)
    local = instant.astimezone(ZoneInfo(name))
    before = (instant - timedelta(seconds=1)).astimezone(ZoneInfo(name))
    assert local.date() >= day
    assert before.date() < day
    exact = datetime.combine(day, time(), ZoneInfo(name))
    if exact.astimezone(UTC).astimezone(ZoneInfo(name)).replace(tzinfo=None) == exact.replace(tzinfo=None):
        assert exact.astimezone(UTC) == instant
