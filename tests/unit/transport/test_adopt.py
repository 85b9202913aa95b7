"""Streams that somebody else opened become a connection, with all that they had received."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from mainspring.errors import ConnectionClosedError
from mainspring.testing import eventually
from mainspring.transport import adopt_streams

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def _streams() -> AsyncGenerator[tuple[Streams, Streams]]:
    arrived: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result((reader, writer))
        await done.wait()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    ours = await asyncio.open_connection(*server.sockets[0].getsockname())
    theirs = await arrived
    yield ours, theirs
    for _, writer in (ours, theirs):
        writer.transport.abort()
    done.set()
    server.close()
    await server.wait_closed()
    await eventually(lambda: all(one.get_extra_info("socket").fileno() == -1 for _, one in (ours, theirs)))


@pytest.mark.parametrize("count", [0, 1, 20_000])
async def test_what_the_reader_has_comes_first(count: int) -> None:
    async with _streams() as ((reader, writer), (_, other)):
        other.write(b"hello" + b"\3\0\0\0one" * count + b"\3\0")
        assert b"hello" == await reader.readexactly(5)
        if count:
            await asyncio.sleep(0)
        connection = await adopt_streams(reader, writer)
        other.write(b"\0\0two")
        assert [b"one"] * count + [b"two"] == [await connection.read_bytes() for _ in range(count + 1)]
        await connection.write_bytes(b"back")
        await connection.close()


@pytest.mark.parametrize("sent", [b"", b"\1\0\0\0a", b"\1\0"])
async def test_an_end_that_the_reader_saw_is_seen_again(sent: bytes) -> None:
    async with _streams() as ((reader, writer), (_, other)):
        other.write(b"x" + sent)
        other.write_eof()
        await reader.readexactly(1)
        eof_seen = asyncio.create_task(reader.read()) if not sent else None
        if eof_seen is not None:
            await eof_seen
        connection = await adopt_streams(reader, writer)
        if len(sent) > 2:
            assert b"a" == await connection.read_bytes()
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.read_bytes()
        assert caught.value.is_clean is (len(sent) != 2)
        await connection.close()


async def test_closed_streams_are_refused() -> None:
    async with _streams() as ((reader, writer), _):
        writer.close()
        with pytest.raises(ConnectionClosedError, match="closed before"):
            await adopt_streams(reader, writer)


async def test_it_reads_on_when_much_waited_to_be_read() -> None:
    async with _streams() as ((reader, writer), (_, other)):
        record = (1 << 17).to_bytes(4, "little") + bytes(1 << 17)
        sending = asyncio.create_task(_send(other, record * 40))
        await eventually(lambda: not cast(asyncio.Transport, writer.transport).is_reading())  # the reader is full
        connection = await adopt_streams(reader, writer)
        assert 40 == sum([len(await connection.read_bytes()) == 1 << 17 for _ in range(40)])
        await sending
        await connection.close()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
