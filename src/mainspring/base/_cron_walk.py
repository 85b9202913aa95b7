"""The walk over wall-clock time: which second of a local calendar matches next, or matched last.

Zones play no part here. A wall time is a whole number of seconds since 1970-01-01T00:00 of a calendar
without offsets. Every set is an integer whose bit n stands for the value n, so that "the next one" is a shift
and the lowest bit, "the one before" a mask and the highest bit.
"""

from calendar import isleap
from collections.abc import Iterator
from datetime import date

from mainspring.base._cron_parse import CronFields

DAY = 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVERY_SEVENTH = sum(1 << day for day in range(0, 31, 7))
_MIN_YEAR, _MAX_YEAR = 1, 9999


class WallPattern:
    """The matching seconds of a calendar, walked in both directions."""

    __slots__ = ("_days", "_first", "_first_in_hour", "_hours", "_last", "_last_in_hour", "_minutes", "_months",
                 "_seconds")  # fmt: skip

    def __init__(self, fields: CronFields) -> None:
        self._seconds = fields.seconds
        self._minutes = fields.minutes
        self._hours = fields.hours
        self._months = fields.months
        # The days of a month depend only on its first weekday (Monday is 0) and its length: 28 cases.
        self._days = tuple(_days_by_length(fields, weekday) for weekday in range(7))
        self._first_in_hour = _lowest(fields.minutes) * 60 + _lowest(fields.seconds)
        self._last_in_hour = _highest(fields.minutes) * 60 + _highest(fields.seconds)
        self._first = _lowest(fields.hours) * 3600 + self._first_in_hour
        self._last = _highest(fields.hours) * 3600 + self._last_in_hour

    def matches(self, wall: int) -> bool:
        """Tell whether the second `wall` matches."""
        return self.at_or_after(wall) == wall

    def ever_matches(self) -> bool:
        """Tell whether any day of the 400 years of the calendar matches."""
        return any(
            days[length - 28]
            for month in range(1, 13)
            if self._months >> month & 1
            for length in ((28, 29) if month == 2 else (_LENGTHS[month],))
            for days in self._days
        )

    def days_per_year(self) -> float:
        """Return how many days match in a year, averaged over the calendar's 400 years, within 0.1."""
        total = 0.0
        for month in range(1, 13):
            if self._months >> month & 1:
                length = _LENGTHS[month]
                total += sum(days[length - 28].bit_count() for days in self._days) / 7
        if self._months >> 2 & 1:
            total += sum(days[1].bit_count() - days[0].bit_count() for days in self._days) / 7 * 97 / 400
        return total

    def at_or_after(self, wall: int) -> int | None:
        """Return the first matching second >= `wall`; None beyond the year 9999."""
        number, second = divmod(wall, DAY)
        today = date.fromordinal(number + _EPOCH_ORDINAL)
        year, month, day = today.year, today.month, today.day
        if self._months >> month & 1:
            days = self._days_in(year, month, number - day + 1)
            if days >> day & 1:
                found = self._time_at_or_after(second)
                if found >= 0:
                    return number * DAY + found
            later = days >> (day + 1)
            if later:
                return (number + 1 + _lowest(later)) * DAY + self._first
        for start, days in self._months_after(year, month):
            if days:
                return (start + _lowest(days) - 1) * DAY + self._first
        return None

    def at_or_before(self, wall: int) -> int | None:
        """Return the last matching second <= `wall`; None before the year 1."""
        number, second = divmod(wall, DAY)
        today = date.fromordinal(number + _EPOCH_ORDINAL)
        year, month, day = today.year, today.month, today.day
        if self._months >> month & 1:
            days = self._days_in(year, month, number - day + 1)
            if days >> day & 1:
                found = self._time_at_or_before(second)
                if found >= 0:
                    return number * DAY + found
            earlier = days & ((1 << day) - 1)
            if earlier:
                return (number - day + _highest(earlier)) * DAY + self._last
        for start, days in self._months_before(year, month):
            if days:
                return (start + _highest(days) - 1) * DAY + self._last
        return None

    def _days_in(self, year: int, month: int, start: int) -> int:
        """Return the matching days of the month that starts at day number `start`."""
        length = 29 if month == 2 and isleap(year) else _LENGTHS[month]
        return self._days[(start + 3) % 7][length - 28]  # day number 0 was a Thursday

    def _months_after(self, year: int, month: int) -> Iterator[tuple[int, int]]:
        later = self._months >> (month + 1)
        while True:
            if later:
                month += 1 + _lowest(later)
            else:
                year, month = year + 1, _lowest(self._months)
                if year > _MAX_YEAR:
                    return
            start = date(year, month, 1).toordinal() - _EPOCH_ORDINAL
            yield start, self._days_in(year, month, start)
            later = self._months >> (month + 1)

    def _months_before(self, year: int, month: int) -> Iterator[tuple[int, int]]:
        while True:
            earlier = self._months & ((1 << month) - 1)
            if earlier:
                month = _highest(earlier)
            else:
                year, month = year - 1, _highest(self._months)
                if year < _MIN_YEAR:
                    return
            start = date(year, month, 1).toordinal() - _EPOCH_ORDINAL
            yield start, self._days_in(year, month, start)

    def _time_at_or_after(self, second: int) -> int:
        """Return the first matching second of a day >= `second`, or -1."""
        hour, rest = divmod(second, 3600)
        if self._hours >> hour & 1:
            minute, second = divmod(rest, 60)
            if self._minutes >> minute & 1:
                later = self._seconds >> second
                if later:
                    return hour * 3600 + minute * 60 + second + _lowest(later)
            later = self._minutes >> (minute + 1)
            if later:
                return hour * 3600 + (minute + 1 + _lowest(later)) * 60 + _lowest(self._seconds)
        later = self._hours >> (hour + 1)
        if later:
            return (hour + 1 + _lowest(later)) * 3600 + self._first_in_hour
        return -1

    def _time_at_or_before(self, second: int) -> int:
        """Return the last matching second of a day <= `second`, or -1."""
        hour, rest = divmod(second, 3600)
        if self._hours >> hour & 1:
            minute, second = divmod(rest, 60)
            if self._minutes >> minute & 1:
                earlier = self._seconds & ((2 << second) - 1)
                if earlier:
                    return hour * 3600 + minute * 60 + _highest(earlier)
            earlier = self._minutes & ((1 << minute) - 1)
            if earlier:
                return hour * 3600 + _highest(earlier) * 60 + _highest(self._seconds)
        earlier = self._hours & ((1 << hour) - 1)
        if earlier:
            return _highest(earlier) * 3600 + self._last_in_hour
        return -1


