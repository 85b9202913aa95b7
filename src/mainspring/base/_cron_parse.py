"""The words of a cron expression: text in, bit sets out, and a precise sentence for what cannot be read."""

import re
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from mainspring.errors import InvalidArgumentError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MAX_CHARACTERS = 1000
_LAST = 0


class NthWeekday(NamedTuple):
    """The `nth` (1 to 5) such weekday of a month, the last one when `nth` is 0. Sunday is 0."""

    weekday: int
    nth: int


@dataclass(frozen=True, slots=True)
class CronFields:
    """What an expression means. Bit n of a set stands for the value n; Sunday is weekday 0."""

    seconds: int
    minutes: int
    hours: int
    days: int
    last_day: bool
    months: int
    weekdays: int
    nth_weekdays: tuple[NthWeekday, ...]
    any_day: bool
    """Either day field starts with `*`: both have to match. Otherwise one of them is enough (Vixie cron)."""
    wildcard_time: bool
    """The minute or the hour field holds `*`: fires follow the clock's hands, not a time of day."""


class _Field(NamedTuple):
    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS, 1)
_WEEKDAY = _Field("day of week", 0, 7, _WEEKDAYS)
_SECOND = _Field("second", 0, 59)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY, _SECOND)


def parse_cron(text: str) -> CronFields:
    """Read five fields, six with seconds last, or a nickname such as `@daily`.

    Raises:
        InvalidArgumentError: with the field, the position (counted from 1) and the word that was refused.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # users pass None and numbers
        refuse(text, "a cron expression as text")
    if len(text) > _MAX_CHARACTERS:
        refuse(text[:40] + "...", f"at most {_MAX_CHARACTERS} characters, not {len(text)}")
    words = _split(text)
    readers = [_FieldReader(text, field, number, word) for number, (field, word) in enumerate(words, 1)]
    minute, hour, day, month, weekday, *second = readers
    return CronFields(
        seconds=second[0].read() if second else 1,
        minutes=minute.read(),
        hours=hour.read(),
        days=day.read(),
        last_day=day.last_day,
        months=month.read(),
        weekdays=weekday.read(),
        nth_weekdays=tuple(weekday.nth_weekdays),
        any_day=day.word[0] == "*" or weekday.word[0] == "*",
        wildcard_time="*" in minute.word or "*" in hour.word,
    )


def refuse(text: object, expected: str, *, hint: str | None = None) -> NoReturn:
    """Raise the refusal of a cron expression."""
    raise InvalidArgumentError(argument="cron", value=text, expected=expected, hint=hint)


def _split(text: str) -> list[tuple[_Field, re.Match[str]]]:
    plain = text.strip().lower()
    if plain.startswith("@"):
        known = _NICKNAMES.get(plain)
        if known is None:
            refuse(
                text,
                f"one of {', '.join(_NICKNAMES)}",
                hint="for a fixed interval use every=, for one run at start-up call run_job()",
            )
        text = known
    words = list(re.finditer(r"\S+", text))
    if len(words) not in (5, 6):
        refuse(
            text,
            f"5 fields (minute hour day month weekday) or 6 (seconds last), found {len(words)}",
            hint="'0 2 * * *' fires every day at 02:00; years have no field",
        )
    return list(zip(_FIELDS, words, strict=False))


class _FieldReader:
    """Reads one field; keeps what a bit set cannot say in `last_day` and `nth_weekdays`."""

    def __init__(self, text: str, field: _Field, number: int, match: re.Match[str]) -> None:
        self.text = text
        self.field = field
        self.number = number
        self.word = match.group().lower().replace("?", "*")
        self.position = match.start() + 1
        self.last_day = False
        self.nth_weekdays: list[NthWeekday] = []

    def read(self) -> int:
        bits = 0
        for item in self.word.split(","):
            bits |= self._item(item)
            self.position += len(item) + 1
        if self.field is _WEEKDAY and bits >> 7 & 1:
            bits = bits & 0x7F | 1
        return bits

    def _item(self, item: str) -> int:
        if not item:
            self._refuse("a value between the commas of", item)
        if self.field is _DAY and item == "l":
            self.last_day = True
            return 0
        if self.field is _WEEKDAY and ("#" in item or "l" in item):
            self._nth_weekday(item)
            return 0
        span, slash, step_text = item.partition("/")
        step = self._step(step_text, item) if slash else 1
        low, high = self._span(span, item, open_end=bool(slash))
        return sum(1 << value for value in range(low, high + 1, step))

    def _span(self, span: str, item: str, *, open_end: bool) -> tuple[int, int]:
        top = 6 if self.field is _WEEKDAY else self.field.high
        if span == "*":
            return self.field.low, top
        first, dash, last = span.partition("-")
        low = self._value(first, item)
        if not dash:
            return low, max(low, top) if open_end else low
        high = self._value(last, item)
        if self.field is _WEEKDAY and high == 0 < low:
            high = 7  # fri-sun: at the end of a range Sunday is 7
        if high < low:
            self._refuse(
                "a range that goes up in",
                item,
                hint=f"a range over the end is written in two: {first}-{top},{self.field.low}-{last}",
            )
        return low, high

    def _value(self, word: str, item: str) -> int:
        if word in self.field.names:
            return self.field.names.index(word) + self.field.first_name
        number = int(word) if word.isascii() and word.isdigit() and len(word) < 5 else -1
        if not self.field.low <= number <= self.field.high:
            names = f" or {self.field.names[0]} to {self.field.names[-1]}" if self.field.names else ""
            self._refuse(f"{self.field.low} to {self.field.high}{names} in", item)
        return number

    def _step(self, word: str, item: str) -> int:
        most = self.field.high - self.field.low + 1
        number = int(word) if word.isascii() and word.isdigit() and len(word) < 5 else 0
        if not 1 <= number <= most:
            self._refuse(
                f"a step from 1 to {most} after the '/' in",
                item,
                hint="a step starts again with each hour, day or month; for a fixed interval use every=",
            )
        return number

    def _nth_weekday(self, item: str) -> None:
        """Read `mon#2`, `friL`, `5L` or `L5`."""
        day, hash_sign, nth = item.partition("#")
        if not hash_sign:
            day = item.removesuffix("l") if item.endswith("l") else item.removeprefix("l")
            nth = str(_LAST)
        elif nth not in {"1", "2", "3", "4", "5"}:
            self._refuse("1 to 5 after the '#' in", item)
        if not day:
            self._refuse("a weekday beside the L in", item, hint="friL is the last Friday of the month")
        self.nth_weekdays.append(NthWeekday(self._value(day, item) % 7, int(nth)))

    def _refuse(self, wanted: str, item: str, *, hint: str | None = None) -> NoReturn:
        place = f"field {self.number} ({self.field.title})"
        refuse(self.text, f"{wanted} {place}, found {item!r} at position {self.position}", hint=hint)
