"""`asyncbackoff` and `asyncretry`: repeat a call under five fixed rules. `retry` is the richer form."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast  # Any: what a coroutine and its loop exchange

from mainspring.base import Statistic, current_clock
from mainspring.errors import DeadlineExceededError, InvalidArgumentError
from mainspring.resilience._checks import (
    check_callable,
    check_coroutine_function,
    check_count,
    check_seconds,
    exception_classes,
    name_of,
)
from mainspring.resilience._timeout import timeout

P = ParamSpec("P")
R = TypeVar("R")


class BackoffStatistic(Statistic):
    """Counters of one decorated function: calls that ended well, attempts, cancellations, failures."""

    done: int
    attempts: int
    cancels: int
    errors: int
    sum_time: float


class RetryStatistic(BackoffStatistic):
    """The same for `asyncretry`."""


class BackoffRules:
    """The five rules of `asyncbackoff`, checked, with one set of counters for all that they are applied to."""

    def __init__(
        self,
        attempt_timeout: float | None,
        deadline: float | None,
        pause: float,
        exceptions: Iterable[type[Exception]],
        max_tries: int | None,
        giveup: Callable[[Exception], bool] | None,
        statistic: BackoffStatistic,
    ) -> None:
        if attempt_timeout is not None:
            check_seconds("attempt_timeout", attempt_timeout, zero=True)
        if deadline is not None:
            check_seconds("deadline", deadline, zero=True)
        if max_tries is not None:
            check_count("max_tries", max_tries)
        check_callable("giveup", giveup)
        self._attempt_timeout = attempt_timeout
        self._deadline = deadline
        self._pause = check_seconds("pause", pause, zero=True)
        self._retried = _below_exception((*exception_classes("exceptions", exceptions), TimeoutError))
        self._max_tries = max_tries
        self._giveup = giveup
        self._statistic = statistic

    def decorate(
        self,
        function: Callable[P, Coroutine[Any, Any, R]],
        *,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        """Return the function that repeats `function`; `on_failure` hears of each attempt that may be repeated."""
        check_coroutine_function("asyncbackoff", function)
        attempt = timeout(self._attempt_timeout)(function)
        retried, statistic = self._retried, self._statistic

        async def attempts(failures: list[Exception], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
            tries = 0
            while True:
                tries += 1
                statistic.attempts += 1
                try:
                    return await attempt(*args, **kwargs)
                except retried as error:
                    failures.clear()
                    if not isinstance(error, Exception):
                        raise
                    if on_failure is not None:
                        on_failure(error)
                    if tries == self._max_tries or (self._giveup and self._giveup(error)):
                        raise
                    failures.append(error)
                await asyncio.sleep(self._pause)

        attempts.__qualname__ = name_of(function)  # as the error of the deadline has it
        return self._counted(wraps(function), timeout(self._deadline)(attempts))

    def _counted(
        self,
        named: Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]],
        attempts: Callable[[list[Exception], tuple[Any, ...], dict[str, Any]], Coroutine[Any, Any, R]],
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        """Return the function that makes the attempts, counts how they end, and says what the last failure was."""
        statistic = self._statistic

        @named
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            failures: list[Exception] = []  # the last one, during a pause and the attempt after it
            started = current_clock().monotonic()
            try:
                result = await attempts(failures, args, kwargs)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError):
                    statistic.cancels += 1
                else:
                    statistic.errors += 1
                if failures and isinstance(error, DeadlineExceededError):  # that of an attempt leaves no failure
                    raise failures.pop() from None
                raise
            else:
                statistic.done += 1
                return result
            finally:
                statistic.sum_time += current_clock().monotonic() - started

        return call


def _below_exception(classes: tuple[type[BaseException], ...]) -> tuple[type[BaseException], ...]:
    """Return the classes, none of which may be one of cancellation."""
    if any(issubclass(asyncio.CancelledError, cls) for cls in classes):
        raise InvalidArgumentError(argument="exceptions", value=classes, expected="exceptions below Exception")
    return classes


def asyncbackoff(
    attempt_timeout: float | None,
    deadline: float | None,
    pause: float = 0,
    *exc: type[Exception],
    exceptions: Iterable[type[Exception]] = (),
    max_tries: int | None = None,
    giveup: Callable[[Exception], bool] | None = None,
    statistic_name: str | None = None,
    statistic_class: type[BackoffStatistic] = BackoffStatistic,
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Repeat a coroutine function under five rules, which all hold at once.

    1. The call is cancelled when it takes longer than `deadline`, all attempts and pauses together.
    2. An attempt is cancelled when it takes longer than `attempt_timeout`, and made anew.
    3. Attempts are `pause` seconds apart.
    4. There are at most `max_tries` attempts.
    5. `giveup` looks at the exception and may end the attempts.

    TimeoutError is always among the exceptions after which to try again, also one that the function raises
    itself; every other exception passes at once. When the deadline ends the call, the failure of the last
    attempt is raised if there was one, else a TimeoutError. Cancellation passes.

    Args:
        attempt_timeout: seconds for one attempt; None for no limit.
        deadline: seconds for all attempts and pauses; 0 fails at once; None for no limit.
        pause: seconds between attempts.
        exc: exceptions after which to try again.
        exceptions: the same as an iterable.
        max_tries: attempts in all, >= 1; None for no limit.
        giveup: a true answer to an exception raises it at once.
        statistic_name: the name of its counters in `get_statistics()`.
        statistic_class: the class of its counters.

    Raises:
        InvalidArgumentError: (a ValueError) an argument is outside its range.
        NotCoroutineFunctionError: (a TypeError) the decorated function is no coroutine function.
    """
    listed = (*exc, *exception_classes("exceptions", exceptions))
    statistic = statistic_class(statistic_name)
    return BackoffRules(
        attempt_timeout,
        deadline,
        pause,
        cast("tuple[type[Exception], ...]", listed),  # cast: the rules look at each
        max_tries,
        giveup,
        statistic,
    ).decorate


def asyncretry(
    max_tries: int | None,
    exceptions: Iterable[type[Exception]] = (Exception,),
    pause: float = 0,
    giveup: Callable[[Exception], bool] | None = None,
    statistic_name: str | None = None,
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Repeat a coroutine function up to `max_tries` times: `asyncbackoff` without limits of time.

    Args:
        max_tries: attempts in all, >= 1; None for no limit.
        exceptions: after which to try again; TimeoutError always is one.
        pause: seconds between attempts.
        giveup: a true answer to an exception raises it at once.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: (a ValueError) an argument is outside its range.
        NotCoroutineFunctionError: (a TypeError) the decorated function is no coroutine function.
    """
    return asyncbackoff(
        None,
        None,
        pause,
        exceptions=exceptions,
        max_tries=max_tries,
        giveup=giveup,
        statistic_name=statistic_name,
        statistic_class=RetryStatistic,
    )
