"""Records that are written: the first of a turn of the loop at once, those after it together at the turn's end.

Whether it is the first is guessed: a write is one unless nothing has been received, and no turn has ended, since
the last. A wrong guess costs the wait until the end of the turn; to know would cost another turn for each answer.
"""

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

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


class Writer(Protocol):
    """What holds back a part of what was written in a turn of the loop."""

    def end_turn(self) -> None:
        """Send it: the turn is over."""
        ...


class Feeder(Protocol):
    """Who writes the same to many outboxes, and holds it back until the end of the turn."""

    def flush(self) -> None:
        """Send it: something else is about to be written to one of them."""
        ...

    def note_change(self) -> None:
        """The outbox is not as open and empty as it was, or is again."""
        ...

    def note_end(self) -> None:
        """The outbox takes nothing more."""
        ...

    def settle(self) -> None:
        """Count what was written here: somebody wants to know."""
        ...


class Turn:
    """Who has written in this turn of the loop: one callback for all, not one for each."""

    __slots__ = ("_loop", "_writers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._writers: list[Writer] = []

    def add(self, writer: Writer) -> None:
        """Tell a writer when the turn ends."""
        if not self._writers:
            loop = self._loop()
            if loop is not None:
                loop.call_soon(self._end)
        self._writers.append(writer)

    def _end(self) -> None:
        writers, self._writers = deque(self._writers), []
        try:
            while writers:
                writers.popleft().end_turn()
        finally:
            for writer in writers:  # one has failed: the others' turn is the next
                self.add(writer)


_turns: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Turn]" = weakref.WeakKeyDictionary()


def turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """Return the turns of a loop."""
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = Turn(loop)
    return turn


class Outbox:
    """Between a connection and its transport.

    Args:
        send: gives buffers to the transport.
        header_bytes: what each of the small records has before its payload, to count their payloads.

    Attributes:
        send: the same, for feeders that have seen that it is open and that nothing waits here.
        is_open: writers need not wait, and nothing has ended: what all of them look at.
        is_collecting: besides, others wait for the end of this turn, so that `write` would do no more than append to
            `parts`, and add to `unsent_bytes` and look at it. Who writes small records does that itself: it halves
            their cost. They are counted when they are sent.
        parts: what waits for the end of the turn.
        unsent_bytes: their bytes.
        error: why nothing can be written any more, or None.
    """

    __slots__ = (
        "_counted_bytes", "_counted_parts", "_feeders", "_has_sent", "_header_bytes", "_is_claimed", "_is_paused",
        "_loop", "_sent_bytes", "_sent_count", "_turn", "_waiters", "error", "is_collecting", "is_open", "parts",
        "send", "unsent_bytes",
    )  # fmt: skip

    def __init__(self, send: Callable[[Sequence[Bytes]], None], *, header_bytes: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._turn = turn_of(self._loop)
        self._header_bytes = header_bytes
        self._has_sent = False
        self._is_paused = False  # the transport holds as much as it should
        self._is_claimed = False  # one writer writes a record in pieces
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._feeders: tuple[Feeder, ...] = ()
        self._sent_count = 0
        self._sent_bytes = 0
        self._counted_parts = 0  # of those that wait, those that `write` was given
        self._counted_bytes = 0
        self.send = send
        self.parts: list[Bytes] = []
        self.unsent_bytes = 0
        self.is_open = True
        self.is_collecting = False
        self.error: Exception | None = None

    @property
    def is_full(self) -> bool:
        """Whether more is unsent than should be."""
        return self._is_paused or self.unsent_bytes > HIGH_WATER

    def write(self, parts: Sequence[Bytes]) -> None:
        """Take buffers; never waits.

        Raises:
            Exception: what `end` was given.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        for feeder in self._feeders:
            feeder.flush()
        if not self._has_sent:
            self._has_sent = True
            self.send(parts)
            return
        is_first = not self.parts
        if is_first:
            self._turn.add(self)
        self.parts += parts
        self._counted_parts += len(parts)
        nbytes = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
        self._counted_bytes += nbytes
        self.unsent_bytes += nbytes
        if is_first or self.unsent_bytes > HIGH_WATER:  # nothing else has changed: a third of the time for each
            self.look()

    def note_sent(self, count: int, nbytes: int) -> None:
        """Count records that `write` or `send` was given, and their payloads."""
        self._sent_count += count
        self._sent_bytes += nbytes

    def sent(self) -> tuple[int, int]:
        """Return how many records were written so far, and the bytes of their payloads."""
        for feeder in self._feeders:
            feeder.settle()
        self._settle()
        return self._sent_count, self._sent_bytes

    def attach(self, feeder: Feeder) -> None:
        """Let a feeder write here."""
        self.flush()
        self._feeders += (feeder,)
        self.look()

    def detach(self, feeder: Feeder) -> None:
        """Let a feeder write here no more."""
        self._feeders = tuple(one for one in self._feeders if one is not feeder)
        self.look()

    def note_receipt(self) -> None:
        """Something came, so this is another turn than that of the last write: the answer need not wait."""
        if not self.parts:
            self._has_sent = False

    def flush(self) -> None:
        """Give to the transport what waits for the end of the turn."""
        for feeder in self._feeders:
            feeder.flush()
        if self.parts:
            self._flush()

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
        self._is_paused = True
        self.look()

    def resume(self) -> None:
        """The transport has room again."""
        self._is_paused = False
        self.look()
        self._wake()

    def claim(self, is_claimed: bool) -> None:
        """Say whether one writer writes a record in pieces, while all others wait."""
        self._is_claimed = is_claimed
        self.look()

    def end(self, error: Exception) -> None:
        """Take nothing more; the first reason counts."""
        if self.error is None:
            self.error = error
            self._take()
            self._wake()
            for feeder in self._feeders:
                feeder.note_end()

    def end_turn(self) -> None:
        """Send what has come after the first of the turn."""
        self._has_sent = False
        if self.parts:
            self._flush()
        if not self._is_paused:
            self._wake()

    def look(self) -> None:
        """See how things are now."""
        self.is_open = self.error is None and not self._is_claimed and not self.is_full
        self.is_collecting = self.is_open and bool(self.parts) and not self._feeders
        for feeder in self._feeders:
            feeder.note_change()

    def _flush(self) -> None:
        self.send(self._take())

    def _take(self) -> list[Bytes]:
        self._settle()
        parts, self.parts, self.unsent_bytes = self.parts, [], 0
        self._counted_parts = self._counted_bytes = 0
        self.look()
        return parts

    def _settle(self) -> None:
        """Count the small records that were appended."""
        count = len(self.parts) - self._counted_parts
        self.note_sent(count, self.unsent_bytes - self._counted_bytes - count * self._header_bytes)
        self._counted_parts, self._counted_bytes = len(self.parts), self.unsent_bytes

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
