"""Data intervals, and the instants that people write for their ends."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from mainspring.errors import InvalidArgumentError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class DataInterval:
    """The half-open range [start, end) of time that a run works on; both ends aware, in UTC.

    Attributes:
        zone: the job's zone, in which its days begin.

    Raises:
        InvalidArgumentError: an end is naive, or the range is empty.
    """

    start: datetime
    end: datetime
    zone: str = "UTC"

    def __post_init__(self) -> None:
        for end in ("start", "end"):
            instant: datetime = getattr(self, end)
            if instant.tzinfo is None:
                raise InvalidArgumentError(argument=end, value=instant.isoformat(), expected="an aware datetime")
            if instant.tzinfo is not UTC:
                object.__setattr__(self, end, instant.astimezone(UTC))
        if self.start >= self.end:
            raise InvalidArgumentError(
                argument="end", value=self.end.isoformat(), expected=f"an instant after {self.start.isoformat()}"
            )

    @property
    def date(self) -> date:
        """The day, in the job's zone, on which the interval starts."""
        return self.start.astimezone(zone_of(self.zone)).date()

    @property
    def duration(self) -> float:
        """Seconds that pass between start and end (25 hours long on some days)."""
        return (self.end - self.start).total_seconds()

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def clipped(self, start: datetime) -> "DataInterval | None":
        """Return what lies at or after `start`; None when nothing does.

        So begins the first interval of a changed schedule: where the intervals of the old one ended.
        """
        if start >= self.end:
            return None
        return self if start <= self.start else DataInterval(start, self.end, self.zone)

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ}/{self.end:%Y-%m-%dT%H:%M:%SZ}"


def zone_of(name: str) -> "ZoneInfo":
    """Return the time zone of this name.

    Raises:
        InvalidArgumentError: the tz database has no such zone.
    """
    from zoneinfo import ZoneInfo, available_timezones  # looks for the tz database

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise InvalidArgumentError(
            argument="timezone",
            value=name,
            expected="a zone of the tz database",
            hint="write it as Area/City, for example Europe/Berlin, or UTC",
            known=sorted(available_timezones()),
        ) from error


def to_instant(value: datetime | date | str, zone: str, *, argument: str = "instant") -> datetime:
    """Return the instant that is meant by an aware datetime, a date (its midnight in `zone`) or ISO text.

    A midnight that the zone skips means the first instant of that day.

    Args:
        argument: what errors call it.

    Raises:
        InvalidArgumentError: a naive datetime, text that is neither, or none of the three.
    """
    if isinstance(value, str):
        value = _parse(value, argument)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidArgumentError(
                argument=argument,
                value=value.isoformat(),
                expected="an aware datetime or a date",
                hint=f"add its offset, as {value.isoformat()}Z in text and tzinfo=UTC in code, or give a date: "
                "midnight in the job's zone",
            )
        return value.astimezone(UTC)
    if not isinstance(value, date):  # pyright: ignore[reportUnnecessaryIsInstance]  # anything gets here
        raise InvalidArgumentError(argument=argument, value=value, expected="an aware datetime, a date, or ISO text")
    return _first_instant(value, zone_of(zone))


def _parse(text: str, argument: str) -> datetime | date:
    try:
        return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgumentError(
            argument=argument, value=text, expected="ISO text, as 2013-01-01 or 2013-01-01T05:00:00Z"
        ) from error


def _first_instant(day: date, zone: "ZoneInfo") -> datetime:
    # Midnight may not exist (a gap): the instants around it are then told apart by their wall time.
    low = datetime.combine(day, time(), zone).astimezone(UTC)
    shown = low.astimezone(zone)
    if shown.date() == day and shown.time() == time():
        return low
    before, after = low - timedelta(days=1), low + timedelta(days=1)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).date() < day:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
