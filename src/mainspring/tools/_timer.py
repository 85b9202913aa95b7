"""`Timer`: how long a block took, in the log."""

import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mainspring.base import current_clock
from mainspring.errors import InvalidArgumentError

log = logging.getLogger(__name__)


class Timer:
    """Measures a block, `with` or `async with`, and logs its duration at INFO when it ends.

    The line names the file and line of the caller. Exceptions pass. Each `with` starts afresh; timers of
    concurrent tasks are separate objects.

    Args:
        name: put before each line, in brackets.
        every: log the time of so many steps whenever they are done; see `step`.
        report: called with each line in the place of the log.

    Attributes:
        name: the name as it is printed, with its brackets and a blank; empty without one.
        every: as given.
        count: steps so far.
        start_global: when the block was entered, seconds of the clock.
        start: when the last line was logged, or the block entered.
        end: when the block was left; None before.
        interval: seconds of the last interval that was logged.

    Example:
        >>> with Timer("load", report=lambda line: print(line[:16])) as timer:
        ...     rows = list(range(10))
        [load] Duration:
        >>> timer.elapsed < 60
        True
    """

    def __init__(
        self, name: str = "", every: int = sys.maxsize, *, report: Callable[[str], object] | None = None
    ) -> None:
        if type(every) is not int or every < 1:
            raise InvalidArgumentError(argument="every", value=every, expected="an int >= 1")
        self.name = f"[{name}] " if name else ""
        self.every = every
        self.count = 0
        self.start = self.start_global = current_clock().monotonic()
        self.end: float | None = None
        self.interval = 0.0
        self._report = report

    @property
    def elapsed(self) -> float:
        """Seconds since the block was entered; once it was left, all that it took."""
        end = current_clock().monotonic() if self.end is None else self.end
        return end - self.start_global

    def step(self) -> None:
        """Count one step; log a line when `every` steps are done since the last."""
        self.count += 1
        if self.count % self.every == 0:
            self._log_interval(current_clock().monotonic(), depth=3)

    def __enter__(self) -> Self:
        self.count = 0
        self.end = None
        self.interval = 0.0
        self.start = self.start_global = current_clock().monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._finish(depth=4)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._finish(depth=4)

    def __repr__(self) -> str:
        return f"<Timer {self.name}{self.elapsed:,.4f} s, {self.count} steps>"

    def _finish(self, *, depth: int) -> None:
        self.end = current_clock().monotonic()
        if self.count:
            self._log_interval(self.end, depth=depth)
        self._log(f"{self.name}Duration: {self.end - self.start_global:,.4f}", depth=depth)

    def _log_interval(self, now: float, *, depth: int) -> None:
        self.interval = now - self.start
        self.start = now
        self._log(f"{self.name}Duration ({self.count}): {self.interval:,.4f}", depth=depth + 1)

    def _log(self, line: str, *, depth: int) -> None:
        if self._report is None:
            log.info("%s", line, stacklevel=depth)
        else:
            self._report(line)
