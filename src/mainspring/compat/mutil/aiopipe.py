"""`mutil.aiopipe`: the older spellings of `mainspring.transport.AsyncPipe`.

The end inside of a message is an EOFError here; the original went round for ever.
"""

import asyncio
import os
import sys
from typing import Any

from mainspring.base import decode_json, encode_json
from mainspring.compat.mutil._reports import report
from mainspring.transport import AsyncPipe, make_pipe

__all__ = ("AsyncPIPE",)


class AsyncPIPE:
    """A pipe that carries messages. `setup()` belongs into the process that uses it."""

    def __init__(
        self,
        readFromFd: int | None = None,  # noqa: N803
        headerBytes: int = 4,  # noqa: N803
        read_fd: int | None = None,
        write_fd: int | None = None,
    ) -> None:
        self.readFromFd = readFromFd
        self.headerBytes = headerBytes
        read_fd = readFromFd if read_fd is None else read_fd
        self._pipe = AsyncPipe(headerBytes, read_fd, write_to_fd=write_fd)

    def __del__(self) -> None:
        if hasattr(self, "_pipe"):
            self._pipe.close_nowait()

    @property
    def read_fd(self) -> int | None:
        """The descriptor of the read end."""
        return self._pipe.read_fd

    @property
    def write_fd(self) -> int | None:
        """The descriptor of the write end."""
        return self._pipe.write_fd

    @staticmethod
    def create_pipe() -> tuple[int, int]:
        """Return a new pipe's descriptors, read end first."""
        return make_pipe()

    def setup(self, log: bool = True) -> None:
        """Say how much the pipe holds; it was made as large as the system allows."""
        if log and sys.platform == "linux" and self.write_fd is not None:
            import fcntl

            report("INFO", f"pipe holds {fcntl.fcntl(self.write_fd, fcntl.F_GETPIPE_SZ)} bytes")

    def write(self, data: bytes) -> "asyncio.Future[bool]":
        """Queue bytes without a length; the future is True when the system has them."""
        return asyncio.ensure_future(self._write_raw(data))

    def read(self, size: int) -> "asyncio.Future[bytes]":
        """Return up to `size` bytes as they come; not to be mixed with reading messages."""
        return asyncio.ensure_future(self._read_raw(size))

    async def writeWithHeader(self, data: bytes) -> None:
        """See `write_bytes`."""
        await self._pipe.write_bytes(data)

    async def writePickle(self, obj: Any) -> None:
        """See `write_json`; it never was a pickle."""
        await self._pipe.write_bytes(encode_json(obj))

    async def writeJSONString(self, data: bytes) -> None:
        """Send what is JSON already."""
        await self._pipe.write_bytes(data)

    async def readWithHeader(self) -> memoryview:
        """Return the next payload."""
        return memoryview(await self._pipe.read_bytes())

    async def readActual(self) -> memoryview:
        """Return the next payload."""
        return await self.readWithHeader()

    async def readPickle(self) -> Any:
        """See `read_json`."""
        return decode_json(await self._pipe.read_bytes())

    def close(self) -> None:
        """Close both ends."""
        self._pipe.close_nowait()

    async def _write_raw(self, data: bytes) -> bool:
        await self._pipe.write_raw(data)
        await self._pipe.flush()
        return True

    async def _read_raw(self, size: int) -> bytes:
        fd = self.read_fd
        if fd is None:
            raise EOFError("the pipe is closed")
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(fd, _settle, ready)
        try:
            await ready
        finally:
            loop.remove_reader(fd)
        return os.read(fd, size)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