def _days_by_length(fields: CronFields, first_weekday: int) -> tuple[int, int, int, int]:
    """Return the matching days (bits 1 to 31) of months that start on `first_weekday`, for 28 to 31 days."""
    return (
        _days_of_month(fields, first_weekday, 28),
        _days_of_month(fields, first_weekday, 29),
        _days_of_month(fields, first_weekday, 30),
        _days_of_month(fields, first_weekday, 31),
    )


def _days_of_month(fields: CronFields, first_weekday: int, length: int) -> int:
    whole = (2 << length) - 2
    by_date = fields.days | (1 << length if fields.last_day else 0)
    by_weekday = 0
    for weekday in range(7):
        if fields.weekdays >> weekday & 1:
            by_weekday |= _EVERY_SEVENTH << _first_day(first_weekday, weekday)
    for weekday, nth in fields.nth_weekdays:
        day = _first_day(first_weekday, weekday)
        by_weekday |= 1 << (day + 7 * (nth - 1) if nth else day + (length - day) // 7 * 7)
    return whole & (by_date & by_weekday if fields.any_day else by_date | by_weekday)


def _first_day(first_weekday: int, weekday: int) -> int:
    """Return the first day of a month that is a `weekday` (Sunday is 0; `first_weekday`: Monday is 0)."""
    return (weekday - 1 - first_weekday) % 7 + 1


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _highest(bits: int) -> int:
    return bits.bit_length() - 1
