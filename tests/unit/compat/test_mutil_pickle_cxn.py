"""PickleCxn over two streams, with all that its signature offers."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any  # Any: the older library said nothing of types

import pytest

from mainspring.compat.mutil.aioserver import ConnectionClosedOK, PickleCxn
from mainspring.errors import AuthenticationError, ConnectionClosedError, MisuseError
from mainspring.testing import eventually

KEY = "a secret of sixteen or more"


@asynccontextmanager
async def _pair(**options: Any) -> AsyncGenerator[tuple[PickleCxn, PickleCxn]]:
    """Give both ends over asyncio's streams."""
    arrived: asyncio.Future[PickleCxn] = asyncio.get_running_loop().create_future()
    done, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result(PickleCxn(reader, writer, KEY, **options))
        await done.wait()
        writer.transport.abort()
        await eventually(lambda: writer.get_extra_info("socket").fileno() == -1)
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield PickleCxn(reader, writer, KEY, **options), await arrived
    finally:
        done.set()
        writer.transport.abort()
        server.close()
        await server.wait_closed()
        await eventually(lambda: writer.get_extra_info("socket").fileno() == -1)
        await ended.wait()


async def test_streams_become_a_connection_after_the_exchange() -> None:
    async with _pair() as (client, server):
        with pytest.raises(MisuseError, match="first read or write"):
            _ = client.connection
        assert not client.isWriteLocked()

        async def meet() -> None:
            await server.challengeReply()
            await server.challengeSend()

        meeting = asyncio.create_task(meet())
        await client.challengeSend()
        await client.challengeReply()
        await meeting
        await client.writeObj({"a": [1, None]})
        assert {"a": [1, None]} == await server.readObj()
        await server.tryWriteBytes(b"back")
        assert b"back" == await client.readBytes()
        assert not client.connection.is_closed
        with pytest.raises(MisuseError, match="comes first"):
            await client.challengeSend()
        await client.connection.close()
        assert await server.readBytes() is None
        with pytest.raises(ConnectionClosedOK):
            async for _ in server.readBytesStreaming():
                pass


async def test_another_key_is_not_taken() -> None:
    async with _pair() as (client, server):
        client._key = b"another secret, of that length"
        answering = asyncio.create_task(server.challengeReply())
        with pytest.raises(AuthenticationError):
            await client.challengeSend()
        with pytest.raises(AuthenticationError):
            await answering


async def test_it_needs_both_streams() -> None:
    with pytest.raises(MisuseError, match="a reader and a writer"):
        PickleCxn(asyncio.StreamReader())


async def test_the_codec_may_be_chosen() -> None:
    def dumps(value: Any) -> bytes:
        return json.dumps(value, default=str).encode()

    async with _pair(loads=json.loads, dumps=dumps, headerBytes=2) as (client, server):
        await client.writeObj(Path("/a"))
        assert "/a" == await server.readObj()
        frame = client.preparePickleWithHeader({1: 2})
        assert b'\x08\x00{"1": 2}' == frame
        for _ in range(2):
            await client.writeEncodedBytes(frame)
            assert {"1": 2} == await server.readObj()


async def test_a_buffer_may_be_used_again() -> None:
    async with _pair() as (client, server):
        buffer = bytearray(8)
        buffer[:] = b"first..."
        await client.writeBytes(buffer)
        buffer[:] = b"second.."
        await client.tryWriteBytes(memoryview(buffer))
        buffer[:] = b"\x04\0\0\0none"
        await client.writeEncodedBytes(buffer)
        buffer[:] = b"at last!"
        read = [await server.readBytes() for _ in range(3)]
        assert [b"first...", b"second..", b"none"] == [bytes(one or b"") for one in read]


async def _write_all(cxn: PickleCxn, payloads: tuple[bytes, ...]) -> None:
    for payload in payloads:
        await cxn.writeBytes(payload)


