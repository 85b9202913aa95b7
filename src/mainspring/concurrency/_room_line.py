"""Waiting until a bounded queue has room: in a line, first come, first served, or by asking again."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final  # Any: futures of asyncio or of concurrent.futures

from mainspring.base import Backoff
from mainspring.errors import WorkQueueFullError

_ASK_AGAIN: Final = Backoff(0.01, maximum=1.0, jitter="full")


class RoomLine:
    """A line, for one loop. Gives room to whoever waits longest, one place each, so that nobody wakes in vain.

    Args:
        has_room: whether one more may come in, given how many were called who have not come in yet.
    """

    __slots__ = ("_called", "_has_room", "_turns")

    def __init__(self, has_room: Callable[[int], bool]) -> None:
        self._has_room = has_room
        self._turns: deque[asyncio.Future[None]] = deque()
        self._called = 0

    @property
    def is_free(self) -> bool:
        """Whether one more may come in at once: there is room, and nobody waits for it."""
        return not self._turns and self._has_room(self._called)

    async def wait(self) -> None:
        """Wait for a place. Come in, or call `move()`, before anything else is awaited."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self.move()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._called -= 1
                self.move()
            raise
        self._called -= 1

    def move(self) -> None:
        """Call those for whom there is room now."""
        while self._turns and self._has_room(self._called):
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                self._called += 1


async def call_when_room(submit: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """Return the result of the future that `submit(*args, **kwargs)` gives; ask again while its queue is full.

    For executors, which tell nobody when they have room.
    """
    delays = _ASK_AGAIN.delays()
    while True:
        try:
            future = submit(*args, **kwargs)
        except WorkQueueFullError:
            await asyncio.sleep(next(delays))
        else:
            return await asyncio.wrap_future(future)
