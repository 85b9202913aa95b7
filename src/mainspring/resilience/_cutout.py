"""`cutout`: a circuit breaker for each decorated function."""

from collections.abc import Callable
from typing import Any, TypeVar  # Any: the signature of the guarded function

from mainspring.errors import InvalidArgumentError
from mainspring.resilience._breaker import CircuitBreaker

F = TypeVar("F", bound=Callable[..., Any])


def cutout(
    ratio: float,
    response_time: float,
    *exceptions: type[BaseException],
    **kwargs: Any,  # Any: the further arguments of CircuitBreaker
) -> Callable[[F], F]:
    """Guard a function, coroutine function or not, with a circuit breaker of its own.

    Args:
        ratio: share of failed calls that is too much, 0 < ratio < 1.
        response_time: seconds of the window, and of each state.
        exceptions: which exceptions are failures; every Exception when none is given.
        kwargs: further arguments of `CircuitBreaker`.

    Raises:
        InvalidArgumentError: an argument is outside its range.
    """

    def decorate(function: F) -> F:
        if not callable(function):
            raise InvalidArgumentError(argument="function", value=function, expected="a callable")
        return make()(function)

    def make() -> CircuitBreaker:
        return CircuitBreaker(ratio, response_time, exceptions or (Exception,), **kwargs)

    make()  # refuses wrong arguments where they are written
    return decorate
