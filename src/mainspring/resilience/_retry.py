"""Calling again after a failure: `retry`, whose happy path is a bare try around the call."""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast  # Any: what a coroutine and its loop exchange

from mainspring.base import Backoff, current_clock
from mainspring.errors import DeadlineExceededError, InvalidArgumentError
from mainspring.resilience._checks import check_callable, check_coroutine_function, exception_classes
from mainspring.resilience._timeout import own_deadline
from mainspring.resilience._timeout import timeout as time_limit

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_BACKOFF: Final = Backoff(0.1, maximum=10.0, jitter="full", max_tries=5)


@dataclass(frozen=True, slots=True)
class RetryAttempt:
    """A failed attempt, as `on_retry` sees it before the pause.

    Args:
        number: which attempt it was, from 1.
        delay: seconds to wait now.
        exception: what it raised; None when its result was refused.
        result: what it returned, when `retry_result` refused that.
    """

    number: int
    delay: float
    exception: BaseException | None
    result: object = None


def retry(
    on: type[BaseException] | Iterable[type[BaseException]] | Callable[[Exception], bool] = Exception,
    *,
    backoff: Backoff = DEFAULT_BACKOFF,
    on_retry: Callable[[RetryAttempt], Awaitable[None] | None] | None = None,
    retry_result: Callable[[Any], bool] | None = None,  # Any: whatever the function returns
    until: asyncio.Event | None = None,
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Call a coroutine function again when it fails, after the delays of `backoff`.

    An exception with a `retry_after` attribute (seconds; `CircuitBroken` has one) is waited for at least that
    long. When no attempt is left, the last exception is raised as it came, and the last refused result is
    returned. No attempt is waited for that could only start after the `deadline()` of this task: the failure
    is raised at once. Cancellation always passes. Attempts share arguments, so those must bear being reused.

    Args:
        on: the exceptions after which to try again: a class, several, or a predicate of the exception.
        backoff: the delays, and how many attempts there are: 5 within about 1.5 s when left out.
        on_retry: called before each pause; may be a coroutine function.
        retry_result: tells of a returned value whether to try again.
        until: no attempt follows once it is set: a pause ends at once, and the call as its last attempt did.

    Raises:
        InvalidArgumentError: an argument is of the wrong kind.
        NotCoroutineFunctionError: (a TypeError) the decorated function is no coroutine function.

    Example:
        >>> @retry(on=ConnectionError, backoff=Backoff(0.5, maximum=30.0, jitter="full", max_tries=4))
        ... async def fetch(url: str) -> str: ...
    """
    policy = _Policy(on, backoff, on_retry, retry_result, until)
    caught = policy.caught

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        check_coroutine_function("retry", function)

        @wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            result: R | None = None
            error: BaseException | None = None
            try:
                result = await function(*args, **kwargs)
            except caught as exc:
                error = exc
            else:
                if retry_result is None or not retry_result(result):
                    return result
            # Outside of the except block, or each later failure would drag the earlier ones in its context.
            return await _again(policy, error, result, lambda: function(*args, **kwargs))

        return call

    return decorate


class _Policy:
    """The checked arguments of one `retry`."""

    __slots__ = ("accepts", "backoff", "caught", "on_retry", "refuses", "until")

    def __init__(self, on: object, backoff: object, on_retry: object, retry_result: object, until: object) -> None:
        self.accepts: Callable[[BaseException], object] | None = None
        if inspect.iscoroutinefunction(on):
            expected = "exception classes, or a plain function of an exception"
            hint = "a decorator without brackets? write @retry() instead of @retry"
            raise InvalidArgumentError(argument="on", value=on, expected=expected, hint=hint)
        if callable(on) and not isinstance(on, type):
            self.accepts = on
            self.caught: tuple[type[BaseException], ...] = (Exception,)
        else:
            self.caught = exception_classes("on", on)
        if any(issubclass(asyncio.CancelledError, cls) for cls in self.caught):
            raise InvalidArgumentError(argument="on", value=on, expected="exceptions below Exception")
        if not isinstance(backoff, Backoff):
            raise InvalidArgumentError(argument="backoff", value=backoff, expected="a Backoff")
        if until is not None and not isinstance(until, asyncio.Event):
            raise InvalidArgumentError(argument="until", value=until, expected="an asyncio.Event or None")
        self.backoff = backoff
        self.on_retry = check_callable("on_retry", on_retry)
        self.refuses = check_callable("retry_result", retry_result)
        self.until = until

    async def pause(self, attempt: RetryAttempt) -> bool:
        """Wait out the delay of a failed attempt; return False when no attempt is to follow."""
        if self._comes_too_late(attempt.delay):
            return False
        if self.on_retry is not None:
            told = self.on_retry(attempt)
            if inspect.isawaitable(told):
                await told
            if self._comes_too_late(attempt.delay):
                return False
        if self.until is None or not attempt.delay:
            await asyncio.sleep(attempt.delay)
        else:
            with suppress(DeadlineExceededError):
                async with time_limit(attempt.delay):
                    await self.until.wait()
        return not self._is_over

    def _comes_too_late(self, delay: float) -> bool:
        """Tell whether an attempt after a pause is unwanted, or could only start after the deadline."""
        end = own_deadline()
        return self._is_over or (end is not None and current_clock().monotonic() + delay >= end)

    @property
    def _is_over(self) -> bool:
        return self.until is not None and self.until.is_set()


async def _again(
    policy: _Policy, error: BaseException | None, result: R | None, call: Callable[[], Coroutine[Any, Any, R]]
) -> R:
    """Pause and call until a call succeeds, or nothing is left to try: then end as the last call did."""
    for number, delay in enumerate(policy.backoff.delays(), start=1):
        if error is not None and policy.accepts is not None and not policy.accepts(error):
            break
        attempt = RetryAttempt(number, max(delay, retry_after(error)), error, result)
        if not await policy.pause(attempt):
            break
        result, error = None, None
        try:
            result = await call()
        except policy.caught as exc:
            error = exc
        else:
            if policy.refuses is None or not policy.refuses(result):
                return result
    if error is None:
        return cast("R", result)  # the last call returned it
    try:
        raise error
    finally:
        del error, call  # no cycle of exception, traceback and frame


def retry_after(error: BaseException | None) -> float:
    """Return the seconds for which the failed side asked; 0 when it did not, or not in finite seconds."""
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, int | float) and math.isfinite(asked):
        return float(asked)
    return 0.0
