"""Messages that have arrived and not been read: bounded, one reader, nothing lost by a cancellation."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from mainspring.errors import MisuseError

DEFAULT_UNREAD_BYTES: Final = 1 << 20

_OVERHEAD: Final = 64  # what an empty message counts, so that a flood of them is bounded as well


class Sized(Protocol):
    """Anything with a length in bytes."""

    def __len__(self) -> int: ...


M = TypeVar("M", bound=Sized)


class Inbox(Generic[M]):
    """A queue between the loop's callbacks and the one task that reads.

    Args:
        what: the owner, for messages.
        pause: called when more than `limit` bytes wait; the owner stops receiving.
        resume: called when half of that is read.
        limit: bytes that may wait.
    """

    __slots__ = ("_error", "_is_paused", "_items", "_limit", "_pause", "_resume", "_waiter", "_what", "unread_bytes")

    def __init__(
        self, what: str, *, pause: Callable[[], None], resume: Callable[[], None], limit: int = DEFAULT_UNREAD_BYTES
    ) -> None:
        self._what = what
        self._pause = pause
        self._resume = resume
        self._limit = limit
        self._items: deque[M] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._is_paused = False
        self.unread_bytes = 0

    @property
    def is_paused(self) -> bool:
        """Whether the owner was told to receive no more."""
        return self._is_paused

    @property
    def error(self) -> Exception | None:
        """Why nothing comes any more; None while something may."""
        return self._error

    def put_many(self, items: list[M]) -> None:
        """Take what arrived; wake the reader once."""
        self._items.extend(items)
        self.unread_bytes += sum(map(len, items)) + _OVERHEAD * len(items)
        if self.unread_bytes > self._limit and not self._is_paused:
            self._is_paused = True
            self._pause()
        self._wake()

    def end(self, error: Exception) -> None:
        """Say that nothing comes any more; readers get what is here, then the error. The first one counts."""
        if self._error is None:
            self._error = error
            self._wake()

    def take_all(self) -> list[M]:
        """Return what waits, at once."""
        items = list(self._items)
        self.clear()
        if self._is_paused:
            self._is_paused = False
            self._resume()
        return items

    def clear(self) -> None:
        """Forget what nobody has read."""
        self._items.clear()
        self.unread_bytes = 0

    async def get(self) -> M:
        """Return the next message; wait for it. A cancelled wait loses none.

        Raises:
            MisuseError: another task waits already.
            Exception: what `end` was given, once everything before it is read.
        """
        while not self._items:
            if self._error is not None:
                raise self._error.with_traceback(None)
            if self._waiter is not None:
                raise MisuseError(what=self._what, problem="is read by another task already")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._items.popleft()
        self.unread_bytes -= len(item) + _OVERHEAD
        if self._is_paused and self.unread_bytes <= self._limit >> 1:
            self._is_paused = False
            self._resume()
        return item

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
