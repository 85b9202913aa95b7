"""CronCallback: a function at the times of a cron expression."""

import asyncio
import math
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from mainspring.base import CronExpression, current_clock, current_random
from mainspring.concurrency._beat import Beat
from mainspring.errors import InvalidArgumentError

_LONGEST_LOOK: Final = 60.0  # seconds after which the wall clock is read again: it may have been set


class CronCallback(Beat):
    """Calls a function, plain or async, at the times of a cron expression.

    A call that takes longer than the time to the next one makes that one fall out. Exceptions are logged.
    Calls see the context variables of `start()`. Not thread-safe.

    Args:
        func: what to call.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Raises:
        InvalidArgumentError: `func` is not callable.

    Example:
        >>> async def main() -> None:
        ...     ticked = asyncio.Event()
        ...     cron = CronCallback(ticked.set)
        ...     cron.start("* * * * * *")
        ...     await ticked.wait()
        ...     await cron.stop(return_exceptions=True)
        >>> asyncio.run(main())
    """

    __slots__ = ("_at", "_expression", "_jitter", "_spread", "_zone")

    def start(
        self,
        spec: str | CronExpression,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        zone: tzinfo = UTC,
        jitter: float = 0.0,
        shield: bool = False,
        suppress_exceptions: tuple[type[BaseException], ...] = (),
    ) -> None:
        """Begin to call at the times of `spec`.

        Args:
            spec: the cron expression; a sixth field are seconds.
            loop: where to call; default: the current loop of this thread.
            zone: whose wall clock the expression means.
            jitter: each call is made up to so many seconds later, by chance; a time that passes meanwhile falls out.
            shield: `stop()` lets the call that runs go on.
            suppress_exceptions: exceptions of the function that are not logged.

        Raises:
            InvalidArgumentError: the expression cannot be read, or `jitter` is out of range.
            CallbackRunningError: it runs already.
        """
        if not (jitter >= 0 and math.isfinite(jitter)):
            raise InvalidArgumentError(argument="jitter", value=jitter, expected="seconds, 0 or more")
        expression = CronExpression(spec) if isinstance(spec, str) else spec
        self._start(loop, shield, suppress_exceptions)
        self._expression = expression
        self._zone = zone
        self._jitter = jitter
        self._spread = timedelta()
        self._at: datetime | None = None
        self._begin()

    def _first(self) -> None:
        self._plan()

    def _next_due(self) -> float | None:
        now = current_clock().now()
        after = now if self._at is None else max(now, self._at)
        self._at = self._expression.next(after, self._zone)
        if self._jitter:
            self._spread = timedelta(seconds=current_random().uniform(0.0, self._jitter))
        return None if self._at is None else self._loop.time() + self._seconds_left(self._at)

    def _is_early(self) -> bool:
        if self._at is not None and (left := self._seconds_left(self._at)) > 0:
            self._look_at(self._loop.time() + left)
            return True
        return False

    def _seconds_left(self, at: datetime) -> float:
        """Return the seconds until the call for `at`, or until the next look at the wall clock."""
        return min((at + self._spread - current_clock().now()).total_seconds(), _LONGEST_LOOK)
