"""The one clock: every reading of time in mainspring goes through `current_clock()`."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time. The methods never wait and are safe from any thread."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        ...

    def time(self) -> float:
        """Return seconds since 1970-01-01T00:00Z."""
        ...

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    monotonic = staticmethod(time.monotonic)  # noqa: TID251
    time = staticmethod(time.time)  # noqa: TID251

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251


_clock: Clock = SystemClock()


def current_clock() -> Clock:
    """Return the clock of this process: the system's, unless a test replaced it."""
    return _clock


@contextmanager
def use_clock(clock: Clock) -> Generator[Clock]:
    """Make `clock` the process's clock inside the block; meant for tests, seen by every thread."""
    global _clock
    before = _clock
    _clock = clock
    try:
        yield clock
    finally:
        _clock = before
