"""The cron engine against a brute-force oracle over every minute of odd years, and against two libraries."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.support_cron_oracle import OracleCron, minutes_of, utc

from mainspring.base import CronExpression

# A whole year, and both changes of a year for other kinds of shift; shorter stretches around rarer events.
STRETCHES = [
    ("America/New_York", utc(2013), 365),
    ("Europe/Berlin", utc(2013, 3), 250),
    ("Australia/Lord_Howe", utc(2013, 3), 230),  # shifts by 30 minutes
    ("Pacific/Apia", utc(2011, 9), 240),  # has no 30 December 2011
    ("Pacific/Kwajalein", utc(1993, 8), 40),  # has no 21 August 1993
    ("America/Sao_Paulo", utc(2013, 10), 140),  # midnight is in the gap
    ("Asia/Pyongyang", utc(2015, 8), 30),  # 30 minutes back, at midnight
    ("America/Noronha", utc(2000, 10), 20),  # two changes within a week
]
EXPRESSIONS = [
    "30 * * * *",
    "* 2 * * *",
    "0 */2 * * *",
    "0 0 * * *",
    "30 2 * * *",
    "15,45 1-3 * * *",
    "0 0,12 1,15,30 * 1",
    "59 23 */2 * 1-5",
    "5/20 0/6 * 3-11/2 7",
    "0 12 30,21 8,12 *",
]
DENSE_EXPRESSIONS = ["* * * * *", "*/7 * * * *"]  # for the short stretches


def walk(text: str, zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    """Return all fires in [start, end) by walking forward."""
    cron = CronExpression(text)
    found: list[datetime] = []
    at = cron.next(start - timedelta(microseconds=1), zone)
    while at is not None and at < end:
        found.append(at)
        at = cron.next(at, zone)
    return found


def walk_back(text: str, zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    """Return all fires in [start, end), oldest first, by walking backward."""
    cron = CronExpression(text)
    found: list[datetime] = []
    at = cron.previous(end - timedelta(microseconds=1), zone)
    while at is not None and at >= start:
        found.append(at)
        at = cron.previous(at - timedelta(microseconds=1), zone)
    return found[::-1]


@pytest.mark.parametrize("stretch", STRETCHES, ids=lambda stretch: stretch[0])
def test_every_minute_agrees_with_the_oracle(stretch: tuple[str, datetime, int]) -> None:
    zone, start, days = stretch
    minutes = minutes_of(zone, start, days)
    # The oracle cannot see what lies outside its minutes, so a day at both ends is left out.
    low, high = start + timedelta(days=2), start + timedelta(days=days - 2)
    for text in EXPRESSIONS + (DENSE_EXPRESSIONS if days < 50 else []):
        expected = [instant for instant in OracleCron(text).fires(minutes) if low <= instant < high]
        assert expected == walk(text, ZoneInfo(zone), low, high), text
        assert expected == walk_back(text, ZoneInfo(zone), low, high), text


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(st.integers(low, high - 1), number).map(lambda pair: f"{min(pair)}-{max(*pair, pair[0] + 1)}")
    step = st.integers(1, max(2, high // 2))
    return st.one_of(
        st.just("*"),
        step.map(lambda n: f"*/{n}"),
        st.tuples(span, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.lists(st.one_of(number.map(str), span), min_size=1, max_size=3).map(",".join),
    )


expressions = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join)


def test_random_expressions_agree_with_the_oracle(mainspring_count: Callable[[int, int], int]) -> None:
    start = utc(2013, 10, 20)
    minutes = minutes_of("Europe/Berlin", start, 14)  # the clock goes back on 27 October
    low, high = start + timedelta(days=1), start + timedelta(days=13)

    @settings(max_examples=mainspring_count(30, 3000), deadline=None)
    @given(expressions)
    def agree(text: str) -> None:
        expected = [instant for instant in OracleCron(text).fires(minutes) if low <= instant < high]
        assert expected == walk(text, ZoneInfo("Europe/Berlin"), low, high)

    agree()


instants = st.integers(-10 * 365 * 86_400, 110 * 365 * 86_400).map(lambda s: utc(1970) + timedelta(seconds=s))
zones = st.sampled_from([stretch[0] for stretch in STRETCHES] + ["UTC", "Africa/Casablanca", "Asia/Gaza"])


@settings(max_examples=300, deadline=None)
@given(expressions, instants, zones)
def test_previous_undoes_next(text: str, after: datetime, name: str) -> None:
    cron, zone = CronExpression(text), ZoneInfo(name)
    following = cron.next(after, zone)
    before = cron.previous(after, zone)
    assert following is not None
    assert before is not None
    assert before <= after < following
    assert following == cron.next(before, zone)
    assert following == cron.previous(following, zone)
    assert before == cron.previous(following - timedelta(microseconds=1), zone)


@settings(max_examples=150, deadline=None)
@given(expressions, instants)
def test_agrees_with_cronsim_in_utc(text: str, after: datetime) -> None:
    """Differences left out: cronsim counts 7 as a weekday of its own in steps, and reads 3-3/2 as 3/2."""
    weekday = text.split()[4]
    if "/" in weekday:
        text = " ".join([*text.split()[:4], "*"])
    expected = list(islice(CronSim(text, after), 20))
    assert expected == following_fires(text, after, len(expected))


def following_fires(text: str, after: datetime, count: int) -> list[datetime]:
    cron = CronExpression(text)
    found: list[datetime] = []
    for _ in range(count):
        fire = cron.next(found[-1] if found else after, UTC)
        assert fire is not None
        found.append(fire)
    return found


@settings(max_examples=60, deadline=None)
@given(expressions, instants)
def test_agrees_with_croniter_in_utc(text: str, after: datetime) -> None:
    """Differences left out: croniter takes `*/n` in a day field as restricted (OR), Vixie cron does not (AND)."""
    fields = text.split()
    if fields[2].startswith("*/") or fields[4].startswith("*/"):
        text = " ".join([*fields[:2], "*", fields[3], "*"])
    walker = croniter(text, after, ret_type=datetime)
    expected = [walker.get_next() for _ in range(5)]
    assert expected == following_fires(text, after, 5)


@pytest.mark.parametrize(
    "text", ["0 0 L * *", "0 0 29 2 *", "0 12 * * 5L", "0 12 * * 1#2", "0 0 1-7 * 1", "59 23 31 * *"]
)
def test_special_days_agree_with_cronsim(text: str) -> None:
    expected = list(islice(CronSim(text, utc(1999)), 60))
    assert expected == following_fires(text, utc(1999), 60)


@pytest.mark.parametrize("text", ["30 2 * * *", "30 1 * * *", "*/15 * * * *", "0 * * * *", "0 0 * * *"])
def test_agrees_with_cronsim_through_the_shifts_of_berlin(text: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2013, 1, 1, tzinfo=zone)
    expected = [fire.astimezone(UTC) for fire in islice(CronSim(text, start), 400)]
    cron = CronExpression(text)
    assert expected == [cron.next(fire, zone) for fire in [start, *expected[:-1]]]


def test_known_difference_to_cronsim_in_lord_howe() -> None:
    """On 7 April 2013 at 02:00 the clock goes back to 01:30, so 02:00 exists; cronsim skips it."""
    zone = ZoneInfo("Australia/Lord_Howe")
    start = datetime(2013, 4, 7, 0, 30, tzinfo=zone)
    two = datetime(2013, 4, 7, 2, tzinfo=zone).astimezone(UTC)
    assert two == CronExpression("0 */2 * * *").next(start, zone)
    assert two != next(CronSim("0 */2 * * *", start)).astimezone(UTC)


def test_known_difference_to_croniter_in_the_fold() -> None:
    """croniter fires a time of day twice when the clock shows it twice."""
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2013, 10, 27, tzinfo=zone)
    walker = croniter("30 2 * * *", start, ret_type=datetime)
    theirs = [walker.get_next().astimezone(UTC) for _ in range(2)]
    ours = walk("30 2 * * *", zone, start, start + timedelta(days=2))
    assert timedelta(hours=1) == theirs[1] - theirs[0]
    assert [timedelta(hours=25)] == [later - earlier for earlier, later in pairwise(ours)]


def test_known_differences_in_spelling() -> None:
    """cronsim reads seconds first and knows no names of schedules; croniter reads them last, as we do."""
    ours = CronExpression("0 0 * * * 30").next(utc(2013), UTC)
    assert ours == croniter("0 0 * * * 30", utc(2013), ret_type=datetime).get_next()
    assert ours == next(CronSim("30 0 0 * * *", utc(2013)))
    assert utc(2013) + timedelta(hours=1) == CronExpression("@hourly").next(utc(2013), UTC)
    with pytest.raises(CronSimError):
        CronSim("@hourly", utc(2013))
