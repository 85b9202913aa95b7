"""Texts as dates and times."""

from datetime import UTC, date, datetime
from typing import Any  # Any: what may be no row
from zoneinfo import ZoneInfo

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.storage._clickhouse_values import converter, with_moments

BERLIN = ZoneInfo("Europe/Berlin")
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize("type_name", ["Int64", "String", "Array(Date)", "Map(String, DateTime)"])
def test_other_columns_are_left_alone(type_name: str) -> None:
    assert converter("a", type_name, UTC) is None


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("Date", "2024-02-03", date(2024, 2, 3)),
        ("Nullable(Date32)", "2024-02-03 10:00:00", date(2024, 2, 3)),
        ("DateTime", "2024-02-03 10:00:00", datetime(2024, 2, 3, 10, tzinfo=BERLIN)),
        ("DateTime", "2024-02-03T10:00:00Z", datetime(2024, 2, 3, 10, tzinfo=UTC)),
        ("DateTime('Asia/Tokyo')", "2024-02-03", datetime(2024, 2, 3, tzinfo=TOKYO)),
        ("LowCardinality(Nullable(DateTime64(3, 'Asia/Tokyo')))", "2024-02-03 00:00:00.5", None),
    ],
)
def test_texts_become_dates_and_aware_times(type_name: str, text: str, expected: date | None) -> None:
    convert = converter("a", type_name, BERLIN)
    assert convert is not None
    assert (expected or datetime(2024, 2, 3, 0, 0, 0, 500_000, tzinfo=TOKYO)) == convert(text)


def test_a_text_that_is_no_date_names_its_column() -> None:
    convert = converter("born", "Date", UTC)
    assert convert is not None
    with pytest.raises(InvalidArgumentError, match="column born"):
        convert("yesterday")


def test_rows_are_copied_only_when_a_text_is_in_a_column_of_dates() -> None:
    converters = [None, converter("d", "Date", UTC)]
    rows = [("1", date(2024, 1, 1)), ("2", None)]
    assert with_moments(rows, converters) is rows
    mixed = [("1", date(2024, 1, 1)), ("2", "2024-01-02")]
    assert [["1", date(2024, 1, 1)], ["2", date(2024, 1, 2)]] == with_moments(mixed, converters)


@pytest.mark.parametrize("row", [(1,), {"id": 1, "at": "2024-01-01"}, 5])
def test_rows_of_another_form_are_told(row: Any) -> None:
    converters = [None, converter("at", "DateTime", UTC)]
    with pytest.raises(InvalidArgumentError, match="sequences of 2 values"):
        with_moments([row], converters)
