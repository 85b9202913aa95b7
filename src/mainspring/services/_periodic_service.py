"""PeriodicService: a coroutine function on a grid of time, or after pauses."""

import asyncio
from abc import abstractmethod
from typing import Any

from mainspring.concurrency import PeriodicCallback, RecurringCallback
from mainspring.errors import InvalidArgumentError
from mainspring.runtime import Service
from mainspring.services._running_calls import RunningCalls
from mainspring.services._simple_server import cancel_and_wait


class PeriodicService(Service):
    """Calls `callback()` every `interval` seconds. Subclass it and write `callback`.

    Calls are due on a grid, `delay` + n * `interval` seconds after the start, whatever earlier calls took; one
    that takes longer makes the next ones fall out, with a warning. Exceptions are logged. At the stop a call
    that runs is awaited, up to `stop_timeout`, then cancelled.

    Attributes:
        interval: seconds from one due time to the next, above 0.
        delay: seconds until the first call.
        fixed_delay: wait `interval` seconds after the end of each call instead.
        jitter: each call on the grid is made up to so many seconds later, by chance.
        name: for messages.

    Raises:
        InvalidArgumentError: (from the start) a number is out of range.
    """

    __async_required__ = ("callback",)

    interval: float = 0.0
    delay: float = 0.0
    fixed_delay: bool = False
    jitter: float = 0.0
    name: str | None = None

    _beat: PeriodicCallback | None = None
    _pauses: "asyncio.Task[None] | None" = None
    _calls: RunningCalls | None = None

    def __repr__(self) -> str:
        running = "running" if self._calls else "waiting" if self._beat or self._pauses else "idle"
        return f"<{self.name or type(self).__qualname__} every {self.interval:g} s {running}>"

    @abstractmethod
    async def callback(self) -> Any:
        """Do what is due."""

    async def start(self) -> None:
        """Begin to call, and return."""
        self._calls = RunningCalls()
        function = self._calls.watch(self.callback)
        if not self.fixed_delay:
            beat = PeriodicCallback(function)
            beat.start(self.interval, self.loop, delay=self.delay, jitter=self.jitter, shield=True)
            self._beat = beat
            return
        for argument, value in (("interval", self.interval), ("delay", self.delay)):
            if not (value > 0 or (value == 0 and argument == "delay")):
                raise InvalidArgumentError(argument=argument, value=value, expected="a positive number of seconds")
        pauses = iter((self.delay,))
        recurring = RecurringCallback(function, name=self.name)
        self._pauses = recurring.start(lambda _: next(pauses, self.interval), self.loop, shield=True)

    async def stop(self, exception: Any = None) -> None:
        """Make no more calls, and wait for the one that runs."""
        if self._beat is not None:
            _ = self._beat.stop(return_exceptions=True)
            self._beat = None
        if self._pauses is not None:
            pauses, self._pauses = self._pauses, None
            await cancel_and_wait({pauses})
        if self._calls is not None:
            await self._calls.finish()
