"""A time limit for calls that come one after the other, with one timer for many of them.

To set a timer for each and take it back, as `timeout` does, is a fourteenth of all that fifty callers pay for one call
of a server. Here it stays as it is when a call ends, and when it goes off it is set anew for the call of that moment.
"""

import asyncio
from types import TracebackType
from typing import Any  # Any: the results of tasks, which are none of its business

from mainspring.errors import DeadlineExceededError, MisuseError


class CallWatch:
    """Use `with` around what a call awaits; one call at a time, all of them on one loop.

    Args:
        what: is limited, for the error.
        seconds: each call may take.

    Raises:
        DeadlineExceededError: (a TimeoutError, from the block) the time was up.
    """

    __slots__ = ("_cancelling", "_due", "_expired", "_seconds", "_task", "_timer", "_what")

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._seconds = seconds
        self._due = 0.0
        self._expired = False
        self._cancelling = 0
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise MisuseError(what=self._what, problem="was made outside of a task")
        loop = task.get_loop()
        self._task, self._cancelling, self._expired = task, task.cancelling(), False
        self._due = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(self._due, self._look, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if not self._expired or task is None:
            return
        # As in asyncio.Timeout: a cancel() that came from elsewhere meanwhile must not be swallowed.
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise DeadlineExceededError(what=self._what, timeout=self._seconds) from error

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._task is None:
            return
        if loop.time() < self._due:
            self._timer = loop.call_at(self._due, self._look, loop)
        else:
            self._expired = True
            self._task.cancel()
