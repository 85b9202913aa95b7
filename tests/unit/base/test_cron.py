import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from mainspring.base import CronExpression
from mainspring.errors import InvalidArgumentError

NEW_YORK = ZoneInfo("America/New_York")


def fires(text: str, zone: str, after: datetime, count: int) -> list[str]:
    """Return the next fires as wall time with offset."""
    cron, found = CronExpression(text), list[str]()
    for _ in range(count):
        fire = cron.next(after, ZoneInfo(zone))
        assert fire is not None
        after = fire
        found.append(fire.astimezone(ZoneInfo(zone)).strftime("%d %H:%M%z"))
    return found


def test_time_of_day_in_the_gap_fires_once_right_after_it() -> None:
    after = datetime(2013, 3, 9, 12, tzinfo=UTC)
    assert fires("30 2 * * *", "America/New_York", after, 2) == ["10 03:00-0400", "11 02:30-0400"]


def test_several_times_in_the_gap_collapse_into_one() -> None:
    after = datetime(2013, 3, 10, 6, tzinfo=UTC)
    expected = ["10 01:30-0500", "10 03:00-0400", "10 03:30-0400", "11 01:00-0400"]
    assert expected == fires("0,30 1,2,3 * * *", "America/New_York", datetime(2013, 3, 10, 6, tzinfo=UTC), 4)
    assert fires("0,15,30 2 * * *", "America/New_York", after, 2) == ["10 03:00-0400", "11 02:00-0400"]


def test_time_of_day_in_the_fold_fires_the_first_time_only() -> None:
    after = datetime(2013, 11, 3, 4, tzinfo=UTC)
    assert fires("30 1 * * *", "America/New_York", after, 2) == ["03 01:30-0400", "04 01:30-0500"]


def test_between_both_passes_of_a_fold_the_first_pass_counts() -> None:
    second_pass = datetime(2013, 11, 3, 6, 10, tzinfo=UTC)  # 01:10-0500
    assert fires("30 1 * * *", "America/New_York", second_pass, 1) == ["04 01:30-0500"]
    previous = CronExpression("30 1 * * *").previous(second_pass, NEW_YORK)
    assert datetime(2013, 11, 3, 5, 30, tzinfo=UTC) == previous


def test_star_in_the_hour_fires_in_both_passes_and_never_in_the_gap() -> None:
    expected = ["03 00:30-0400", "03 01:30-0400", "03 01:30-0500", "03 02:30-0500"]
    assert expected == fires("30 * * * *", "America/New_York", datetime(2013, 11, 3, 4, tzinfo=UTC), 4)
    expected = ["10 01:45-0500", "10 03:00-0400"]
    assert expected == fires("*/15 * * * *", "America/New_York", datetime(2013, 3, 10, 6, 30, tzinfo=UTC), 2)
    assert fires("* 2 * * *", "America/New_York", datetime(2013, 3, 10, 6, tzinfo=UTC), 1) == ["11 02:00-0400"]


def test_walking_back_through_gap_and_fold_finds_the_same_fires() -> None:
    quarter = CronExpression("45 * * * *")
    for day in (datetime(2013, 3, 10, tzinfo=UTC), datetime(2013, 11, 3, tzinfo=UTC)):
        forward, at = list[datetime](), day
        while at < day + timedelta(hours=12):
            at = quarter.next(at, NEW_YORK) or at
            forward.append(at)
        backward = [at]
        while len(backward) < len(forward):
            backward.append(quarter.previous(backward[-1] - timedelta(seconds=1), NEW_YORK) or at)
        assert forward == backward[::-1]
    assert datetime(2013, 3, 9, 7, 59, tzinfo=UTC) == CronExpression("* 2 * * *").previous(
        datetime(2013, 3, 10, 12, tzinfo=UTC), NEW_YORK
    )


def test_lord_howe_fires_at_two_when_the_clock_goes_back_to_half_past_one() -> None:
    after = datetime(2013, 4, 6, 13, 30, tzinfo=UTC)
    expected = ["07 02:00+1030", "07 04:00+1030"]
    assert expected == fires("0 */2 * * *", "Australia/Lord_Howe", after, 2)


def test_a_day_that_the_zone_skipped_fires_once_at_the_next_midnight() -> None:
    after = datetime(2011, 12, 29, tzinfo=UTC)
    expected = ["29 12:00-1000", "31 00:00+1400", "31 12:00+1400"]
    assert expected == fires("0 12 * * *", "Pacific/Apia", after, 3)


