"""What PeriodicCallback and CronCallback share: calling a function again and again, as an entry of the wheel.

A callback that waits is one entry, with neither task nor future nor timer of its own. A call runs in a task whose
first step happens at once (Python 3.12 and later; a plain task before that: without a current task,
`asyncio.timeout` and others refuse to work), so that a call that does not suspend costs no turn of the loop.
"""

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final  # Any: functions of any signature and result

from mainspring.concurrency._call_counts import counts_of
from mainspring.concurrency._ticker import Ticker
from mainspring.errors import CallbackNotStartedError, CallbackRunningError, InvalidArgumentError

log = logging.getLogger(__name__)

_NO_KWARGS: Final[dict[str, Any]] = {}
_in_progress: "set[asyncio.Future[Any]]" = set()


class Beat:
    """Calls a function whenever it is due, one call at a time; subclasses say when that is."""

    __slots__ = (
        "__weakref__",
        "_args",
        "_began",
        "_call",
        "_calls",
        "_context",
        "_counts",
        "_due",
        "_function",
        "_is_async",
        "_kwargs",
        "_loop",
        "_shield",
        "_starting",
        "_suppressed",
        "_ticker",
    )

    def __init__(self, func: Callable[..., object], /, *args: Any, **kwargs: Any) -> None:
        if not callable(func):
            raise InvalidArgumentError(argument="func", value=func, expected="a callable")
        self._function = func
        self._is_async = inspect.iscoroutinefunction(func)
        self._args = args
        self._kwargs = kwargs or _NO_KWARGS
        self._calls = 0
        self._ticker: Ticker | None = None  # not None: started
        self._due: float | None = None  # not None: in the wheel
        self._call: asyncio.Future[Any] | None = None  # not None: being called
        self._starting: asyncio.Handle | None = None  # not None: the loop does not run yet

    def __repr__(self) -> str:
        state = "stopped" if self._ticker is None else "waiting" if self._call is None else "running"
        return f"<{type(self).__name__} {self._name} {state} calls={self._calls}>"

    @property
    def _name(self) -> str:
        return str(getattr(self._function, "__qualname__", None) or repr(self._function))

    def stop(self, return_exceptions: bool = False) -> "asyncio.Future[Any]":
        """Make no more calls, and cancel the one that runs unless it is shielded.

        Returns a future that is cancelled when the call has ended, as aiomisc has it; with
        `return_exceptions` its result is the CancelledError instead. The callback may be started again.

        Raises:
            CallbackNotStartedError: it does not run.
        """
        ticker, call = self._ticker, self._call
        if ticker is None:
            raise CallbackNotStartedError
        self._ticker = self._call = None
        if self._due is not None:
            ticker.discard(self, self._due)
            self._due = None
        if self._starting is not None:
            self._starting.cancel()
        stopped = self._loop.create_future()
        if call is None or self._shield or call is asyncio.current_task(self._loop):
            _finish(stopped, return_exceptions)
            return stopped
        call.add_done_callback(lambda _: _finish(stopped, return_exceptions))
        call.cancel()
        return stopped

    def on_due(self) -> None:
        """Make one call; the wheel says so."""
        self._due = None
        if self._is_early():
            return
        self._calls += 1
        self._counts.call_count += 1
        self._began = self._loop.time()
        context = self._context
        try:
            # A coroutine function does nothing yet, so its call needs no context.
            call = self._function if self._is_async else partial(context.run, self._function)
            result = call(*self._args, **self._kwargs)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # supervisor: a failure ends no beat
            self._count(error)
        else:
            if self._is_async or inspect.isawaitable(result):
                self._await(result, context)
                return
            self._count(None)
        if self._context is context:  # it may have started itself anew
            self._plan()

    def _start(
        self,
        loop: asyncio.AbstractEventLoop | None,
        shield: bool,
        suppress_exceptions: "tuple[type[BaseException], ...]",
    ) -> None:
        if self._ticker is not None:
            raise CallbackRunningError(callback=repr(self))
        self._loop = loop or asyncio.get_event_loop()
        self._counts = counts_of(self._name)
        self._shield = shield
        self._suppressed = tuple(suppress_exceptions)
        self._context = copy_context()
        self._ticker = Ticker.of(self._loop)

    def _begin(self) -> None:
        """Plan the first call, on the loop: time begins when it runs."""
        if self._loop.is_running():
            self._first()
        else:
            self._starting = self._loop.call_soon(self._first_turn)

    def _first_turn(self) -> None:
        self._starting = None
        self._first()

    def _first(self) -> None:
        raise NotImplementedError

    def _is_early(self) -> bool:
        """Say whether it is too early for a call, after planning another look."""
        return False

    def _next_due(self) -> float | None:
        """Return when the next call is due, in the loop's time; None for never."""
        raise NotImplementedError

    def _plan(self) -> None:
        if self._ticker is not None:
            due = self._next_due()
            if due is None:
                self._ticker = None
            else:
                self._look_at(due)

    def _look_at(self, due: float) -> None:
        if self._ticker is not None:
            self._due = due
            self._ticker.add(self, due)

    def _await(self, result: Any, context: Context) -> None:
        call: asyncio.Future[Any] = (
            result if asyncio.isfuture(result) else _start_task(_as_coroutine(result), self._loop, context, self._name)
        )
        # In its first step it may have stopped itself, or started itself anew.
        if self._ticker is not None and self._context is context:
            self._call = call
        if call.done():
            self._on_end(call)
        else:
            _in_progress.add(call)  # the loop itself keeps tasks weakly
            call.add_done_callback(self._on_end)

    def _on_end(self, call: "asyncio.Future[Any]") -> None:
        _in_progress.discard(call)
        is_mine = self._call is call  # else it was stopped meanwhile
        if is_mine:
            self._call = None
        if call.cancelled():
            # Cancelled from outside, as at the end of a program, it stops; a cancellation of its own is a failure.
            if not is_mine or (isinstance(call, asyncio.Task) and call.cancelling()):
                self._ticker = None if is_mine else self._ticker
                return
            self._count(asyncio.CancelledError())
        else:
            self._count(call.exception())
        if is_mine:
            self._plan()

    def _count(self, error: BaseException | None) -> None:
        """Count a call that has ended, and log its error."""
        counts = self._counts
        counts.sum_time += self._loop.time() - self._began
        if error is None:
            counts.done += 1
            return
        counts.fail += 1
        if not isinstance(error, self._suppressed):
            log.error("a call of %r failed", self, exc_info=error)


def _start_task(
    coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, context: Context, name: str
) -> "asyncio.Task[Any]":
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, name=name, context=context, eager_start=True)
    else:  # noqa: RET505  # mypy calls the rest unreachable otherwise
        return loop.create_task(coroutine, name=name, context=context)


def _as_coroutine(awaitable: Any) -> Coroutine[Any, Any, Any]:
    return awaitable if inspect.iscoroutine(awaitable) else _wait_for(awaitable)


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


def _finish(stopped: "asyncio.Future[Any]", return_exceptions: bool) -> None:
    if return_exceptions and not stopped.done():
        stopped.set_result(asyncio.CancelledError())
    else:
        stopped.cancel()
