"""Values that people write as text: in environment variables, files and command lines."""

import math
import re
from datetime import timedelta
from typing import Final

from mainspring.errors import InvalidArgumentError

_TRUE: Final = frozenset({"1", "enable", "enabled", "on", "true", "yes"})
_FALSE: Final = frozenset({"", "0", "disable", "disabled", "off", "false", "no"})

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER: Final = r"(\d+(?:\.\d*)?|\.\d+)"
_PART: Final = re.compile(_NUMBER + r"\s*(ms|[smhdw])\s*")
_BARE: Final = re.compile(_NUMBER)


def parse_bool(text: str, *, source: str) -> bool:
    """Return what a yes-or-no word means, whatever its case.

    Args:
        text: 1, yes, true, on, enable, enabled; or 0, no, false, off, disable, disabled, or nothing.
        source: where the text comes from, as `MAINSPRING_DEBUG`; the error names it.

    Raises:
        InvalidArgumentError: it is another word.
    """
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise InvalidArgumentError(argument=source, value=text, expected="yes or no, true or false, 1 or 0")


def parse_duration(text: str, *, source: str) -> float:
    """Return a duration in seconds.

    Args:
        text: a number of seconds ("90"), or numbers with units, each of ms, s, m, h, d, w ("1.5s", "1h30m").
        source: where the text comes from, as `--timeout`; the error names it.

    Raises:
        InvalidArgumentError: it is no such text, or too long to count.

    Example:
        >>> parse_duration("1h30m", source="--timeout")
        5400.0
    """
    word = text.strip().lower()
    seconds = float(word) if _BARE.fullmatch(word) else _sum_of_parts(word)
    if seconds is None or not math.isfinite(seconds):
        raise InvalidArgumentError(
            argument=source, value=text, expected='a duration such as "90", "1.5s", "10m", "2h" or "1d"'
        )
    return seconds


def seconds_hint(value: object) -> str | None:
    """Return how to write a duration that was given as text or as a timedelta, where a number of seconds is wanted.

    Example:
        >>> seconds_hint("10m")
        'write 600, a number of seconds'
    """
    if isinstance(value, timedelta):
        seconds: float | None = value.total_seconds()
    else:
        word = value.strip().lower() if isinstance(value, str) else ""
        seconds = float(word) if _BARE.fullmatch(word) else _sum_of_parts(word)
    return None if seconds is None else f"write {seconds:g}, a number of seconds"


def _sum_of_parts(word: str) -> float | None:
    position, seconds = 0, 0.0
    while part := _PART.match(word, position):
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    return seconds if word and position == len(word) else None
