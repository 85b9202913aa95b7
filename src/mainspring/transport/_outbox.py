"""Records that are written: the first of a turn of the loop at once, those after it together at the turn's end.

Whether it is the first is guessed: a write is one unless nothing has been received, and no turn has ended, since
the last. A wrong guess costs the wait until the end of the turn; to know would cost another turn for each answer.
"""

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mainspring.transport._records import Bytes

_LARGE_BYTES: Final = 1 << 16  # copying less costs less than another call of the system

HIGH_WATER: Final = 1 << 18
"""Bytes that may be unsent before writers wait."""


def join_small(parts: Sequence[Bytes]) -> Iterator[Bytes]:
    """Yield the buffers of a turn for a transport: neighbours that are small as one, large ones as they are."""
    run: list[Bytes] = []
    for part in parts:
        if len(part) < _LARGE_BYTES:
            run.append(part)
            continue
        if run:
            yield b"".join(run)
            run = []
        yield part
    if run:
        yield run[0] if len(run) == 1 else b"".join(run)


class _Turn:
    """The outboxes that have written in this turn of the loop: one callback for all, not one for each."""

    __slots__ = ("_loop", "_outboxes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._outboxes: list[Outbox] = []

    def add(self, outbox: "Outbox") -> None:
        """Tell an outbox when the turn ends."""
        if not self._outboxes:
            loop = self._loop()
            if loop is not None:
                loop.call_soon(self._end)
        self._outboxes.append(outbox)

    def _end(self) -> None:
        outboxes, self._outboxes = self._outboxes, []
        for outbox in outboxes:
            outbox.end_turn()


_turns: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Turn]" = weakref.WeakKeyDictionary()


def _turn_of(loop: asyncio.AbstractEventLoop) -> _Turn:
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = _Turn(loop)
    return turn


class Outbox:
    """Between a connection and its transport.

    Args:
        send: gives buffers to the transport.

    Attributes:
        is_paused: the transport holds as much as it should.
        error: why nothing can be written any more, or None.
    """

    __slots__ = ("_bytes", "_has_sent", "_loop", "_parts", "_send", "_turn", "_waiters", "error", "is_paused")

    def __init__(self, send: Callable[[Sequence[Bytes]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._turn = _turn_of(self._loop)
        self._send = send
        self._parts: list[Bytes] = []
        self._bytes = 0
        self._has_sent = False
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
        if not self._has_sent:
            self._has_sent = True
            self._send(parts)
            return
        if not self._parts:
            self._turn.add(self)
        self._parts += parts
        for part in parts:
            self._bytes += len(part)

    def note_receipt(self) -> None:
        """Something came, so this is another turn than that of the last write: the answer need not wait."""
        if not self._parts:
            self._has_sent = False

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

    def end_turn(self) -> None:
        """Send what has come after the first of the turn."""
        self._has_sent = False
        self.flush()
        if not self.is_paused:
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
