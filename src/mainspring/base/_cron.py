"""Cron expressions on the time line: fire times as instants, through gaps and folds of local time.

Two kinds of expression are told apart, as Debian's cron does. If the minute or the hour field holds `*`, the
fires follow the hands of the clock: an instant fires when its wall time matches, so times that do not exist do
not fire and times that exist twice fire twice. Otherwise the expression names times of day, and a wall time w
fires at *the first instant at which the clock shows w or later*: in a gap that is its end (several collapse
into one), in a fold the first pass. With M(t), the highest wall time shown up to t, "w fired at or before t"
is w <= M(t), so walking to the next or the previous fire is one walk over wall time in either direction.
"""

from datetime import datetime, timedelta, tzinfo

from mainspring.base._cron_parse import parse_cron, refuse
from mainspring.base._cron_walk import WallPattern
from mainspring.base._cron_words import describe_cron
from mainspring.base._instant import EPOCH, naive_datetime
from mainspring.base._zone_spans import DAY, FIRST_SECOND, LAST_SECOND, span_at

_SECOND = timedelta(seconds=1)


class CronExpression:
    """A cron expression: `minute hour day month weekday`, and seconds as an optional sixth field.

    Understood are `*`, `?` (as `*`), lists, ranges, steps, names (`jan`, `mon`, any case), `L` (last day of the
    month; `friL` or `5L`: the last Friday), `mon#2` (the second Monday), 0 and 7 as Sunday, and the nicknames
    `@hourly @daily @midnight @weekly @monthly @yearly @annually`. When neither day field starts with `*`, a day
    matches if either of them does. Immutable and thread-safe.

    Raises:
        InvalidArgumentError: the text cannot be read, or no date will ever match.

    Source: crontab(5) of Vixie and Debian cron; the sets are bit sets, a walk costs a few microseconds.

    >>> from datetime import UTC, datetime
    >>> CronExpression("30 2 * * mon").next(datetime(2013, 1, 1, tzinfo=UTC), UTC).isoformat()
    '2013-01-07T02:30:00+00:00'
    """

    __slots__ = ("_fields", "_pattern", "_text")

    def __init__(self, text: str) -> None:
        self._fields = parse_cron(text)
        self._text = " ".join(text.split())
        self._pattern = WallPattern(self._fields)
        if not self._pattern.ever_matches():
            _refuse_never(self._text)

    @property
    def text(self) -> str:
        """The expression as written, with single spaces."""
        return self._text

    @property
    def follows_clock(self) -> bool:
        """Whether the minute or the hour field holds `*`: times that exist twice then fire twice."""
        return self._fields.wildcard_time

    @property
    def fires_per_day(self) -> float:
        """How often it fires per day, averaged over many years; offset changes are not counted."""
        times = self._fields.hours.bit_count() * self._fields.minutes.bit_count() * self._fields.seconds.bit_count()
        return times * self._pattern.days_per_year() / 365.2425

    def next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """Return the first fire strictly after `after`, in UTC; None beyond the year 9999.

        Raises:
            InvalidArgumentError: `after` is naive.
        """
        second = self.next_second(_floor_second("after", after), zone)
        return None if second is None else EPOCH + timedelta(seconds=second)

    def previous(self, before: datetime, zone: tzinfo) -> datetime | None:
        """Return the last fire at or before `before`, in UTC; None before the year 1.

        Raises:
            InvalidArgumentError: `before` is naive.
        """
        second = self.previous_second(_floor_second("before", before), zone)
        return None if second is None else EPOCH + timedelta(seconds=second)

    def matches_wall(self, wall: datetime) -> bool:
        """Tell whether the wall-clock reading of `wall` matches, to the second; its zone is not looked at."""
        reading = wall.replace(tzinfo=EPOCH.tzinfo)
        return self._pattern.matches((reading - EPOCH) // _SECOND)

    def describe(self) -> str:
        """Return the expression in words, as in 'at 02:30 on mon'."""
        return describe_cron(self._fields)

    def next_second(self, after: int, zone: tzinfo) -> int | None:
        """Do what `next()` does, on whole UTC seconds since 1970."""
        if after >= LAST_SECOND:
            return None
        after = max(after, FIRST_SECOND - 1)
        if self._fields.wildcard_time:
            found = self._next_shown(after + 1, zone)
        else:
            wall = self._pattern.at_or_after(_highest_wall(after, zone) + 1)
            found = None if wall is None else _first_showing(wall, zone)
        return found if found is not None and found <= LAST_SECOND else None

    def previous_second(self, before: int, zone: tzinfo) -> int | None:
        """Do what `previous()` does, on whole UTC seconds since 1970."""
        if before < FIRST_SECOND:
            return None
        before = min(before, LAST_SECOND)
        if self._fields.wildcard_time:
            found = self._previous_shown(before, zone)
        else:
            wall = self._pattern.at_or_before(_highest_wall(before, zone))
            found = None if wall is None else _first_showing(wall, zone)
        return found if found is not None and found >= FIRST_SECOND else None

    def _next_shown(self, second: int, zone: tzinfo) -> int | None:
        """Return the first instant >= `second` whose wall time matches."""
        _, end, offset = span_at(zone, second)
        low = second + offset
        wall = self._pattern.at_or_after(low)
        while wall is not None and wall - offset >= end:
            second = end
            _, end, offset = span_at(zone, second)
            # Nothing matches in [low, wall), so a new walk is needed only where the clock left that range.
            if not low <= second + offset <= wall:
                low = second + offset
                wall = self._pattern.at_or_after(low)
        return None if wall is None else wall - offset

    def _previous_shown(self, second: int, zone: tzinfo) -> int | None:
        """Return the last instant <= `second` whose wall time matches."""
        start, _, offset = span_at(zone, second)
        high = second + offset
        wall = self._pattern.at_or_before(high)
        while wall is not None and wall - offset < start:
            second = start - 1
            start, _, offset = span_at(zone, second)
            if not wall <= second + offset <= high:
                high = second + offset
                wall = self._pattern.at_or_before(high)
        return None if wall is None else wall - offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CronExpression) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(self._fields)

    def __reduce__(self) -> tuple[type["CronExpression"], tuple[str]]:
        return CronExpression, (self._text,)

    def __repr__(self) -> str:
        return f"CronExpression({self._text!r})"


def _floor_second(argument: str, instant: datetime) -> int:
    if instant.tzinfo is None:
        raise naive_datetime(argument, instant)
    return (instant - EPOCH) // _SECOND


def _highest_wall(second: int, zone: tzinfo) -> int:
    """Return the highest wall time that the clock has shown up to and including `second`."""
    start, _, offset = span_at(zone, second)
    wall = second + offset
    while start > second - 2 * DAY:  # a fold reaches back less than two days
        earlier, end, offset = span_at(zone, start - 1)
        wall = max(wall, end - 1 + offset)
        start = earlier
    return wall


def _first_showing(wall: int, zone: tzinfo) -> int:
    """Return the first instant at which the clock shows `wall` or later."""
    start, end, offset = span_at(zone, wall - DAY)  # offsets stay within a day, so the clock is not there yet
    while end + offset <= wall:
        start, end, offset = span_at(zone, end)
    return max(start, wall - offset)


def _refuse_never(text: str) -> None:
    parts = text.split()
    refuse(
        text,
        f"a date that exists: no month of field 4 (month) {parts[3]!r} has a day that matches"
        f" field 3 (day of month) {parts[2]!r} and field 5 (day of week) {parts[4]!r}",
        hint="write L in field 3 for the last day of a month, whichever it is",
    )
