"""A cron expression in words, for lists and hints."""

from mainspring.base._cron_parse import CronFields

_MONTHS = ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NTH = ("last", "first", "second", "third", "fourth", "fifth")
_MAX_TIMES = 4


def describe_cron(fields: CronFields) -> str:
    """Return `fields` in words, as in 'at 02:30 on mon'."""
    return _time(fields) + _day(fields)


def _time(fields: CronFields) -> str:
    hours, minutes, seconds = _values(fields.hours), _values(fields.minutes), _values(fields.seconds)
    if len(hours) * len(minutes) * len(seconds) <= _MAX_TIMES:
        shown = [
            f"{hour:02}:{minute:02}" + ("" if fields.seconds == 1 else f":{second:02}")
            for hour in hours
            for minute in minutes
            for second in seconds
        ]
        return "at " + ", ".join(shown)
    words = _some(minutes, "minute", 60)
    if fields.seconds != 1:
        words = f"{_some(seconds, 'second', 60)} of {words}"
    if len(hours) < 24:
        return f"{words} of {_some(hours, 'hour', 24)}"
    return words if words.startswith("every") else f"{words} of every hour"


def _day(fields: CronFields) -> str:
    dates = [f"day {', '.join(map(str, _values(fields.days)))}"] if fields.days else []
    dates += ["the last day"] if fields.last_day else []
    weekdays = [_WEEKDAYS[value] for value in _values(fields.weekdays)]
    weekdays += [f"the {_NTH[nth]} {_WEEKDAYS[weekday]}" for weekday, nth in fields.nth_weekdays]
    parts: list[str] = []
    if fields.days.bit_count() < 31:
        parts.append("on " + ", ".join(dates))
    if len(weekdays) < 7:
        parts.append("on " + ", ".join(weekdays))
    months = [_MONTHS[value] for value in _values(fields.months)]
    when = (" and " if fields.any_day else " or ").join(parts)
    return (f" {when}" if when else "") + (f" in {', '.join(months)}" if len(months) < 12 else "")


def _some(values: list[int], unit: str, count: int) -> str:
    if len(values) == count:
        return f"every {unit}"
    step = values[1] - values[0] if len(values) > 1 else 0
    if step > 1 and values == list(range(values[0], count, step)):
        return f"every {step} {unit}s" + (f" from {unit} {values[0]}" if values[0] else "")
    return f"{unit} {', '.join(map(str, values))}"


def _values(bits: int) -> list[int]:
    return [value for value in range(bits.bit_length()) if bits >> value & 1]
