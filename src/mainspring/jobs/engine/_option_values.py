"""What each option of `@job` and argument of `JobApp` must be, looked at where it is written: not at its first use."""

import math
import sys
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import FunctionType, MethodType
from typing import Any, Final  # Any: options hold any value

from mainspring.base import seconds_hint
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._plain import is_storable
from mainspring.jobs.model import Missed, Need, Retention

_MISSED: Final = tuple(str(one) for one in Missed)
_AWARE: Final = "give it a zone, as datetime(2013, 1, 1, tzinfo=UTC)"
_MOST_PRIORITY: Final = 2**31  # well inside of what every store sorts by
_LONGEST_ID: Final = 200  # characters
LONGEST: Final = 100 * 366 * 86_400  # seconds: beyond, an instant so long ago or to come is in no calendar

Check = tuple[Callable[[Any], bool], str]
"""Tells whether a value will do, and says what does."""


def is_number(value: object) -> bool:
    """Tell whether it is a finite number that a float can hold; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= sys.float_info.max


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _or_none(check: Check) -> Check:
    fits, expected = check
    return lambda value: value is None or fits(value), f"{expected}, or None"


def _each(kinds: type | tuple[type, ...], expected: str) -> Check:
    def fits(value: Any) -> bool:
        several = issubclass(type(value), Collection) and not issubclass(type(value), str)
        return several and all(isinstance(one, kinds) for one in value)

    return fits, expected


def _ids(expected: str) -> Check:
    fits, _ = _each(str, expected)
    return lambda value: fits(value) and all(map(is_storable, value)), expected


_FROM_ZERO: Final[Check] = (lambda value: is_number(value) and 0 <= value <= LONGEST, "finite seconds >= 0")
_ABOVE_ZERO: Final[Check] = (lambda value: is_number(value) and 0 < value <= LONGEST, "finite seconds > 0")
_FLAG: Final[Check] = (lambda value: isinstance(value, bool), "True or False")
_TEXT: Final[Check] = (_is_text, "a text that is not empty")

_CHECKS: Final[Mapping[str, Check]] = {
    "delay": _FROM_ZERO,
    "jitter": _FROM_ZERO,
    "timeout": _or_none(_ABOVE_ZERO),
    "sla": _or_none(_ABOVE_ZERO),
    "max_lookback": _or_none(_ABOVE_ZERO),
    "misfire_grace_time": _or_none(_ABOVE_ZERO),
    "cancel_grace": _or_none(_FROM_ZERO),
    "max_instances": (lambda value: _is_int(value) and value >= 1, "an int >= 1"),
    "priority": (lambda value: _is_int(value) and abs(value) < _MOST_PRIORITY, "an int between -2**31 and 2**31"),
    "overlap": (lambda value: value in ("queue", "skip", "allow"), "'queue', 'skip' or 'allow'"),
    "start_at": _or_none((lambda value: isinstance(value, datetime) and value.tzinfo is not None, "an aware datetime")),
    "missed": _or_none((lambda value: value in _MISSED, f"one of {', '.join(map(repr, _MISSED))}")),
    "backfill_policy": _or_none(_TEXT),
    "queue": _TEXT,
    "concurrency_key": _or_none(_TEXT),
    "retry": (lambda value: value is None or not isinstance(value, str | float), "a Backoff, an int, or None"),
    "deterministic": _FLAG,
    "depends_on_past": _FLAG,
    "coalesce": _or_none(_FLAG),
    "stateful": _or_none(_FLAG),
    "config": _or_none((lambda value: isinstance(value, Mapping), "a mapping of names to values")),
    "limiter": _or_none(
        (
            lambda value: callable(getattr(value, "acquire", None)) and hasattr(value, "__aenter__"),
            "a limiter, with an acquire() to await and an `async with`",
        )
    ),
    "resources": _or_none((lambda value: isinstance(value, Mapping), "a mapping of parameter names to providers")),
    "needs": _each((str, Need, FunctionType, MethodType), "a list of job ids, functions of jobs, and Needs"),
    "tags": _each(str, "a list of texts"),
    "was": _ids("a list of job ids"),
}


def _is_path(value: object) -> bool:
    from pathlib import Path

    return _is_text(value) or isinstance(value, Path)


def _is_store(value: object) -> bool:
    made = not isinstance(value, type) and callable(getattr(value, "enqueue", None))
    return made or _is_path(value)


_APP_CHECKS: Final[Mapping[str, Check]] = {
    "label": _TEXT,
    "store": _or_none((_is_store, "the address of a SQLite file, its Path, 'memory', or a store")),
    "was": _ids("a list of labels"),
    "schedule": _FLAG,
    "spool": _or_none((_is_path, "a folder, as a text or a Path")),
    "spool_bytes": (lambda value: _is_int(value) and value >= 1, "an int >= 1"),
    "retention": _or_none((lambda value: isinstance(value, Retention), "a Retention")),
}
"""Of what no settings say; the others have theirs there."""


def check_app(**given: Any) -> None:
    """Look at each argument of an app by itself, as `check_values` does at those of a job."""
    _check(given, _APP_CHECKS)


def check_id(job_id: object) -> None:
    """Refuse what cannot be the id of a job.

    Raises:
        InvalidArgumentError: it is none.
    """
    if not isinstance(job_id, str) or not 0 < len(job_id) <= _LONGEST_ID:
        raise InvalidArgumentError(argument="job_id", value=job_id, expected=f"1 to {_LONGEST_ID} characters")
    if job_id == "*" or not is_storable(job_id):
        expected = "a text that UTF-8 can write, and not '*', which means all jobs to the console"
        raise InvalidArgumentError(argument="job_id", value=job_id, expected=expected)


def check_values(given: Mapping[str, Any]) -> None:
    """Look at each option by itself.

    Raises:
        InvalidArgumentError: one of them is not what it must be; names it, and what does.
    """
    _check(given, _CHECKS)


def _check(given: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    for name, value in given.items():
        if name not in checks:
            continue
        fits, expected = checks[name]
        if not fits(value):
            if "seconds" in expected and is_number(value) and value > LONGEST:
                expected = "seconds of 100 years at most"
            elif isinstance(value, str) and name in ("needs", "tags", "was"):  # it would be taken for its letters
                expected = f"{expected}, as [{value!r}]"
            hint = _AWARE if name == "start_at" else seconds_hint(value) if "seconds" in expected else None
            raise InvalidArgumentError(argument=name, value=value, expected=expected, hint=hint)
