from datetime import UTC, datetime

import pytest

from mainspring.base._cron_parse import parse_cron
from mainspring.base._cron_walk import WallPattern


def second(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("cron", "start", "after", "before"),
    [
        ("0 0 * * *", "2013-01-01T00:00", "2013-01-01T00:00", "2013-01-01T00:00"),
        ("30 4 * * *", "2013-01-01T04:31", "2013-01-02T04:30", "2013-01-01T04:30"),
        ("0,30 4 * * *", "2013-01-01T04:10", "2013-01-01T04:30", "2013-01-01T04:00"),
        ("0 4,6 * * *", "2013-01-01T05:10", "2013-01-01T06:00", "2013-01-01T04:00"),
        ("0 0 * * * 5,9", "2013-01-01T00:00:07", "2013-01-01T00:00:09", "2013-01-01T00:00:05"),
        ("0 0 10,20 * *", "2013-01-15T00:00", "2013-01-20T00:00", "2013-01-10T00:00"),
        ("0 0 1 1 *", "1969-06-01T00:00", "1970-01-01T00:00", "1969-01-01T00:00"),
        ("0 0 L * *", "2012-02-10T00:00", "2012-02-29T00:00", "2012-01-31T00:00"),
        ("0 0 * * friL", "2013-03-10T00:00", "2013-03-29T00:00", "2013-02-22T00:00"),
        ("0 0 * * mon#5", "2013-03-10T00:00", "2013-04-29T00:00", "2012-12-31T00:00"),
        ("0 0 13 * 5", "2013-09-07T00:00", "2013-09-13T00:00", "2013-09-06T00:00"),
        ("0 0 */13 * 5", "2013-09-07T00:00", "2013-09-27T00:00", "2013-06-14T00:00"),
    ],
)
def test_walks_in_both_directions(cron: str, start: str, after: str, before: str) -> None:
    pattern = WallPattern(parse_cron(cron))
    assert second(after) == pattern.at_or_after(second(start))
    assert second(before) == pattern.at_or_before(second(start))
    assert pattern.matches(second(after))
    assert not pattern.matches(second(after) + 1)


def test_days_per_year_knows_leap_days() -> None:
    assert pytest.approx(WallPattern(parse_cron("@daily")).days_per_year()) == 365.2425


def test_walk_ends_with_the_calendar() -> None:
    pattern = WallPattern(parse_cron("0 0 29 2 *"))
    assert pattern.at_or_after(second("9999-01-01T00:00")) is None
    assert pattern.at_or_before(second("0003-01-01T00:00")) is None
