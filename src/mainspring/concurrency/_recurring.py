"""RecurringCallback: a function called again and again, when a strategy says so."""

import asyncio
import inspect
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any  # Any: functions of any signature and result

from mainspring.concurrency._call_counts import counts_of
from mainspring.concurrency._ticker import Ticker
from mainspring.errors import InvalidArgumentError, StrategyException, StrategySkip

log = logging.getLogger(__name__)

Strategy = Callable[["RecurringCallback"], float | Awaitable[float]]


class RecurringCallback:
    """Calls a function, plain or async, after the delays that a strategy chooses.

    Args:
        func: what to call.
        args: its positional arguments.
        name: for messages; default: the function's name.
        kwargs: its keyword arguments.

    Attributes:
        name: what it is called in messages.

    Raises:
        InvalidArgumentError: `func` is not callable.

    Example:
        >>> from mainspring.concurrency import StrategyStop
        >>> calls: list[int] = []
        >>> def three_times(callback: RecurringCallback) -> float:
        ...     if len(calls) == 3:
        ...         raise StrategyStop
        ...     return 0.0
        >>> async def main() -> None:
        ...     await RecurringCallback(calls.append, 1).start(three_times)
        >>> asyncio.run(main())
        >>> calls
        [1, 1, 1]
    """

    def __init__(self, func: Callable[..., object], /, *args: Any, name: str | None = None, **kwargs: Any) -> None:
        if not callable(func):
            raise InvalidArgumentError(argument="func", value=func, expected="a callable")
        self.name = name or str(getattr(func, "__qualname__", None) or repr(func))
        self._function = func
        self._args = args
        self._kwargs = kwargs
        self._calls = 0
        self._counts = counts_of(self.name)

    def __repr__(self) -> str:
        return f"<RecurringCallback {self.name} calls={self._calls}>"

    def start(
        self,
        strategy: Strategy,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        shield: bool = False,
        suppress_exceptions: tuple[type[BaseException], ...] = (),
    ) -> "asyncio.Task[None]":
        """Begin to ask and to call; return the task that does it. Cancelling the task ends it.

        The strategy, plain or async, is asked before each call. It returns the seconds to wait before it, or
        raises `StrategySkip(delay)` to be asked again after `delay` seconds, or `StrategyStop` to end. A
        negative number counts as 0, anything that is no number ends it; both are logged.

        Args:
            strategy: called with this object.
            loop: where to run; default: the current loop of this thread, which need not run yet.
            shield: cancelling the task lets the call that runs go on.
            suppress_exceptions: exceptions of the function that are not logged.
        """
        loop = loop or asyncio.get_event_loop()
        return loop.create_task(self._run(strategy, shield, tuple(suppress_exceptions)), name=f"recurring {self.name}")

    async def _run(self, strategy: Strategy, shield: bool, suppressed: tuple[type[BaseException], ...]) -> None:
        ticker = Ticker.of(asyncio.get_running_loop())
        while True:
            try:
                answer = strategy(self)
                delay: object = await answer if inspect.isawaitable(answer) else answer
            except StrategySkip as skip:
                if (seconds := self._checked(skip.delay)) is None:
                    return
                await ticker.sleep(seconds)
                continue
            except StrategyException:
                return
            if (seconds := self._checked(delay)) is None:
                return
            await ticker.sleep(seconds)
            await self._call(shield, suppressed)

    def _checked(self, delay: object) -> float | None:
        """Return the seconds to wait; None when it is no number."""
        if not isinstance(delay, int | float) or not math.isfinite(delay):
            log.warning("the strategy of %r said %r, which is no number of seconds: it ends", self, delay)
            return None
        if delay < 0:
            log.warning("the strategy of %r said %r, which counts as 0", self, delay)
            return 0.0
        return delay

    async def _call(self, shield: bool, suppressed: tuple[type[BaseException], ...]) -> None:
        self._calls += 1
        self._counts.call_count += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            result = self._function(*self._args, **self._kwargs)
            if inspect.isawaitable(result):
                await (_shielded(result) if shield else result)
            self._counts.done += 1
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._counts.fail += 1
            log.error("a call of %r was cancelled", self, exc_info=error)
        except Exception as error:  # supervisor: one failed call does not end the recurrence
            self._counts.fail += 1
            if not isinstance(error, suppressed):
                log.error("a call of %r failed", self, exc_info=error)
        finally:
            self._counts.sum_time += loop.time() - began


async def _shielded(result: Awaitable[object]) -> None:
    call = asyncio.ensure_future(result)
    _going_on.add(call)
    call.add_done_callback(_going_on.discard)
    await asyncio.shield(call)  # shielded: the user asked for it


_going_on: "set[asyncio.Future[Any]]" = set()
