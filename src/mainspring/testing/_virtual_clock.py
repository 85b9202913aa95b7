"""VirtualClock: run a program in simulated time."""

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, TypeVar  # Any: of the coroutine's unused send and yield types

from mainspring.base import use_clock
from mainspring.errors import InvalidArgumentError, VirtualClockError
from mainspring.testing._virtual_loop import VirtualLoop

T = TypeVar("T")

DEFAULT_START: Final = datetime(2013, 1, 1, tzinfo=UTC)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class VirtualClock:
    """A clock, and the event loop whose waiting moves it.

    When nothing is ready on the loop, time jumps to the next timer. Inside the block it is the clock of the
    process. Time stands still while code runs, and while executor jobs, house workers and subprocesses work
    for the loop. Use it from one thread.

    Args:
        start: what `now()` says first, aware.
        patience: real seconds that work outside the loop may hold the clock.
        shuffle: run what is ready at the same time in an order drawn from `current_random()`, so that
            `use_random(seed)` tries an order of events by its number, and again. Not for programs with
            sockets: asyncio's transports rely on their callbacks' order.

    Raises:
        InvalidArgumentError: `start` is not aware, or `patience` is not above 0.
        VirtualClockError: (from the loop) a connection to another process is open, or work outside the loop
            outlasted `patience`.

    Example:
        >>> with VirtualClock(datetime(2013, 3, 10, tzinfo=UTC)) as clock:
        ...     clock.run(asyncio.sleep(86400))
        ...     print(clock.now())
        2013-03-11 00:00:00+00:00
    """

    def __init__(self, start: datetime = DEFAULT_START, *, patience: float = 30.0, shuffle: bool = False) -> None:
        if start.tzinfo is None:
            raise InvalidArgumentError(argument="start", value=start, expected="an aware datetime")
        if not patience > 0:
            raise InvalidArgumentError(argument="patience", value=patience, expected="seconds above 0")
        self._start_us = (start - _EPOCH) // _MICROSECOND
        self._patience = patience
        self._shuffle = shuffle
        self._block = ExitStack()
        self._loop: VirtualLoop | None = None
        self._runner: asyncio.Runner | None = None

    def __repr__(self) -> str:
        return f"<VirtualClock now={self.now().isoformat()}>"

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner(loop_factory=self.new_loop)
        self._block.enter_context(use_clock(self))
        self._block.enter_context(self._runner)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._runner = None
        self._block.close()

    def monotonic(self) -> float:
        """Return the virtual seconds since the start."""
        return self._elapsed_us / 1e6

    def time(self) -> float:
        """Return virtual seconds since 1970-01-01T00:00Z."""
        return (self._start_us + self._elapsed_us) / 1e6

    def now(self) -> datetime:
        """Return the virtual instant, aware, in UTC; exact to the microsecond."""
        return _EPOCH + timedelta(microseconds=self._start_us + self._elapsed_us)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on the clock's loop; several calls share the loop.

        Raises:
            VirtualClockError: outside of the `with` block.
        """
        if self._runner is None:
            main.close()
            raise _not_running()
        return self._runner.run(main)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and everything that is due in them happen.

        Returns when nothing more can happen at that instant. Await it on the clock's loop.
        """
        await asyncio.sleep(seconds)
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that can happen without time passing; executor jobs are waited for."""
        loop = self.loop
        quiet = loop.create_future()
        loop.virtual_selector.when_quiet.append(lambda: None if quiet.done() else quiet.set_result(None))
        await quiet

    @property
    def loop(self) -> VirtualLoop:
        """The clock's event loop; made by the runner when it first runs."""
        if self._loop is None:
            raise _not_running()
        return self._loop

    def new_loop(self) -> VirtualLoop:
        """Make the clock's event loop; for runners of one's own, once per clock."""
        self._loop = VirtualLoop(patience=self._patience, shuffle=self._shuffle)
        return self._loop

    @property
    def _elapsed_us(self) -> int:
        return 0 if self._loop is None else self._loop.virtual_selector.microseconds


def _not_running() -> VirtualClockError:
    hint = (
        "enter it first: `with VirtualClock() as clock: clock.run(main())`; "
        "a test that asks for the fixture virtual_clock is an `async def`, and awaits"
    )
    return VirtualClockError(reason="the clock has no loop", hint=hint)