async def test_the_size_of_a_record_can_be_asked_for_before_it_is_read(tmp_path: Path) -> None:
    large = os.urandom(3_000_000)
    async with _pair() as (client, server):
        writing = asyncio.create_task(_write_all(client, (b"small", b"", large, large, large)))
        assert [5, 5] == [await server.getHeaderSize() for _ in range(2)]
        assert b"small" == await server.readBytes()
        assert 0 == await server.getHeaderSize()
        assert b"" == await server.readBytes()
        assert 3_000_000 == await server.getHeaderSize()
        assert large == await server.readBytes()
        assert 3_000_000 == await server.getHeaderSize()
        assert 3_000_000 == await server.readIntoFile(tmp_path / "file")
        assert large == (tmp_path / "file").read_bytes()
        assert 3_000_000 == await server.getHeaderSize()
        chunks = [(size, len(chunk)) async for size, chunk in server.readBytesStreaming()]
        assert [(3_000_000, 1 << 20), (3_000_000, 1 << 20), (3_000_000, 3_000_000 - (2 << 20))] == chunks
        await writing


async def test_parts_of_a_file_go_without_a_length(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 10_000)
    async with _pair() as (client, server):
        with path.open("rb") as file:
            await client.writeEncodedBytes((2_560_000).to_bytes(4, "little"))
            sending = asyncio.create_task(client.writeFromSendfile(file.fileno()))
            assert path.read_bytes() == await server.readBytes()
            assert 2_560_000 == await sending
            await client.writeEncodedBytes((7).to_bytes(4, "little"))
            assert 3 == await client.writeFromSendfile(file.fileno(), 3)
            assert 4 == await client.writeFromSendfileRange(file.fileno(), 10, 14)
            assert bytes([0, 1, 2, 10, 11, 12, 13]) == await server.readBytes()
            with pytest.raises(OSError, match="before 2560001"):
                await client.writeFromSendfileRange(file.fileno(), 2_559_999, 2_560_001)
            with pytest.raises(ConnectionClosedError):
                await server.readObj()


async def _take(cxn: PickleCxn, sizes: list[int]) -> None:
    async for _, chunk in cxn.readBytesStreaming():
        sizes.append(len(chunk))


@pytest.mark.usefixtures("virtual_clock")
async def test_a_record_that_does_not_come_is_a_timeout() -> None:
    async with _pair(timeoutHeader=0.01) as (client, server):
        with pytest.raises(TimeoutError):
            async for _ in server.readBytesStreaming():
                pass
        server.timeoutHeader, server.timeoutBody = None, 0.01
        await client.writeEncodedBytes((5 << 20).to_bytes(4, "little") + bytes(1 << 20))
        got: list[int] = []
        with pytest.raises(TimeoutError):
            await _take(server, got)
        assert [1 << 20] == got


async def test_an_end_inside_a_record_is_no_ok_end() -> None:
    async with _pair() as (client, server):
        await client.writeEncodedBytes((5 << 20).to_bytes(4, "little") + bytes(1 << 20))
        await client.connection.close()
        with pytest.raises(ConnectionClosedError) as caught:
            async for _ in server.readBytesStreaming():
                pass
        assert not isinstance(caught.value, ConnectionClosedOK)


async def test_other_writers_wait_while_parts_of_a_file_go(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(bytes(3 << 20))
    lock = asyncio.Lock()
    async with _pair(writeLock=lock) as (client, server):
        with path.open("rb") as file:
            await client.writeEncodedBytes((3 << 20).to_bytes(4, "little"))
            sending = asyncio.create_task(client.writeFromSendfile(file.fileno()))
            await asyncio.sleep(0)
            assert client.isWriteLocked()
            await client.tryWriteBytes(b"left out")
            others = asyncio.gather(client.writeBytes(b"record"), client.writeFromFile(path))
            assert path.read_bytes() == await server.readBytes()
            assert 3 << 20 == await sending
        assert b"record" == await server.readBytes()
        assert path.read_bytes() == await server.readBytes()
        await others
        assert not client.isWriteLocked()
        async with lock:
            assert client.isWriteLocked()
