"""Time limits for calls and blocks, and the deadline that the calls inside can read.

A decorated call takes its first step before any timer exists: a coroutine that never suspends (a cache hit, a
full buffer) pays no timer, and one that does pays a single `call_at`. The coroutine stays in the caller's task
throughout, so context variables, cancellation and tracebacks are those of a plain `await`.
"""

import asyncio
import math
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar, cast  # Any: what travels between a coroutine and its loop

from mainspring.base import current_clock
from mainspring.errors import DeadlineExceededError, MisuseError
from mainspring.resilience._checks import check_coroutine_function, check_seconds, name_of

P = ParamSpec("P")
R = TypeVar("R")


def timeout(seconds: float | None) -> "Timeout":
    """Limit how long a coroutine function, or the body of an `async with` block, may take.

    As a decorator it bounds every call by itself. As a block it gives a `Timeout`, whose `expired` tells
    afterwards what happened. A call or block whose time is up is cancelled; when that cancellation comes back,
    it turns into the error below, and cancellations from elsewhere pass. Nested limits work: the one that ends
    first wins, and `deadline()` reads it. A limit whose time is up counts no more for what runs then: cleanup may
    set limits of its own.

    Args:
        seconds: the limit, >= 0; 0 fails at once, before anything runs; None sets no limit.

    Raises:
        DeadlineExceededError: (a TimeoutError, from the call or block) the time was up.
        InvalidArgumentError: `seconds` is negative or not finite.
        NotCoroutineFunctionError: (a TypeError) the decorated function is no coroutine function.

    Example:
        >>> @timeout(5.0)
        ... async def fetch(url: str) -> str:
        ...     async with timeout(1.0):
        ...         return url
        >>> asyncio.run(fetch("https://example.org"))
        'https://example.org'
    """
    return Timeout(seconds)


def deadline() -> float | None:
    """Return when the limits around this call end, on the clock that the loop follows; None without limits.

    In seconds of `current_clock().monotonic()`, which is what `loop.time()` counts too.

    Tasks that were started inside a block see its deadline as long as the block is open.
    """
    scope = _current.get()
    earliest: float | None = None
    while scope is not None:
        if scope.open and (earliest is None or scope.when < earliest):
            earliest = scope.when
        scope = scope.outer
    return None if earliest == math.inf else earliest  # that of one that is held


def own_deadline() -> float | None:
    """Return when the nearest limit that holds for the running task itself ends, or None."""
    scope = _open_scope(_current.get())
    if scope is None or not (scope.task is None or scope.task is asyncio.current_task()):
        return None
    return deadline()


class Timeout:
    """What `timeout(seconds)` returns: a decorator, and a block that one task may be inside at a time."""

    __slots__ = ("_scope", "_seconds")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = None if seconds is None else check_seconds("seconds", seconds, zero=True)
        self._scope: _Scope | None = None

    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        check_coroutine_function("timeout", function)
        seconds = self._seconds
        if seconds is None:
            return function

        at_once = seconds == 0

        @wraps(function)
        async def bounded(*args: P.args, **kwargs: P.kwargs) -> R:
            outer = _current.get()
            while outer is not None and not outer.open:  # as _open_scope, which would be a call
                outer = outer.outer
            if outer is not None or at_once:
                _refuse_late(seconds, function)
            # This clock and not the loop's: get_running_loop().time() takes 0.15 us more.
            scope = _Scope()
            scope.when = current_clock().monotonic() + seconds
            if outer is not None:
                scope.outer = outer
            coroutine = function(*args, **kwargs)
            _current.set(scope)
            try:
                first = coroutine.send(None)
            except StopIteration as stop:
                result: R = stop.value  # what a coroutine returns travels in StopIteration
                return result
            else:
                return await _finish(coroutine, first, scope, seconds, function)
            finally:
                # It stays in the context, where it counts no more. To set the outer one again would take a tenth of
                # the time, and hit a stranger when the garbage collector closes this.
                scope.open = False

        return bounded

    @property
    def deadline(self) -> float | None:
        """When the block entered last ends, on the same clock as `deadline()`; None without a limit."""
        return None if self._scope is None else self._scope.when

    @property
    def expired(self) -> bool:
        """Whether the time of the block entered last was up before it ended."""
        return self._scope is not None and self._scope.expired

    @property
    def left(self) -> float:
        """Seconds that the block entered last has left when its time goes on; infinity without a limit."""
        scope = self._scope
        if scope is None:
            return math.inf
        return max(scope.when - current_clock().monotonic(), 0.0) if scope.left is None else scope.left

    def hold(self) -> None:
        """Let the time of the block entered last stand still until `resume()`; no more once it is up."""
        if self._scope is not None:
            self._scope.hold()

    def resume(self) -> None:
        """Let the time of a block that is held run on, from where it stood.

        Any thread may call it; `deadline()` is right at once, also there.
        """
        if self._scope is not None:
            self._scope.resume()

    async def __aenter__(self) -> Self:
        if self._scope is not None and self._scope.timer is not None:
            raise MisuseError(what="this timeout()", problem="is entered already", hint="make one for each block")
        seconds = self._seconds
        if seconds is None:
            return self
        scope = self._scope = _Scope()
        scope.when = current_clock().monotonic() + seconds
        scope.outer = _open_scope(_current.get())
        scope.expired = seconds == 0
        try:
            if scope.outer is not None or scope.expired:
                _refuse_late(seconds, None)
            scope.arm()
        except BaseException:
            scope.open = False
            raise
        _current.set(scope)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: types.TracebackType | None
    ) -> None:
        scope = self._scope
        if scope is None or self._seconds is None:
            return
        scope.open = False
        _current.set(scope.outer)
        if scope.settle() and kind is asyncio.CancelledError:
            raise _late(self._seconds, None) from error

    def __repr__(self) -> str:
        state = "idle" if self._scope is None else "closed" if self._scope.timer is None else "open"
        return f"<Timeout {self._seconds} s, {state}{', expired' if self.expired else ''}>"


