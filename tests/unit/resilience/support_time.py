"""A loop whose time is a number: waiting adds to it."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec

from mainspring.base import use_clock

P = ParamSpec("P")


class VirtualTime:
    """The clock of such a loop."""

    def __init__(self, start: float = 1000.0) -> None:
        self.seconds = start

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


class _Selector(selectors.SelectSelector):
    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen")
            self._clock.seconds += max(0.0, timeout)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualTime) -> None:
        super().__init__(_Selector(clock))
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.seconds


def run_virtual(main: Coroutine[Any, Any, None], start: float = 1000.0) -> None:
    """Run `main` to its end on a loop whose clock starts at `start`, as the clock of the process."""
    clock = VirtualTime(start)
    with use_clock(clock), asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner:
        runner.run(main)


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a coroutine test run on virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(test(*args, **kwargs))

    return run


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()
