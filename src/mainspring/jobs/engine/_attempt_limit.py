"""The time that one attempt has: it stands still while the handler waits for a thread or a worker process."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mainspring.base import from_us
from mainspring.jobs.engine._context import JobContext
from mainspring.resilience import timeout as time_limit


class AttemptLimit:
    """An `async with` block around an attempt, which raises a TimeoutError when its time is up.

    Args:
        seconds: what the attempt may take.
        now: tells the time of the store, in microseconds.
        cancel_grace: seconds that the handler may take to stop once its time is over.
        on_stuck: told why the handler should have stopped, when it has not by then.
    """

    __slots__ = ("_cancel_grace", "_ctx", "_now", "_on_stuck", "_scope", "_seconds", "_stuck")

    def __init__(
        self,
        seconds: float,
        ctx: JobContext,
        *,
        now: Callable[[], int],
        cancel_grace: float,
        on_stuck: Callable[[str], None],
    ) -> None:
        self._seconds = seconds
        self._ctx = ctx
        self._now = now
        self._cancel_grace = cancel_grace
        self._on_stuck = on_stuck
        self._scope = time_limit(seconds)  # a handler can read it with deadline(), and a retry in it gives up in time
        self._stuck: asyncio.TimerHandle | None = None

    @property
    def expired(self) -> bool:
        """Whether the time was up before the block ended."""
        return self._scope.expired

    @property
    def left(self) -> float:
        """Seconds that the attempt has left."""
        return self._scope.left

    def hold(self) -> None:
        """Stand still: the handler waits for its turn."""
        self._scope.hold()

    def resume(self) -> None:
        """Go on: the handler begins. Any thread may say so."""
        self._ctx.deadline_at = from_us(self._now() + int(self.left * 1e6))
        self._scope.resume()

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._ctx.deadline_at = from_us(self._now() + int(self._seconds * 1e6))
        self._look_later()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
        await self._scope.__aexit__(kind, error, trace)

    def _look_later(self) -> None:
        delay = self._seconds + self._cancel_grace
        self._stuck = asyncio.get_running_loop().call_later(delay, self._look)

    def _look(self) -> None:
        if self.expired:
            self._on_stuck(f"it had {self._seconds:g} s")
        else:  # it was held meanwhile
            self._look_later()
