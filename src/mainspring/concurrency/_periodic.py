"""PeriodicCallback: a function on a fixed grid of time."""

import asyncio
import logging
import math

from mainspring.base import current_random
from mainspring.concurrency._beat import Beat
from mainspring.errors import InvalidArgumentError

log = logging.getLogger(__name__)


class PeriodicCallback(Beat):
    """Calls a function, plain or async, every `interval` seconds.

    Calls are due on a grid, `delay` + n * `interval` seconds after the start, whatever earlier calls took; one
    that takes longer makes the next ones fall out, with a warning. Exceptions are logged. Calls see the context
    variables of `start()`. Waiting costs about 0.5 KiB and no task. Not thread-safe.

    Args:
        func: what to call.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Raises:
        InvalidArgumentError: `func` is not callable.

    Example:
        >>> async def main() -> bool:
        ...     calls = []
        ...     periodic = PeriodicCallback(calls.append, "tick")
        ...     periodic.start(0.001)
        ...     while len(calls) < 3:
        ...         await asyncio.sleep(0.001)
        ...     await periodic.stop(return_exceptions=True)
        ...     return len(calls) >= 3
        >>> asyncio.run(main())
        True
    """

    __slots__ = ("_interval", "_is_late", "_jitter", "_number", "_zero")

    def start(
        self,
        interval: float,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        delay: float = 0,
        jitter: float = 0.0,
        shield: bool = False,
        suppress_exceptions: tuple[type[BaseException], ...] = (),
    ) -> None:
        """Begin to call; the first call is due after `delay` seconds.

        On a loop that does not run yet, time begins with its first turn.

        Args:
            interval: seconds from one due time to the next, above 0.
            loop: where to call; default: the current loop of this thread.
            delay: seconds until the first call.
            jitter: each call is made up to so many seconds later, by chance; the grid stays.
            shield: `stop()` lets the call that runs go on.
            suppress_exceptions: exceptions of the function that are not logged.

        Raises:
            InvalidArgumentError: a number is out of range.
            CallbackRunningError: it runs already.
        """
        if not (isinstance(interval, int | float) and 0 < interval < math.inf):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(argument="interval", value=interval, expected="seconds above 0")
        for argument, value in (("delay", delay), ("jitter", jitter)):
            if not (value >= 0 and math.isfinite(value)):
                raise InvalidArgumentError(argument=argument, value=value, expected="seconds, 0 or more")
        self._start(loop, shield, suppress_exceptions)
        self._interval = interval
        self._jitter = jitter
        self._zero = delay
        self._number = 0
        self._is_late = False
        self._begin()

    def _first(self) -> None:
        self._zero += self._loop.time()
        self._look_at(self._zero + self._spread())

    def _next_due(self) -> float:
        number = self._number + 1
        now = self._loop.time()
        due = self._zero + number * self._interval
        later = math.ceil((now - self._zero) / self._interval) if due < now else number
        if later > number:
            log.log(logging.DEBUG if self._is_late else logging.WARNING, "%r falls out %d times", self, later - number)
            due = self._zero + later * self._interval
        self._is_late = later > number  # one warning for each time that it gets late
        self._number = later
        return due + self._spread()

    def _spread(self) -> float:
        return current_random().uniform(0.0, self._jitter) if self._jitter else 0.0
