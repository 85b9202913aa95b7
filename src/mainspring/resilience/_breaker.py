"""`CircuitBreaker`: stop calling what fails, and try again with care.

States change only when somebody looks: before a call, after a failed one, at `state`. In PASSING a call that
succeeds costs one reading of the clock and one count, since the shares are looked at only while there are
failures in the window. BROKEN becomes RECOVERING at the first look after `broken_time`; an idle breaker
therefore starts to recover when it is used again, not while nobody could have seen whether it does.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from inspect import isawaitable, iscoroutinefunction
from types import CoroutineType, TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, cast, overload  # Any: signatures of guarded functions
from weakref import WeakKeyDictionary

from mainspring.base import current_clock, current_random
from mainspring.errors import CircuitBroken
from mainspring.resilience._breaker_records import (
    CircuitBreakerStates,
    CircuitBreakerStatistic,
    CircuitBreakerStats,
)
from mainspring.resilience._checks import (
    check_callable,
    check_count,
    check_ratio,
    check_seconds,
    exception_classes,
)
from mainspring.resilience._listeners import Listeners
from mainspring.resilience._window import OutcomeWindow

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger(__name__)


_PASSING: Final = CircuitBreakerStates.PASSING
_BROKEN: Final = CircuitBreakerStates.BROKEN
_RECOVERING: Final = CircuitBreakerStates.RECOVERING


class CircuitBreaker:
    """Refuse calls while too large a share of them fails.

    Used around calls (`await breaker.call_async(f, ...)`, `breaker.call(f, ...)`), around blocks
    (`async with breaker:`, `with breaker.context():`) or as a decorator (`@breaker`). Many calls may be under
    way at once; each counts when it ends. Not thread-safe: use from one thread.

    PASSING lets every call through, and becomes BROKEN when the share of failed calls within the last
    `passing_time` exceeds `error_ratio`. BROKEN refuses every call for `broken_time`, then becomes RECOVERING.
    RECOVERING lets a share of the calls through that grows from none to all over `recovery_time`; at its end
    it becomes PASSING when the share of failed calls is below `error_ratio`, else BROKEN. Calls that began before
    the circuit broke do not count there.

    Args:
        error_ratio: share of failed calls that is too much, 0 < error_ratio < 1.
        response_time: seconds, > 0; the default of the three times below.
        exceptions: which exceptions are failures: a class, or any iterable of them. Others count as calls that
            did not fail; cancelled calls and CircuitBroken (also of an inner breaker) do not count at all.
        recovery_time: seconds of RECOVERING.
        broken_time: seconds of BROKEN.
        passing_time: seconds of the window that judges PASSING; a tenth of it is forgotten at a time.
        exception_inspector: called with each failure; a false answer means that it was none.
        statistic_name: the name of its counters in `get_statistics()`.
        min_calls: None judges PASSING once it has lasted `passing_time`; a number judges it as soon as the
            window holds that many calls.
        slow_call_time: seconds above which a call counts as slow; None for no such rule.
        slow_call_ratio: share of slow calls that is too much, 0 < slow_call_ratio < 1.

    Raises:
        InvalidArgumentError: an argument is outside its range.

    Example:
        >>> breaker = CircuitBreaker(error_ratio=0.2, response_time=30, exceptions=[ConnectionError])
        >>> @breaker
        ... async def fetch(url: str) -> str: ...
    """

    def __init__(
        self,
        error_ratio: float,
        response_time: float,
        exceptions: type[BaseException] | Iterable[type[BaseException]] = (Exception,),
        recovery_time: float | None = None,
        broken_time: float | None = None,
        passing_time: float | None = None,
        exception_inspector: Callable[[Any], bool] | None = None,  # Any: one of `exceptions`
        statistic_name: str | None = None,
        *,
        min_calls: int | None = None,
        slow_call_time: float | None = None,
        slow_call_ratio: float = 0.5,
    ) -> None:
        self._error_ratio = check_ratio("error_ratio", error_ratio)
        response_time = check_seconds("response_time", response_time)
        self._exceptions = exception_classes("exceptions", exceptions)
        self._recovery_time = check_seconds("recovery_time", recovery_time or response_time)
        self._broken_time = check_seconds("broken_time", broken_time or response_time)
        self._passing_time = check_seconds("passing_time", passing_time or response_time)
        self._inspector = check_callable("exception_inspector", exception_inspector)
        self._min_calls = None if min_calls is None else check_count("min_calls", min_calls)
        self._slow_time = None if slow_call_time is None else check_seconds("slow_call_time", slow_call_time)
        self._slow_ratio = check_ratio("slow_call_ratio", slow_call_ratio)
        self._state: CircuitBreakerStates = _PASSING
        self._since = 0.0  # when BROKEN or RECOVERING began
        self._broken_for = 0.0
        self._window = OutcomeWindow(self._passing_time)
        self._last_exception: BaseException | None = None
        self._listeners = Listeners()
        self._entered: WeakKeyDictionary[asyncio.Task[Any], list[float]] = WeakKeyDictionary()
        self._statistic = CircuitBreakerStatistic(statistic_name)
        self._statistic.error_ratio_threshold = self._error_ratio

    @property
    def state(self) -> CircuitBreakerStates:
        """The state at this moment."""
        self._look(current_clock().monotonic())
        return self._state

    def stats(self) -> CircuitBreakerStats:
        """Return the state and the shares that decide about it."""
        state = self.state
        window = self._window
        return CircuitBreakerStats(state, window.total, window.failed_ratio, window.slow_ratio)

    def get_state_delay(self) -> float:
        """Return the seconds after which the state may change; 0 when it may at any call."""
        now = current_clock().monotonic()
        self._look(now)
        if self._state is _BROKEN:
            return self._since + self._broken_for - now
        if self._state is _RECOVERING:
            return self._since + self._recovery_time - now
        if self._min_calls is not None:
            return 0.0
        return min(self._passing_time, max(0.0, self._window.since + self._passing_time - now))

    def add_listener(self, listener: Callable[[CircuitBreakerStates, CircuitBreakerStates], object]) -> None:
        """Call `listener(before, after)` at each change of state; what it raises is logged.

        A coroutine function runs as a task, and is not waited for; it needs a running loop.
        """
        self._listeners.add(listener)

    def open(self, *, duration: float | None = None) -> None:
        """Refuse calls from now: for `duration` seconds, or until `close()` when it is None."""
        self._broken_for = math.inf if duration is None else check_seconds("duration", duration)
        self._enter_state(_BROKEN, current_clock().monotonic())

    def close(self) -> None:
        """Let every call through from now, and forget the failures so far."""
        self._last_exception = None
        self._enter_state(_PASSING, current_clock().monotonic())

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function, or raise CircuitBroken without calling it."""
        started = self._admit()
        try:
            result = function(*args, **kwargs)
        except BaseException as exc:
            self._failed(exc, started)
            raise
        self._succeeded(started)
        return result

    @overload
    async def call_async(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def call_async(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def call_async(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        """Call a function, a coroutine function or not, or raise CircuitBroken without calling it."""
        started = self._admit()
        try:
            result = function(*args, **kwargs)
            # The type is looked at first since isawaitable costs 0.3 us.
            if type(result) is CoroutineType or isawaitable(result):
                result = await cast("Awaitable[object]", result)
        except BaseException as exc:
            self._failed(exc, started)
            raise
        self._succeeded(started)
        return result

    def context(self) -> "CircuitContext":
        """Return a `with` block that counts as one call; it may hold awaits."""
        return CircuitContext(self)

    async def __aenter__(self) -> Self:
        started = self._admit()
        if started and (task := asyncio.current_task()) is not None:
            self._entered.setdefault(task, []).append(started)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended(error, self._entered_at() if self._entered else 0.0)

    def _entered_at(self) -> float:
        """Return when this task entered the block that it leaves, as `_admit` said."""
        task = asyncio.current_task()
        times = None if task is None else self._entered.get(task)
        if task is None or times is None:  # it was entered by another one
            return 0.0
        started = times.pop()
        if not times:
            del self._entered[task]
        return started

    def __call__(self, function: F) -> F:
        """Guard every call of a function, coroutine function or not, with this breaker."""
        if iscoroutinefunction(function):

            @wraps(function)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                started = self._admit()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as exc:
                    self._failed(exc, started)
                    raise
                self._succeeded(started)
                return result

            return cast("F", guarded_async)

        @wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return self.call(function, *args, **kwargs)

        return cast("F", guarded)

    def __repr__(self) -> str:
        window = self._window
        return f"<CircuitBreaker {self._state.name}, {window.total} calls, {window.failed_ratio:.0%} failed>"

    def _admit(self) -> float:
        """Count a call that is to start; return when, if that matters, else 0; raise when it may not."""
        statistic = self._statistic
        statistic.call_count += 1
        if self._state is _PASSING and not self._window.bad:
            statistic.call_passing += 1
            return 0.0 if self._slow_time is None else current_clock().monotonic()
        now = current_clock().monotonic()
        self._look(now)
        if self._state is _PASSING:
            statistic.call_passing += 1
        elif self._state is _RECOVERING and self._draws_lot(now):
            statistic.call_recovering += 1
        else:
            statistic.call_broken += 1
            wait = self._since + self._broken_for - now if self._state is _BROKEN else 0.0
            raise CircuitBroken(retry_after=wait, last_exception=self._last_exception) from self._last_exception
        return now

    def _draws_lot(self, now: float) -> bool:
        return current_random().random() + 1 < 2 ** ((now - self._since) / self._recovery_time)

    def _succeeded(self, started: float) -> None:
        self._last_exception = None
        if self._slow_time is not None or self._state is _RECOVERING:
            self._count(started, failed=False)
        elif self._state is not _BROKEN:
            window = self._window
            now = current_clock().monotonic()
            if now >= window.end:
                window.roll(now)
            window.current.total += 1  # what window.add() does, without the call

    def _failed(self, error: BaseException, started: float) -> None:
        if isinstance(error, CircuitBroken):
            return
        if isinstance(error, self._exceptions):
            failed = self._is_failure(error)
        elif isinstance(error, Exception):
            failed = False
        else:
            return
        if failed:
            self._last_exception = error
        self._count(started, failed=failed)

    def _ended(self, error: BaseException | None, started: float) -> None:
        if error is None:
            self._succeeded(started)
        else:
            self._failed(error, started)

    def _count(self, started: float, *, failed: bool) -> None:
        # A call that began before the circuit broke says nothing about the time after.
        recovering = self._state is _RECOVERING
        if self._state is _BROKEN or (recovering and started < self._since):
            return
        if recovering:
            self._statistic.call_recovering_failed += failed
            self._statistic.call_recovering_ok += not failed
        now = current_clock().monotonic()
        slow = self._slow_time is not None and now - started > self._slow_time
        self._window.add(now, failed=failed, slow=slow)
        if failed or slow:
            self._look(now)

    def _is_failure(self, error: BaseException) -> bool:
        if self._inspector is None:
            return True
        try:
            return bool(self._inspector(error))
        except Exception:  # supervisor: a broken inspector must not hide the call's own error
            log.exception("exception_inspector failed on %r, which counts as a failure", error)
            return True

    def _look(self, now: float) -> None:
        """Bring the state up to date."""
        if self._state is _PASSING:
            if self._window.bad and self._fails_too_often(now):
                self._broken_for = self._broken_time
                self._enter_state(_BROKEN, now)
        elif self._state is _BROKEN:
            if now >= self._since + self._broken_for:
                self._enter_state(_RECOVERING, now)
        elif now >= self._since + self._recovery_time:
            self._broken_for = self._broken_time
            self._enter_state(_PASSING if self._has_recovered() else _BROKEN, now)

    def _fails_too_often(self, now: float) -> bool:
        window = self._window
        window.roll(now)
        if self._min_calls is not None:
            judged = window.total >= self._min_calls
        else:
            judged = now >= window.since + self._passing_time
        self._statistic.error_ratio = window.failed_ratio
        return judged and (window.failed_ratio > self._error_ratio or window.slow_ratio > self._slow_ratio)

    def _has_recovered(self) -> bool:
        window = self._window
        self._statistic.error_ratio = window.failed_ratio
        return window.failed_ratio < self._error_ratio and window.slow_ratio < self._slow_ratio

    def _enter_state(self, state: CircuitBreakerStates, now: float) -> None:
        before, self._state = self._state, state
        self._since = now
        self._window = OutcomeWindow(math.inf if state is _RECOVERING else self._passing_time)
        if state is not before:
            self._listeners.tell(before, state)


class CircuitContext:
    """A block that counts as one call of its breaker."""

    __slots__ = ("_breaker", "_started")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = self._breaker._admit()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._breaker._ended(error, self._started)
