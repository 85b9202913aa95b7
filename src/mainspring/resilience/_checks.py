"""Checks of arguments that several files of the room share."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import cast

from mainspring.errors import InvalidArgumentError, NotCoroutineFunctionError


def check_seconds(argument: str, value: object, *, zero: bool = False) -> float:
    """Return `value` as float seconds: finite, and above zero (or zero, where `zero` allows it)."""
    seconds = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not zero):
        expected = f"finite seconds {'>=' if zero else '>'} 0"
        raise InvalidArgumentError(argument=argument, value=value, expected=expected)
    return seconds


def check_count(argument: str, value: object, *, at_least: int = 1, at_most: int | None = None) -> int:
    """Return `value` as an int within the bounds."""
    count = value if isinstance(value, int) and not isinstance(value, bool) else at_least - 1
    if count < at_least or (at_most is not None and count > at_most):
        bounds = f">= {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise InvalidArgumentError(argument=argument, value=value, expected=f"an int {bounds}")
    return count


def check_ratio(argument: str, value: object) -> float:
    """Return `value` as a share, strictly between 0 and 1."""
    if isinstance(value, int | float) and 0 < value < 1:
        return float(value)
    raise InvalidArgumentError(argument=argument, value=value, expected="a share between 0 and 1, both excluded")


def check_callable(argument: str, value: object) -> Callable[..., object] | None:
    """Return `value`, which is a callable or None."""
    if value is not None and not callable(value):
        raise InvalidArgumentError(argument=argument, value=value, expected="a callable or None")
    return value


def exception_classes(argument: str, value: object) -> tuple[type[BaseException], ...]:
    """Return one exception class, or any iterable of them, as the tuple that `except` takes."""
    classes: tuple[object, ...] = (value,)
    if isinstance(value, Iterable) and not isinstance(value, type):
        classes = tuple(cast("Iterable[object]", value))  # cast: each item is looked at below
    checked = tuple(cls for cls in classes if isinstance(cls, type) and issubclass(cls, BaseException))
    if len(checked) != len(classes):
        shown = value if isinstance(value, str) else classes  # an iterator is used up by now
        raise InvalidArgumentError(argument=argument, value=shown, expected="exception classes")
    return checked


def check_coroutine_function(what: str, function: Callable[..., object]) -> None:
    """Refuse what does not return a coroutine when called; `what` is the decorator's name."""
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is looked at
    if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)):
        raise NotCoroutineFunctionError(what=what, function=name_of(function))


def name_of(function: object) -> str:
    """Return how a function is called in messages."""
    return getattr(function, "__qualname__", None) or repr(function)
