"""Records that are written: the first of a turn of the loop at once, those after it together at the turn's end."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from mainspring.transport._records import Bytes

HIGH_WATER: Final = 1 << 18
"""Bytes that may be unsent before writers wait."""


class Outbox:
    """Between a connection and its transport.

    Args:
        send: gives buffers to the transport.

    Attributes:
        is_paused: the transport holds as much as it should.
        error: why nothing can be written any more, or None.
    """

    __slots__ = ("_bytes", "_loop", "_parts", "_send", "_turn_is_open", "_waiters", "error", "is_paused")

    def __init__(self, send: Callable[[Sequence[Bytes]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._parts: list[Bytes] = []
        self._bytes = 0
        self._turn_is_open = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.is_paused = False
        self.error: Exception | None = None

    @property
    def is_full(self) -> bool:
        """Whether writers should wait."""
        return self.is_paused or self._bytes > HIGH_WATER

    @property
    def unsent_bytes(self) -> int:
        """What the transport has not been given."""
        return self._bytes

    def write(self, parts: Sequence[Bytes]) -> None:
        """Take buffers; never waits.

        Raises:
            Exception: what `end` was given.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self._turn_is_open:
            self._parts += parts
            self._bytes += sum(map(len, parts))
            return
        self._turn_is_open = True
        self._loop.call_soon(self._end_turn)
        self._send(parts)

    def flush(self) -> None:
        """Give to the transport what waits for the end of the turn."""
        if self._parts:
            parts, self._parts, self._bytes = self._parts, [], 0
            self._send(parts)

    async def drain(self) -> None:
        """Wait until there is room.

        Raises:
            Exception: what `end` was given.
        """
        while self.is_full and self.error is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                with contextlib.suppress(ValueError):  # it was woken
                    self._waiters.remove(waiter)
        if self.error is not None:
            raise self.error.with_traceback(None)

    def pause(self) -> None:
        """The transport holds as much as it should."""
        self.is_paused = True

    def resume(self) -> None:
        """The transport has room again."""
        self.is_paused = False
        self._wake()

    def end(self, error: Exception) -> None:
        """Take nothing more; the first reason counts."""
        if self.error is None:
            self.error = error
            self._parts.clear()
            self._bytes = 0
            self._wake()

    def _end_turn(self) -> None:
        self._turn_is_open = False
        self.flush()
        if not self.is_paused:
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
