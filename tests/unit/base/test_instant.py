from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from mainspring.base import from_us, to_us
from mainspring.errors import InvalidArgumentError


@pytest.mark.parametrize("microseconds", [0, 1, -1, 1_362_898_800_000_001, -62_135_596_800_000_000])
def test_microseconds_come_back_exactly(microseconds: int) -> None:
    assert microseconds == to_us(from_us(microseconds))
    assert UTC is from_us(microseconds).tzinfo


def test_no_microseconds_are_no_instant() -> None:
    assert from_us(None) is None


def test_every_zone_means_the_same_instant() -> None:
    zone = timezone(timedelta(hours=2))
    assert to_us(datetime(2013, 1, 1, tzinfo=UTC)) == to_us(datetime(2013, 1, 1, 2, tzinfo=zone))


def test_naive_and_impossible_instants_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="aware datetime"):
        to_us(datetime(2013, 1, 1))  # noqa: DTZ001
    a_day: Any = date(2013, 1, 1)
    with pytest.raises(InvalidArgumentError, match="aware datetime"):
        to_us(a_day)
    with pytest.raises(InvalidArgumentError, match="years 1 to 9999"):
        from_us(1 << 62)
