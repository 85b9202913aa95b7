"""Schedules: one object makes both the fire times and the data intervals between them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar  # Any: a spec is plain JSON

from mainspring.base import CronExpression, from_us, seconds_hint, to_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model._interval import DataInterval, zone_of

_FIRST = to_us(datetime.min.replace(tzinfo=UTC))
_LAST = to_us(datetime.max.replace(tzinfo=UTC))
_MAX_SECONDS = 100 * 366 * 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Schedule(ABC):
    """When a job fires. Instants go in and out aware, in UTC.

    The interval of a fire is the time since the fire before, so consecutive intervals tile the time line.
    Schedules are immutable, equal when their specs are, and thread-safe.
    """

    kind: ClassVar[str]
    has_intervals: ClassVar[bool] = True
    timezone: str

    @abstractmethod
    def next_fire(self, after: datetime) -> datetime | None:
        """Return the first fire strictly after an instant."""

    @abstractmethod
    def previous_fire(self, before: datetime) -> datetime | None:
        """Return the last fire at or before an instant."""

    @abstractmethod
    def count(self, start: datetime, end: datetime) -> tuple[int, bool]:
        """Return (number of whole intervals in [start, end), True when that is exact)."""

    @abstractmethod
    def describe(self) -> str:
        """Return the schedule in words."""

    @abstractmethod
    def spec(self) -> dict[str, object]:
        """Return what `Schedule.from_spec` makes an equal schedule from; plain JSON."""

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> "Schedule":
        """Make a schedule from its spec.

        Raises:
            InvalidArgumentError: the spec is of no known kind.
        """
        kind = spec.get("kind")
        if kind == Cron.kind:
            return Cron(spec["expression"], spec["timezone"])
        if kind == Every.kind:
            return Every(spec["interval"], anchor=from_us(spec["anchor"]), timezone=spec["timezone"])
        if kind == At.kind:
            instant: int = spec["instant"]
            return At(from_us(instant))
        raise InvalidArgumentError(argument="kind", value=kind, expected="one of 'cron', 'every', 'at'")

    def fires_at_wall(self, local: datetime) -> bool:
        """Tell whether a fire at this wall time is meant for it; False where the clock jumped over the meant one."""
        return True

    def interval_at(self, fire: datetime) -> DataInterval | None:
        """Return the interval that ends at this fire time; None without intervals, or before the first fire."""
        if not self.has_intervals:
            return None
        before = self.previous_fire(fire - timedelta(microseconds=1))
        return None if before is None else DataInterval(before, fire, self.timezone)

    def intervals(self, start: datetime, end: datetime) -> Iterator[DataInterval]:
        """Yield the whole intervals inside [start, end), oldest first, lazily."""
        low = self._first_bound(start)
        while self.has_intervals and low is not None:
            high = self.next_fire(low)
            if high is None or high > end:
                return
            yield DataInterval(low, high, self.timezone)
            low = high

    def intervals_reversed(self, start: datetime, end: datetime) -> Iterator[DataInterval]:
        """Yield the same intervals, newest first."""
        high = self.previous_fire(end)
        while self.has_intervals and high is not None:
            low = self.previous_fire(high - timedelta(microseconds=1))
            if low is None or low < start:
                return
            yield DataInterval(low, high, self.timezone)
            high = low

    def _first_bound(self, start: datetime) -> datetime | None:
        at_or_before = self.previous_fire(start)
        return start if at_or_before == start else self.next_fire(start)

    @cached_property
    def _identity(self) -> tuple[object, ...]:
        return tuple(self.spec().items())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Schedule) and self._identity == other._identity)

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.spec().items() if name != "kind")
        return f"{type(self).__name__}({arguments})"


class Cron(Schedule):
    """Fires as a cron expression says, on the wall clock of a zone (see `CronExpression` for DST).

    Raises:
        InvalidArgumentError: the expression or the zone cannot be read.
    """

    kind = "cron"

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        self.expression = CronExpression(expression)
        self.timezone = timezone
        self._zone = zone_of(timezone)

    def next_fire(self, after: datetime) -> datetime | None:
        """Return the first fire strictly after an instant; None beyond the year 9999."""
        return self.expression.next(after, self._zone)

    def previous_fire(self, before: datetime) -> datetime | None:
        """Return the last fire at or before an instant; None before the year 1."""
        return self.expression.previous(before, self._zone)

    def fires_at_wall(self, local: datetime) -> bool:
        """Tell whether the expression names this wall time."""
        return self.expression.matches_wall(local)

    def count(self, start: datetime, end: datetime) -> tuple[int, bool]:
        """Estimate the intervals from the fires per day; never exact."""
        days = (end - start).total_seconds() / 86_400
        return max(round(days * self.expression.fires_per_day), 0), False

    def describe(self) -> str:
        """Return the expression in words, and the zone."""
        return f"{self.expression.describe()} ({self.timezone})"

    def spec(self) -> dict[str, object]:
        """Return expression and zone."""
        return {"kind": self.kind, "expression": self.expression.text, "timezone": self.timezone}


class Every(Schedule):
    """Fires on a fixed grid: `anchor`, and every `interval` seconds before and after it.

    Raises:
        InvalidArgumentError: an interval below a millisecond, or a naive anchor.
    """

    kind = "every"

    def __init__(self, interval: float, *, anchor: datetime | None = None, timezone: str = "UTC") -> None:
        number = isinstance(interval, int | float)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not number or isinstance(interval, bool) or not 0.001 <= interval <= _MAX_SECONDS:
            expected = "seconds from 0.001 to 100 years"
            raise InvalidArgumentError(argument="every", value=interval, expected=expected, hint=seconds_hint(interval))
        self.interval = float(interval)
        self.anchor = _EPOCH if anchor is None else anchor
        self.timezone = timezone
        zone_of(timezone)
        self._step = round(self.interval * 1e6)
        self._anchor = to_us(self.anchor)

    def next_fire(self, after: datetime) -> datetime | None:
        """Return the first grid point strictly after an instant; None beyond the year 9999."""
        return _in_range(self._anchor + ((to_us(after) - self._anchor) // self._step + 1) * self._step)

    def previous_fire(self, before: datetime) -> datetime | None:
        """Return the last grid point at or before an instant; None before the year 1."""
        return _in_range(self._anchor + (to_us(before) - self._anchor) // self._step * self._step)

    def count(self, start: datetime, end: datetime) -> tuple[int, bool]:
        """Count the intervals exactly."""
        first = -((self._anchor - to_us(start)) // self._step) * self._step + self._anchor
        return max((to_us(end) - first) // self._step, 0), True

    def describe(self) -> str:
        """Return the interval in words."""
        return f"every {self.interval:g} s"

    def spec(self) -> dict[str, object]:
        """Return interval, anchor (microseconds) and zone."""
        return {"kind": self.kind, "interval": self.interval, "anchor": self._anchor, "timezone": self.timezone}


class At(Schedule):
    """Fires once; has no data interval.

    Raises:
        InvalidArgumentError: it is no datetime, or a naive one.
    """

    kind = "at"
    has_intervals = False
    timezone = "UTC"

    def __init__(self, instant: datetime) -> None:
        if not isinstance(instant, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]  # anything gets here
            raise InvalidArgumentError(argument="at", value=instant, expected="an aware datetime")
        self.instant = from_us(to_us(instant))

    def next_fire(self, after: datetime) -> datetime | None:
        """Return the instant if it is after."""
        return self.instant if after < self.instant else None

    def previous_fire(self, before: datetime) -> datetime | None:
        """Return the instant if it is at or before."""
        return self.instant if before >= self.instant else None

    def count(self, start: datetime, end: datetime) -> tuple[int, bool]:
        """There are no intervals."""
        return 0, True

    def describe(self) -> str:
        """Return the instant."""
        return f"once at {self.instant:%Y-%m-%dT%H:%M:%SZ}"

    def spec(self) -> dict[str, object]:
        """Return the instant in microseconds."""
        return {"kind": self.kind, "instant": to_us(self.instant)}


def _in_range(microseconds: int) -> datetime | None:
    return from_us(microseconds) if _FIRST <= microseconds <= _LAST else None