class _Scope:
    """One running limit: from the first step of a call, or from the entry of a block, to its end."""

    # What only a suspended call needs has its default on the class, and nothing is set in a constructor: a call
    # that ends at once sets one attribute in place of seven, and spares a call: 0.3 us of the 1.2 that it cost.
    when = 0.0
    outer: "_Scope | None" = None
    open = True  # until it ends, or cancels its body
    expired = False
    task: asyncio.Task[Any] | None = None
    timer: asyncio.TimerHandle | None = None
    left: float | None = None  # seconds, while it is held
    _cancelling = 0

    def arm(self) -> None:
        """Start the timer, for the running task."""
        task = self.task = asyncio.current_task()
        if task is None:
            raise MisuseError(what="timeout()", problem="was used outside of a task")
        self._cancelling = task.cancelling()
        self._set_timer(task.get_loop())

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self.timer = loop.call_at(loop.time() + (self.when - current_clock().monotonic()), self._expire)

    def hold(self) -> None:
        """Stand still."""
        if self.timer is None or self.left is not None or not self.open:
            return
        self.timer.cancel()
        self.left = max(self.when - current_clock().monotonic(), 0.0)
        self.when = math.inf

    def resume(self) -> None:
        """Go on; the timer follows in the loop's own thread."""
        left, task = self.left, self.task
        if left is None or task is None:
            return
        self.when = current_clock().monotonic() + left
        self.left = None
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            task.get_loop().call_soon_threadsafe(self._run_on)

    def _run_on(self) -> None:
        task = self.task
        if task is None or self.timer is None or self.left is not None:  # it has ended, or is held again
            return
        self.timer.cancel()
        self._set_timer(task.get_loop())

    def settle(self) -> bool:
        """Stop the timer; return whether the cancellation on its way is ours and nobody else's."""
        timer, task = self.timer, self.task
        if timer is None or task is None:
            return False
        self.timer = self.task = None
        timer.cancel()
        # As in asyncio.Timeout: a cancel() that came from elsewhere meanwhile must not be swallowed.
        return self.expired and task.uncancel() <= self._cancelling

    def _expire(self) -> None:
        self.expired = True
        self.open = False
        if self.task is not None:
            self.task.cancel()


_current: ContextVar[_Scope | None] = ContextVar("mainspring_timeout", default=None)


def _open_scope(scope: _Scope | None) -> _Scope | None:
    # Closed limits are passed over, or a chain of tasks that start each other would keep them all alive.
    while scope is not None and not scope.open:
        scope = scope.outer
    return scope


def _refuse_late(seconds: float, function: Callable[..., object] | None) -> None:
    """Raise when there is no time at all: the limit is 0, or that of a caller in this task is over."""
    outer = own_deadline()
    if seconds == 0 or (outer is not None and outer <= current_clock().monotonic()):
        raise _late(seconds, function)


def _late(seconds: float, function: Callable[..., object] | None) -> DeadlineExceededError:
    what = "the block" if function is None else f"{name_of(function)}()"
    return DeadlineExceededError(what=what, timeout=seconds)


async def _finish(
    coroutine: Coroutine[Any, Any, R],
    first: object,
    scope: _Scope,
    seconds: float,
    function: Callable[..., object],
) -> R:
    """Run to its end, under a timer, a coroutine that took its first step and yielded `first`."""
    try:
        scope.arm()
        return await _resume(coroutine, first)
    except asyncio.CancelledError as cancelled:
        if scope.settle():
            raise _late(seconds, function) from cancelled
        raise
    finally:
        scope.settle()
        coroutine.close()


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, R], yielded: Any) -> Generator[Any, Any, R]:
    """Do what `await coroutine` does, for a coroutine that has yielded once."""
    while True:
        try:
            yield yielded
        except BaseException as thrown:  # noqa: BLE001  # supervisor: handed on into the coroutine
            try:
                yielded = coroutine.throw(thrown)
            except StopIteration as stop:
                return cast("R", stop.value)
        else:
            # cast: `yield from` takes a coroutine inside of types.coroutine, which the stubs do not know
            return (yield from cast("Generator[Any, Any, R]", coroutine))
