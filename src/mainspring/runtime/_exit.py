"""How a program ends: on its own, by an error or by a signal, and within its time."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from mainspring.errors import ShutdownTimeoutError, SignalReceivedError
from mainspring.runtime._loops import note_main_task
from mainspring.runtime._os_signals import OsSignals

log: Final = logging.getLogger(__name__)

FORCED_EXIT_CODE: Final = 70  # EX_SOFTWARE: the program could not stop in time
Errors = list[BaseException]


class Exit:
    """The way out of one program.

    A signal cancels the main task first, so that it can clean up while the services still work. From the
    signal, or from the end of the block, everything together has `timeout` seconds.
    """

    def __init__(self, timeout: float, signals: Sequence[int], *, remaining: Callable[[], Sequence[str]]) -> None:
        self.timeout = timeout
        self.closing = asyncio.Event()
        self.os_signals = OsSignals(signals, self._on_signal)
        self._remaining_names = remaining
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._force: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._forget_main_task: Callable[[], None] = lambda: None

    def watch(self, loop: asyncio.AbstractEventLoop, main: "asyncio.Task[Any] | None") -> None:
        """Take over the signals; `main` is the task around the block, None when the block is not a task."""
        self._loop = loop
        self._main = main
        if main is None:
            self._forget_main_task = note_main_task(loop)
        self.os_signals.install()

    def release(self) -> None:
        """Give the signals and the loop back."""
        self.os_signals.restore()
        self._forget_main_task()

    @property
    def seconds_left(self) -> float:
        """How long stopping may still take."""
        if self._loop is None or not self.closing.is_set():
            return self.timeout
        return max(0.0, self._deadline - self._loop.time())

    @property
    def reason(self) -> SignalReceivedError | None:
        """The error that says which signal ends the program, if one does."""
        number = self.os_signals.received
        return None if number is None else SignalReceivedError(signal=signal.Signals(number).name)

    def check(self) -> None:
        """Raise SystemExit for a signal that came when what it cancels had just ended."""
        number = self.os_signals.received
        if number is not None and not self.closing.is_set():
            raise SystemExit(128 + number)

    def begin(self) -> None:
        """Say that the program stops, and start the clock."""
        if not self.closing.is_set() and self._loop is not None:
            self._deadline = self._loop.time() + self.timeout
            self.closing.set()

    async def within_time(self, work: Coroutine[Any, Any, Errors]) -> Errors:
        """Do the work of stopping and return its errors; when time is up, abandon it and return that."""
        self.begin()
        if self._force is not None:
            self._force.cancel()
        task = asyncio.create_task(work, name="stop the program")
        try:
            done, _ = await asyncio.wait([task], timeout=self.seconds_left)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if done:
            return task.result()
        task.cancel()
        return [ShutdownTimeoutError(timeout=self.timeout, services=self._remaining_names())]

    def conclude(self, error: BaseException | None, errors: Errors) -> None:
        """Raise what the program ends with.

        Args:
            error: what the block ended with; it goes on by itself when nothing else is raised here.
            errors: what went wrong while the program stopped.

        Raises:
            SystemExit: a signal ended the program: 128 + its number, or 70 when it could not stop in time.
            BaseException: one error of stopping; an ExceptionGroup when there are several.
        """
        number = self.os_signals.received
        if number is not None and not isinstance(error, Exception):
            for one in errors:
                log.error("while stopping: %s", one, exc_info=one)
            late = any(isinstance(one, ShutdownTimeoutError) for one in errors)
            raise SystemExit(FORCED_EXIT_CODE if late else 128 + number) from None
        if errors and error is not None and not isinstance(error, Exception):
            for one in errors:
                log.error("while stopping: %s", one, exc_info=one)
        elif len(errors) == 1 and error is None:
            raise errors[0]
        elif errors:
            everything = errors if error is None else [error, *errors]
            raise BaseExceptionGroup("the program failed", everything) from None

    def _on_signal(self, number: int) -> None:
        """Runs between two steps of the main thread, inside the loop or outside of it."""
        loop = self._loop
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(self._interrupt, number)
        elif not self.closing.is_set():
            raise SystemExit(128 + number)

    def _interrupt(self, number: int) -> None:
        loop = self._loop
        if loop is None or self.closing.is_set():
            return
        main = self._main or getattr(loop, "main_task", None)
        if main is not None and main.done():
            loop.call_soon(self._interrupt, number)  # this run of the loop is about to end: meant is what runs next
            return
        log.warning("got %s, stopping", signal.Signals(number).name)
        self.begin()
        self._force = loop.call_later(self.timeout, self._give_up)
        if main is not None:
            main.cancel()
        elif hasattr(loop, "main_task"):
            loop.stop()
        else:
            raise SystemExit(128 + number)  # the one thing that leaves the run of a loop that takes no attributes

    def _give_up(self) -> None:
        log.critical("the main task did not end within %g s", self.timeout)
        raise SystemExit(FORCED_EXIT_CODE)
