"""A slow and obvious cron: it looks at every minute of a stretch of a zone's life."""

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
_HIGH = (59, 23, 31, 12, 6)
_LOW = (0, 0, 1, 1, 0)


def file_of(name: str) -> bytes:
    """Return the file of a zone in the tzdata package; the system's may be of another release."""
    return files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()


ZONES = sorted({file_of(name): name for name in sorted(zoneinfo.available_timezones() - {"localtime"})}.values())
"""One name of each zone; most names are links to one of these."""


@dataclass(frozen=True)
class Minutes:
    """Every minute from `start` on as (instant, wall time), and the first instant of every wall time."""

    rows: list[tuple[datetime, datetime]]
    first_shown: dict[datetime, datetime]


@lru_cache(maxsize=2)
def minutes_of(zone: str, start: datetime, days: int) -> Minutes:
    """Read the clock of `zone` at every minute of `days` days."""
    instants = [start + number * MINUTE for number in range(days * 1440)]
    tz = ZoneInfo(zone)
    rows = [(instant, instant.astimezone(tz).replace(tzinfo=None, fold=0)) for instant in instants]
    first_shown: dict[datetime, datetime] = {}
    for instant, wall in rows:
        first_shown.setdefault(wall, instant)
    return Minutes(rows, first_shown)


def values(text: str, field: int) -> set[int]:
    """Expand numbers, lists, ranges and steps of one field, with sets."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        low, dash, high = span.partition("-")
        first = _LOW[field] if span == "*" else int(low)
        last = _HIGH[field] if span == "*" or (step and not dash) else int(high or low)
        found |= set(range(first, last + 1, int(step or 1)))
    return {0 if field == 4 and value == 7 else value for value in found}


class OracleCron:
    """The rules of the documentation, word by word, on five plain fields."""

    def __init__(self, text: str) -> None:
        fields = text.split()
        self.minutes, self.hours, self.days, self.months, self.weekdays = map(values, fields, range(5))
        self.any_day = fields[2].startswith("*") or fields[4].startswith("*")
        self.wildcard = "*" in fields[0] or "*" in fields[1]

    def matches(self, wall: datetime) -> bool:
        """Tell whether this wall time matches."""
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        by_date, by_weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return (by_date and by_weekday) if self.any_day else (by_date or by_weekday)

    def fires(self, minutes: Minutes) -> list[datetime]:
        """Return every fire in these minutes, oldest first."""
        if self.wildcard:
            return [instant for instant, wall in minutes.rows if self.matches(wall)]
        first, last = minutes.rows[0][1], minutes.rows[-1][1]
        found: set[datetime] = set()
        wall = first
        while wall <= last:
            if self.matches(wall):
                shown = wall
                while shown not in minutes.first_shown and shown <= last:
                    shown += MINUTE  # a gap: the first minute after it
                if shown in minutes.first_shown:
                    found.add(minutes.first_shown[shown])
            wall += MINUTE
        return sorted(found)


def utc(year: int, month: int = 1, day: int = 1) -> datetime:
    """Return midnight of a date in UTC."""
    return datetime(year, month, day, tzinfo=UTC)
