"""AsyncPipe: messages over a system pipe, within a process or between two."""

import contextlib
import os
import stat
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self, TypeVar, overload  # Any: decoded data has the type that was asked for

from mainspring.base import decode_json, encode_frame, encode_json, longest_payload
from mainspring.errors import ClosedError, ConnectionClosedError, InvalidArgumentError
from mainspring.resilience import timeout
from mainspring.transport._pipe_ends import Bytes, ReadEnd, WriteEnd
from mainspring.transport._stats import TransportStats

T = TypeVar("T")

_FLUSH_SECONDS: Final = 5.0


class AsyncPipe:
    """A pipe that carries messages: each is a length, little-endian, and its bytes.

    Made without descriptors it has both ends. Each end belongs to the loop where it is first used, so a pipe
    may be made before a fork and read on one side of it and written on the other; each side then closes the
    end that it does not use, so that the reader hears when the writer dies.

    Any number of tasks may write, their messages never mix; one may read. A cancelled read loses no message;
    a cancelled write has sent its message whole or not at all. Not thread-safe.

    Args:
        header_bytes: the width of the length, 1 to 8; the same on both sides.
        read_from_fd: read from this descriptor instead of making a pipe. It may be inherited, and is closed
            with the pipe.
        write_to_fd: write to this one, which is made non-blocking, and closed with the pipe.
        max_bytes: the longest payload to accept; 16 MiB, or what the length can say if that is less.

    Raises:
        InvalidArgumentError: the width, the limit or a descriptor is not of that kind.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with AsyncPipe() as pipe:
        ...         await pipe.write_json({"price": 3.5})
        ...         await pipe.write_bytes(b"raw")
        ...         print(await pipe.read_json(), await pipe.read_bytes())
        >>> asyncio.run(main())
        {'price': 3.5} b'raw'
    """

    def __init__(
        self,
        header_bytes: int = 4,
        read_from_fd: int | None = None,
        *,
        write_to_fd: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._reader: ReadEnd | None = None
        self._writer: WriteEnd | None = None
        longest_payload(header_bytes)  # refuses a width before a descriptor is made
        self._header_bytes = header_bytes
        for name, fd in (("read_from_fd", read_from_fd), ("write_to_fd", write_to_fd)):
            if fd is not None and not _is_pipe_or_socket(fd):
                raise InvalidArgumentError(argument=name, value=fd, expected="an open pipe or socket")
        if read_from_fd is None and write_to_fd is None:
            read_from_fd, write_to_fd = make_pipe()
        try:
            if read_from_fd is not None:
                self._reader = ReadEnd(read_from_fd, header_bytes=header_bytes, max_bytes=max_bytes)
        except BaseException:
            if read_from_fd is not None and write_to_fd is not None:  # ours
                os.close(read_from_fd)
                os.close(write_to_fd)
            raise
        if write_to_fd is not None:
            os.set_blocking(write_to_fd, False)
            self._writer = WriteEnd(write_to_fd)

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<AsyncPipe read_fd={self.read_fd} write_fd={self.write_fd} "
            f"received={stats.received_count} sent={stats.sent_count}>"
        )

    def __del__(self) -> None:
        if self.read_fd is not None or self.write_fd is not None:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self, stacklevel=2)
            self.close_nowait()

    @property
    def read_fd(self) -> int | None:
        """The descriptor of the read end; None when there is none, or when it is closed."""
        return None if self._reader is None else self._reader.fd

    @property
    def write_fd(self) -> int | None:
        """The descriptor of the write end; None when there is none, or when it is closed."""
        return None if self._writer is None else self._writer.fd

    async def read_bytes(self) -> bytes | memoryview:
        """Return the next payload, which stays valid; a long one is a memoryview.

        Raises:
            ConnectionClosedError: the writer is gone; `is_clean` tells whether that was between two messages.
            FrameTooLargeError: a message is longer than `max_bytes`; nothing can be read after it.
            ClosedError: there is no read end, or it was closed.
            MisuseError: another task is reading.
        """
        if self._reader is None:
            raise ClosedError(what="the read end of the pipe")
        return await self._reader.read()

    @overload
    async def read_json(self, type: type[T]) -> T: ...
    @overload
    async def read_json(self, type: Any = Any) -> Any: ...
    async def read_json(self, type: Any = Any) -> Any:
        """Return what the next message says as JSON, checked and converted to `type`.

        Raises:
            DecodeError: it is not JSON, or does not fit; the next message can still be read.
            Exception: as `read_bytes`.
        """
        return decode_json(await self.read_bytes(), type)

    async def write_bytes(self, payload: Bytes) -> None:
        """Send one message; wait while more than 64 KiB are unsent. Do not change a bytearray afterwards.

        Raises:
            ConnectionClosedError: the reader is gone.
            FrameTooLargeError: the length has no room for its size; nothing is sent.
            ClosedError: there is no write end, or it was closed.
        """
        if self._writer is None:
            raise ClosedError(what="the write end of the pipe")
        if isinstance(payload, memoryview):
            payload = payload.cast("B")
        await self._writer.write(encode_frame(payload, header_bytes=self._header_bytes), len(payload))

    async def write_json(self, value: object) -> None:
        """Send one message: `value` as JSON.

        Raises:
            EncodeError: it has no JSON form; nothing is sent.
            Exception: as `write_bytes`.
        """
        await self.write_bytes(encode_json(value))

    async def write_raw(self, data: Bytes) -> None:
        """Send bytes without a length: the reader must know what they are. Otherwise as `write_bytes`."""
        if self._writer is None:
            raise ClosedError(what="the write end of the pipe")
        await self._writer.write([data], len(data))

    async def flush(self) -> None:
        """Wait until the system has taken all that was written.

        Raises:
            ConnectionClosedError: the reader is gone.
        """
        if self._writer is not None:
            await self._writer.flush()

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        """Yield payloads until the writer closes.

        Raises:
            ConnectionClosedError: the writer ended inside a message.
        """
        while True:
            try:
                payload = await self.read_bytes()
            except ConnectionClosedError as error:
                if not error.is_clean:
                    raise
                return
            yield payload

    def close_read(self) -> None:
        """Close the read end; whoever writes hears of it."""
        if self._reader is not None:
            self._reader.close()

    def close_write(self) -> None:
        """Close the write end at once; the reader hears of it. What is unsent is lost: `flush()` before."""
        if self._writer is not None:
            self._writer.close()

    def close_nowait(self) -> None:
        """Close both ends at once."""
        self.close_write()
        self.close_read()

    async def close(self) -> None:
        """Give what was written to the system, for up to 5 s, and close both ends."""
        try:
            if self.write_fd is not None:
                with contextlib.suppress(ConnectionClosedError, TimeoutError):  # nobody is left to hear it
                    async with timeout(_FLUSH_SECONDS):
                        await self.flush()
        finally:
            self.close_nowait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def stats(self) -> TransportStats:
        """Return what has been carried so far."""
        reader, writer = self._reader, self._writer
        return TransportStats(
            received_count=reader.received_count if reader else 0,
            received_bytes=reader.received_bytes if reader else 0,
            sent_count=writer.sent_count if writer else 0,
            sent_bytes=writer.sent_bytes if writer else 0,
            unread_bytes=reader.inbox.unread_bytes if reader else 0,
            unsent_bytes=writer.unsent_bytes if writer else 0,
        )


def make_pipe() -> tuple[int, int]:
    """Return the two descriptors of a new pipe, read end first: non-blocking, as large as the system allows."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    if sys.platform == "linux":
        _widen(write_fd)
    return read_fd, write_fd


def _widen(fd: int) -> None:
    """Raise what a pipe holds to the most that the system grants; it stays as it is when nothing is granted."""
    import fcntl

    with contextlib.suppress(OSError, ValueError):  # not readable: no /proc
        wanted = int(Path("/proc/sys/fs/pipe-max-size").read_text())
        while wanted > fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ):
            with contextlib.suppress(OSError):  # the user's pipes hold too much together
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, wanted)
            wanted >>= 1


def _is_pipe_or_socket(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
