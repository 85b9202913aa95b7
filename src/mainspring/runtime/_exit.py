"""How a program ends: on its own, by an error or by a signal, and within its time."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from mainspring.errors import ShutdownTimeoutError, SignalReceivedError
from mainspring.runtime._loops import note_main_task
from mainspring.runtime._os_signals import OsSignals

log: Final = logging.getLogger(__name__)

FORCED_EXIT_CODE: Final = 70  # EX_SOFTWARE: the program could not stop in time
Errors = list[BaseException]


class Steps:
    """Stopping, one step after the other, whatever becomes of each.

    A cancellation ends the step that runs, as that of a nested `async with`; the steps after it are done all the
    same, unless `gives_up()` says that there is no time left. Made and used in one task.
    """

    def __init__(self, *, gives_up: Callable[[], bool]) -> None:
        self.errors: Errors = []
        self._gives_up = gives_up
        self._cancellation: asyncio.CancelledError | None = None
        self._cancellations = _cancellations()

    async def do(self, step: Awaitable[Sequence[BaseException] | None]) -> None:
        """Do a step, and keep what it returns or raises."""
        try:
            errors = await step
            self.errors += errors or ()
        except asyncio.CancelledError as error:
            if _cancellations() <= self._cancellations:
                log.warning("a step of stopping awaited something that was cancelled, and ended there")
                return
            self._cancellations = _cancellations()
            self._cancellation = error
            if self._gives_up():
                raise
        except Exception as error:  # noqa: BLE001  # supervisor: the rest of the program is stopped all the same
            self.errors.append(error)

    def end(self) -> Errors:
        """Return what went wrong; after a cancellation log that, and raise the cancellation."""
        if self._cancellation is None:
            return self.errors
        _log_errors(self.errors)
        raise self._cancellation


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
        self._is_late = False
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
        """Do the work of stopping and return its errors; when time is up, abandon it and return that.

        A cancellation is passed on to the step that runs, and raised when the others are done.
        """
        self.begin()
        if self._force is not None:
            self._force.cancel()
        task = asyncio.create_task(work, name="stop the program")
        cancellation: asyncio.CancelledError | None = None
        while True:
            try:
                done, _ = await asyncio.wait([task], timeout=self.seconds_left)
                break
            except asyncio.CancelledError as error:
                cancellation = error
                task.cancel()
        if not done:
            self._is_late = True
            task.cancel()
            errors: Errors = [ShutdownTimeoutError(timeout=self.timeout, services=self._remaining_names())]
        else:
            errors = [] if task.cancelled() else task.result()
        if cancellation is not None:
            _log_errors(errors)
            raise cancellation
        return errors

    def steps(self) -> Steps:
        """Return a list of steps that ends with the time for stopping."""
        return Steps(gives_up=lambda: self._is_late)

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
            _log_errors(errors)
            late = any(isinstance(one, ShutdownTimeoutError) for one in errors)
            raise SystemExit(FORCED_EXIT_CODE if late else 128 + number) from None
        if errors and error is not None and not isinstance(error, Exception):
            _log_errors(errors)
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


def _log_errors(errors: Sequence[BaseException]) -> None:
    for one in errors:
        log.error("while stopping: %s", one, exc_info=one)


def _cancellations() -> int:
    """Return how often the current task was asked to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
