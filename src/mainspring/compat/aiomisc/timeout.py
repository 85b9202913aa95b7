"""`aiomisc.timeout`."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar  # Any: what a coroutine and its loop exchange

from mainspring.resilience import timeout as time_limit

__all__ = ("timeout",)

P = ParamSpec("P")
R = TypeVar("R")


def timeout(
    value: float,
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Limit how many seconds a coroutine function may take.

    Raises:
        InvalidArgumentError: `value` is negative or not finite.
        NotCoroutineFunctionError: (a TypeError) the decorated function is no coroutine function.
    """
    return time_limit(value)
