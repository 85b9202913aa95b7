"""`PickleCxn`: a connection under its older names. What it sends is JSON."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from mainspring.base import decode_json, encode_json
from mainspring.compat.mutil._older_handshake import answer_peer, challenge_peer
from mainspring.errors import ConnectionClosedError, ConnectionClosedOK, MisuseError
from mainspring.resilience import timeout as time_limit
from mainspring.transport import Connection, adopt_streams, receive_file

_PIECE_BYTES: Final = 1 << 20

_Chunk = tuple[int, bytes | memoryview]


class PickleCxn:
    """Records over two streams, or over a connection. Its servers and clients make it.

    Args:
        reader: a connection, or what is read.
        writer: what is written; not with a connection.
        authKey: for `challengeSend` and `challengeReply`, which come first.
        writerfd: ignored, as the connection knows it.
        loads, dumps: from and to JSON as bytes; msgspec's when they are None.
        writeLock: held by all that write; one of its own when it is None.
        headerBytes: the width of a record's length.
        timeoutHeader: seconds that `readBytesStreaming` waits for a record; None for no limit.
        timeoutBody: seconds that it waits for each further chunk.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader | Connection,
        writer: asyncio.StreamWriter | None = None,
        authKey: str | bytes | None = None,  # noqa: N803
        writerfd: int | None = None,
        loads: Callable[[Any], Any] | None = None,
        dumps: Callable[[Any], bytes] | None = None,
        writeLock: asyncio.Lock | None = None,  # noqa: N803
        headerBytes: int = 4,  # noqa: N803
        timeoutHeader: float | None = None,  # noqa: N803
        timeoutBody: float | None = 5,  # noqa: N803
    ) -> None:
        self._connection = reader if isinstance(reader, Connection) else None
        self._streams = None if isinstance(reader, Connection) or writer is None else (reader, writer)
        if self._connection is None and self._streams is None:
            raise MisuseError(what="a PickleCxn", problem="needs a reader and a writer, or a connection")
        self._key = authKey.encode() if isinstance(authKey, str) else authKey
        self._lock = writeLock or asyncio.Lock()
        self._is_server: bool | None = None  # who is asked first is one
        self._loads = loads or decode_json
        self._dumps = dumps or encode_json
        self._begun: tuple[_Chunk, AsyncIterator[_Chunk]] | None = None  # a record whose size was asked for
        self.headerBytes = headerBytes
        self.timeoutHeader = timeoutHeader
        self.timeoutBody = timeoutBody

    @property
    def connection(self) -> Connection:
        """The connection; over streams there is one after the first read or write."""
        if self._connection is None:
            raise MisuseError(what="the connection", problem="is there after the first read or write")
        return self._connection

    # The older handshake, over streams

    async def challengeSend(self) -> None:
        """Let the other end show that it knows the key, by the older handshake.

        Raises:
            AuthenticationError: it does not.
        """
        streams = self._before_records()
        if self._is_server is None:
            self._is_server = False
        await challenge_peer(*streams, is_server=self._is_server)

    async def challengeReply(self) -> None:
        """Show the other end that this one knows the key, by the older handshake.

        Raises:
            AuthenticationError: it does not believe it.
        """
        streams = self._before_records()
        if self._is_server is None:
            self._is_server = True
        await answer_peer(*streams, is_server=self._is_server)

    def _before_records(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        if self._streams is None or self._connection is not None or not self._key:
            raise MisuseError(what="the older handshake", problem="comes first, over streams, with a key")
        return (*self._streams, self._key)

    # Writing

    async def writeObj(self, obj: Any) -> None:
        """Send an object as JSON."""
        await self.writeBytes(self._dumps(obj))

    async def writeBytes(self, b: bytes | bytearray | memoryview) -> None:
        """See `write_bytes`; a buffer may be used again."""
        async with self._lock:
            await (await self._live()).write_bytes(_kept(b))

    def preparePickleWithHeader(self, obj: Any) -> bytes:
        """Return an object as one record, for `writeEncodedBytes` of any connection with the same `headerBytes`."""
        payload = self._dumps(obj)
        return len(payload).to_bytes(self.headerBytes, "little") + payload

    async def writeEncodedBytes(self, frame: bytes | bytearray | memoryview) -> None:
        """Send what is a record already, or a part of one."""
        async with self._lock:
            await self._write_part(_kept(frame))

    async def tryWriteBytes(self, b: bytes | bytearray | memoryview) -> None:
        """Send bytes if that needs no wait."""
        connection = await self._live()
        if not self._lock.locked():
            connection.try_write_bytes(_kept(b))

    def isWriteLocked(self) -> bool:
        """Tell whether a write would wait."""
        return self._lock.locked() or (self._connection is not None and self._connection.is_full)

    async def writeFromFile(self, path: str | Path, prefix: bytes = b"") -> int:
        """See `send_file`."""
        async with self._lock:
            return await (await self._live()).send_file(path, prefix)

    async def writeFromSendfile(self, fd: int, totalSize: int = 0) -> int:  # noqa: N803
        """Send what a file holds, or its first bytes, without a length: that was written by `writeEncodedBytes`."""
        return await self.writeFromSendfileRange(fd, 0, totalSize or os.fstat(fd).st_size)

    async def writeFromSendfileRange(self, fd: int, start: int, end: int) -> int:
        """Send bytes of a file from `start` to before `end`, without a length; the other writers wait meanwhile.

        Raises:
            OSError: the file has fewer; the connection is of no use any more, and is closed.
        """
        async with self._lock:
            position = start
            while position < end:
                piece = await asyncio.to_thread(os.pread, fd, min(_PIECE_BYTES, end - position), position)
                if not piece:
                    (await self._live()).abort()
                    raise OSError(f"the file ends at {position}, before {end}")
                await self._write_part(piece)
                position += len(piece)
        return position - start

    async def _write_part(self, frame: bytes) -> None:
        connection = await self._live()
        await connection.flush()
        connection.link.outbox.write([frame])

    # Reading

    async def readObj(self) -> Any:
        """Return the object that the next record is as JSON."""
        return self._loads(await self._whole())

    async def readBytes(self) -> bytes | memoryview | None:
        """Return the next record; None when the other end has closed."""
        try:
            return await self._whole()
        except ConnectionClosedError as error:
            if error.is_clean:
                return None
            raise

    async def getHeaderSize(self) -> int:
        """Return the size of the next record, which is still to be read."""
        if self._begun is None:
            record = (await self._live()).read_bytes_streaming()
            self._begun = await anext(record), record
        return self._begun[0][0]

    async def readBytesStreaming(self) -> AsyncIterator[_Chunk]:
        """Yield `(total_size, chunk)` of one record.

        Raises:
            ConnectionClosedOK: the other end has closed before it.
            TimeoutError: a record, or its next chunk, did not come in time.
        """
        async with aclosing(self._record()) as record:
            timeout = self.timeoutHeader
            while True:
                try:
                    async with time_limit(timeout):
                        chunk = await anext(record)
                except StopAsyncIteration:
                    return
                except ConnectionClosedError as error:
                    if error.is_clean:
                        raise ConnectionClosedOK(what=error.what, reason=error.reason, is_clean=True) from error
                    raise
                yield chunk
                timeout = self.timeoutBody

    async def readIntoFile(self, path: str | Path) -> int:
        """See `receive_file`."""
        return await receive_file(self._record(), path)

    async def readIntoFileSendfile(self, path: str | Path) -> int:
        """See `receive_file`."""
        return await self.readIntoFile(path)

    async def _whole(self) -> bytes | memoryview:
        if self._begun is None:
            return await (await self._live()).read_bytes()
        return b"".join([chunk async for _, chunk in self._record()])

    async def _record(self) -> AsyncGenerator[_Chunk, None]:
        begun, self._begun = self._begun, None
        if begun is not None:
            yield begun[0]
        async for chunk in (await self._live()).read_bytes_streaming() if begun is None else begun[1]:
            yield chunk

    async def _live(self) -> Connection:
        if self._connection is None and self._streams is not None:
            self._connection = await adopt_streams(*self._streams, header_bytes=self.headerBytes)
        return self.connection


def _kept(buffer: bytes | bytearray | memoryview) -> bytes:
    """Return what stays as it is until it is sent: the older library's callers fill their buffers anew."""
    return buffer if isinstance(buffer, bytes) else bytes(buffer)
