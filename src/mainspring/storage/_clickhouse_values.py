"""Times given as text, made into the objects that ClickHouse's driver wants: it takes nothing else."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, tzinfo
from typing import Any, Final  # Any: cell values have any type
from zoneinfo import ZoneInfo

from mainspring.errors import InvalidArgumentError

_WRAPPED: Final = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)\Z", re.DOTALL)
_ZONE: Final = re.compile(r"'([^']+)'")

Convert = Callable[[str], date]


def converter(column: str, type_name: str, zone: tzinfo) -> Convert | None:
    """Return what makes a text into a value of a column, None for a column that holds no dates.

    Args:
        zone: where a time without an offset is, unless the column has a zone of its own.
    """
    while wrapped := _WRAPPED.match(type_name):
        type_name = wrapped[1]
    if type_name in ("Date", "Date32"):
        return _Moments(column, zone, only_date=True)
    if not type_name.startswith("DateTime"):
        return None
    own = _ZONE.search(type_name)
    return _Moments(column, ZoneInfo(own[1]) if own else zone, only_date=False)


def with_moments(rows: Sequence[Sequence[Any]], converters: Sequence[Convert | None]) -> Sequence[Sequence[Any]]:
    """Return rows without texts in columns of dates; the same object when there was none.

    Raises:
        InvalidArgumentError: a text is neither a date nor a time in ISO 8601, or a row is too short or no sequence.
    """
    places = [(index, one) for index, one in enumerate(converters) if one is not None]
    try:
        is_ready = not any(type(row[index]) is str for index, _ in places for row in rows)
    except (LookupError, TypeError) as error:
        expected = f"rows that are sequences of {len(converters)} values"
        raise InvalidArgumentError(argument="data", value=type(rows[0]).__name__, expected=expected) from error
    if is_ready:
        return rows
    changed: list[list[Any]] = []
    for row in rows:
        values = list(row)
        for index, one in places:
            if isinstance(values[index], str):
                values[index] = one(values[index])
        changed.append(values)
    return changed


class _Moments:
    """Reads the texts of one column."""

    def __init__(self, column: str, zone: tzinfo, *, only_date: bool) -> None:
        self._column = column
        self._zone = zone
        self._only_date = only_date

    def __call__(self, text: str) -> date:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError as error:
            expected = "an ISO 8601 date or time"
            raise InvalidArgumentError(argument=f"column {self._column}", value=text, expected=expected) from error
        if self._only_date:
            return moment.date()
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=self._zone)
