"""The two ends of a pipe: system calls when the loop says that they will not wait, one for many messages."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Sequence
from typing import Final

from mainspring.base import FrameDecoder
from mainspring.errors import ClosedError, ConnectionClosedError, FrameTooLargeError
from mainspring.transport._inbox import Inbox

Bytes = bytes | bytearray | memoryview

HIGH_WATER: Final = 1 << 16
"""Bytes that may wait for the system before a writer waits."""

_JOIN_BYTES: Final = 1 << 17


class ReadEnd:
    """Cuts what comes out of a descriptor into messages. Watches it only while there is room for more."""

    def __init__(self, fd: int, *, header_bytes: int, max_bytes: int | None) -> None:
        self._fd = fd
        self._decoder = FrameDecoder(max_bytes=max_bytes, header_bytes=header_bytes)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_open = True
        self.inbox: Inbox[bytes | memoryview] = Inbox("the pipe", pause=self._unwatch, resume=self._watch)
        self.received_count = 0
        self.received_bytes = 0

    @property
    def fd(self) -> int | None:
        """The descriptor; None once closed."""
        return self._fd if self._is_open else None

    async def read(self) -> bytes | memoryview:
        """Return the next payload."""
        if self._loop is None:
            self._check_open()
            self._loop = asyncio.get_running_loop()
            self._watch()
        return await self.inbox.get()

    def close(self) -> None:
        """Close the descriptor; a waiting reader hears of it."""
        if self._is_open:
            self._is_open = False
            self.inbox.clear()
            self._finish(ClosedError(what="the read end of the pipe"))
            os.close(self._fd)

    def _check_open(self) -> None:
        if not self._is_open:
            raise ClosedError(what="the read end of the pipe")

    def _watch(self) -> None:
        if self._loop is not None and self._is_open and self.inbox.error is None:
            self._loop.add_reader(self._fd, self._on_readable)

    def _unwatch(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)

    def _finish(self, error: Exception) -> None:
        self._unwatch()
        self.inbox.end(error)

    def _on_readable(self) -> None:
        try:
            nbytes = os.readv(self._fd, [self._decoder.get_buffer()])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(ConnectionClosedError(what="the pipe", reason=f"it cannot be read ({error.strerror})"))
            return
        if not nbytes:
            self._on_end()
            return
        try:
            payloads = self._decoder.buffer_updated(nbytes)
        except FrameTooLargeError as error:
            self._finish(error)
            return
        if payloads:
            self.received_count += len(payloads)
            self.received_bytes += sum(map(len, payloads))
            self.inbox.put_many(payloads)
        if self._decoder.refusal is not None:
            self._finish(self._decoder.refusal)

    def _on_end(self) -> None:
        missing = self._decoder.pending_bytes
        reason = "its writer ended inside a message" if missing else "its writer has closed it"
        self._finish(ConnectionClosedError(what="the pipe", reason=reason, is_clean=not missing))


class WriteEnd:
    """Gives messages to a descriptor, whole and in order.

    The first message of a turn of the loop goes out at once; those that follow in the same turn go out
    together at its end.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_open = True
        self._turn_is_open = False
        self._is_watched = False
        self._backlog: deque[Bytes] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._error: Exception | None = None
        self.unsent_bytes = 0
        self.sent_count = 0
        self.sent_bytes = 0

    @property
    def fd(self) -> int | None:
        """The descriptor; None once closed."""
        return self._fd if self._is_open else None

    async def write(self, parts: Sequence[Bytes], nbytes: int) -> None:
        """Take one frame; wait first while too much is unsent. Cancelled while it waits, it takes nothing."""
        while self.unsent_bytes > HIGH_WATER:
            await self._until_sent()
        self._raise_if_over()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self.sent_count += 1
        self.sent_bytes += nbytes
        for part in parts:
            self._backlog.append(part)
            self.unsent_bytes += len(part)
        if not self._turn_is_open:
            self._turn_is_open = True
            self._loop.call_soon(self._end_turn)
            if not self._is_watched:
                self._flush()
                self._raise_if_over()

    async def flush(self) -> None:
        """Wait until the system has taken everything."""
        while self.unsent_bytes:
            await self._until_sent()
        self._raise_if_over()

    def close(self) -> None:
        """Close the descriptor; what the system has not taken is lost, and its writers hear of it."""
        if self._is_open:
            self._fail(ClosedError(what="the write end of the pipe"))
            self._is_open = False
            os.close(self._fd)

    def _raise_if_over(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)

    async def _until_sent(self) -> None:
        """Wait until less is unsent; wakes its writers in the order in which they came."""
        self._raise_if_over()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            with contextlib.suppress(ValueError):  # it was woken
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _end_turn(self) -> None:
        self._turn_is_open = False
        if self._backlog and not self._is_watched:
            self._flush()

    def _flush(self) -> None:
        """Give the system what it takes now; watch for when it takes the rest."""
        try:
            while self._backlog:
                if 1 < len(self._backlog) and self.unsent_bytes <= _JOIN_BYTES:
                    joined = b"".join(self._backlog)
                    self._backlog.clear()
                    self._backlog.append(joined)
                part = self._backlog[0]
                nbytes = os.write(self._fd, part) if len(part) else 0
                self.unsent_bytes -= nbytes
                if nbytes < len(part):
                    self._backlog[0] = memoryview(part)[nbytes:]
                else:
                    self._backlog.popleft()
        except (BlockingIOError, InterruptedError):
            self._watch()
        except OSError as error:
            self._fail(ConnectionClosedError(what="the pipe", reason=f"its reader is gone ({error.strerror})"))
        else:
            self._unwatch()
        if self.unsent_bytes <= HIGH_WATER >> 1:
            self._wake()

    def _watch(self) -> None:
        if not self._is_watched and self._loop is not None:
            self._is_watched = True
            self._loop.add_writer(self._fd, self._flush)

    def _unwatch(self) -> None:
        if self._is_watched and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_writer(self._fd)
        self._is_watched = False

    def _fail(self, error: Exception) -> None:
        self._unwatch()
        self._backlog.clear()
        self.unsent_bytes = 0
        if self._error is None:
            self._error = error
        self._wake()