def test_six_fields_have_seconds_last() -> None:
    cron = CronExpression("0 12 * * * */20")
    noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    assert noon + timedelta(seconds=20) == cron.next(noon, UTC)
    assert noon == cron.previous(noon, UTC)
    assert noon == cron.previous(noon + timedelta(microseconds=5), UTC)


def test_next_is_strictly_after_to_the_microsecond() -> None:
    cron = CronExpression("0 * * * *")
    noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    assert noon == cron.next(noon - timedelta(microseconds=1), UTC)
    assert noon + timedelta(hours=1) == cron.next(noon, UTC)
    assert UTC is getattr(cron.next(noon, NEW_YORK), "tzinfo", None)


def test_fixed_offsets_need_no_database() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    fire = CronExpression("0 9 * * *").next(datetime(2013, 1, 1, tzinfo=UTC), zone)
    assert datetime(2013, 1, 1, 3, 30, tzinfo=UTC) == fire


@pytest.mark.parametrize("zone", [UTC, NEW_YORK, timezone(-timedelta(hours=23))])
@pytest.mark.parametrize("text", ["0 0 1 1 *", "* * * * *", "* * 29 2 *"])
def test_the_ends_of_the_calendar_give_none(zone: timezone, text: str) -> None:
    cron = CronExpression(text)
    last = datetime.max.replace(tzinfo=UTC)
    first = datetime.min.replace(tzinfo=UTC)
    assert cron.next(last, zone) is None
    assert cron.previous(first, zone) is None
    before, after = cron.previous(last, zone), cron.next(first, zone)
    assert before is not None
    assert after is not None
    assert cron.next(cron.previous(last, zone) or first, zone) is None
    assert cron.previous(after - timedelta(seconds=1), zone) is None


def test_naive_datetimes_are_refused_with_a_hint() -> None:
    cron = CronExpression("@daily")
    with pytest.raises(InvalidArgumentError, match="aware datetime") as caught:
        cron.next(datetime(2013, 1, 1), UTC)  # noqa: DTZ001
    assert "tzinfo=UTC" in (caught.value.hint or "")
    with pytest.raises(InvalidArgumentError, match="before="):
        cron.previous(datetime(2013, 1, 1), UTC)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30,31 feb *", "0 0 31 4,6,9,11 *", "0 0 30 2 */2"])
def test_expressions_that_never_match_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"a date that exists: no month of field 4"):
        CronExpression(text)


def test_rare_dates_are_found() -> None:
    after = datetime(2013, 1, 1, tzinfo=UTC)
    assert datetime(2016, 2, 29, tzinfo=UTC) == CronExpression("0 0 29 2 *").next(after, UTC)
    assert datetime(2016, 2, 29, tzinfo=UTC) == CronExpression("0 0 * 2 mon#5").next(after, UTC)
    assert datetime(2104, 2, 29, tzinfo=UTC) == CronExpression("0 0 29 2 *").next(datetime(2096, 3, 1, tzinfo=UTC), UTC)


def test_matches_wall_reads_the_clock_only() -> None:
    cron = CronExpression("30 2 * * sun")
    assert cron.matches_wall(datetime(2013, 3, 10, 2, 30, tzinfo=NEW_YORK))
    assert cron.matches_wall(datetime(2013, 3, 10, 2, 30))  # noqa: DTZ001
    assert not cron.matches_wall(datetime(2013, 3, 11, 2, 30))  # noqa: DTZ001
    assert not cron.matches_wall(datetime(2013, 3, 10, 2, 30, 1))  # noqa: DTZ001


def test_equal_meaning_is_equal_and_survives_travel() -> None:
    cron = CronExpression("0  0 * * SUN")
    assert cron == CronExpression("@weekly") == CronExpression("0 0 * * 7")
    assert hash(cron) == hash(CronExpression("@weekly"))
    assert cron != CronExpression("@daily")
    assert cron != "0 0 * * 0"
    assert cron == pickle.loads(pickle.dumps(cron)) == copy.copy(cron)
    assert repr(cron) == "CronExpression('0 0 * * SUN')"
    assert cron.text == "0 0 * * SUN"


def test_fires_per_day_is_the_long_average() -> None:
    assert pytest.approx(CronExpression("@hourly").fires_per_day, rel=1e-6) == 24
    assert pytest.approx(CronExpression("* * * * * *").fires_per_day, rel=1e-6) == 86_400
    assert pytest.approx(CronExpression("0 0 29 2 *").fires_per_day) == 97 / 400 / 365.2425
    assert pytest.approx(CronExpression("0 0 L * *").fires_per_day) == 12 / 365.2425
    assert CronExpression("* 2 * * *").follows_clock
    assert not CronExpression("1 2 * * *").follows_clock
