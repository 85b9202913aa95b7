"""`asyncbackoff` and `asyncretry`: repeat a call under five fixed rules. `retry` is the richer form."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar  # Any: what a coroutine and its loop exchange

from mainspring.base import Statistic
from mainspring.errors import DeadlineExceededError, InvalidArgumentError
from mainspring.resilience._checks import (
    check_callable,
    check_coroutine_function,
    check_count,
    check_seconds,
    exception_classes,
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


def _below_exception(classes: tuple[type[BaseException], ...]) -> tuple[type[BaseException], ...]:
    """Return the classes, none of which may be one of cancellation."""
    if any(issubclass(asyncio.CancelledError, cls) for cls in classes):
        raise InvalidArgumentError(argument="exceptions", value=classes, expected="exceptions below Exception")
    return classes


def _check_rules(attempt_timeout: object, deadline: object, pause: object, max_tries: object) -> None:
    if attempt_timeout is not None:
        check_seconds("attempt_timeout", attempt_timeout, zero=True)
    if deadline is not None:
        check_seconds("deadline", deadline, zero=True)
    check_seconds("pause", pause, zero=True)
    if max_tries is not None:
        check_count("max_tries", max_tries)


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
    _check_rules(attempt_timeout, deadline, pause, max_tries)
    check_callable("giveup", giveup)
    retried = _below_exception((*exc, *exception_classes("exceptions", exceptions), TimeoutError))
    statistic = statistic_class(statistic_name)

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        check_coroutine_function("asyncbackoff", function)
        attempt = timeout(attempt_timeout)(function)

        async def attempts(failures: list[Exception], *args: P.args, **kwargs: P.kwargs) -> R:
            tries = 0
            while True:
                tries += 1
                statistic.attempts += 1
                try:
                    return await attempt(*args, **kwargs)
                except retried as error:
                    if not isinstance(error, Exception) or tries == max_tries or (giveup and giveup(error)):
                        raise
                    failures[:] = [error]
                await asyncio.sleep(pause)

        @wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            failures: list[Exception] = []
            limit = timeout(deadline)
            loop = asyncio.get_running_loop()
            started = loop.time()
            ended = "errors"
            try:
                async with limit:
                    result = await attempts(failures, *args, **kwargs)
            except asyncio.CancelledError:
                ended = "cancels"
                raise
            except DeadlineExceededError:
                if limit.expired and failures:
                    raise failures.pop() from None
                raise
            else:
                ended = "done"
                return result
            finally:
                setattr(statistic, ended, getattr(statistic, ended) + 1)
                statistic.sum_time += loop.time() - started

        return call

    return decorate


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
