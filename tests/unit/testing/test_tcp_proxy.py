"""The proxy is slow, lies, stalls, refuses and cuts, each only when told to."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.testing import TCPProxy, VirtualClock, eventually


@pytest.fixture
async def server() -> AsyncGenerator[tuple[str, int]]:
    """A server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
        finally:
            writer.close()

    listening = await asyncio.start_server(echo, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    yield host, port
    listening.close()


@pytest.mark.parametrize("buffered", [True, False])
async def test_bytes_pass_in_both_directions_until_each_end(buffered: bool, server: tuple[str, int]) -> None:
    async with TCPProxy(*server, buffered=buffered) as proxy:
        reader, writer = await proxy.create_client()
        whole = bytes(range(256)) * 4000
        writer.write(whole)
        writer.write_eof()
        assert whole == await reader.read()
        writer.close()
        await eventually(lambda: not proxy.clients)
    await proxy.close()


async def test_delays_are_per_direction_and_end_with_their_block(
    virtual_clock: VirtualClock, server: tuple[str, int]
) -> None:
    async with TCPProxy(*server) as proxy:
        reader, writer = await proxy.create_client()

        async def round_trip() -> float:
            began = virtual_clock.monotonic()
            writer.write(b"x")
            assert b"x" == await reader.read(10)
            return virtual_clock.monotonic() - began

        with proxy.slowdown(read_delay=60, write_delay=600):
            assert 660 == pytest.approx(await round_trip())
        assert 0 == pytest.approx(await round_trip())
        proxy.set_delay(5)
        assert 5 == pytest.approx(await round_trip())
        writer.close()


async def test_processors_change_what_passes(server: tuple[str, int]) -> None:
    async def backwards(piece: bytes) -> bytes:
        await asyncio.sleep(0)
        return piece[::-1]

    async with TCPProxy(*server) as proxy:
        proxy.set_content_processors(lambda piece: b"never", backwards)
        reader, writer = await proxy.create_client()
        writer.write(b"hello")
        assert b"reven" == await reader.read(10)
        writer.close()


async def test_what_is_stalled_comes_later_and_whole(server: tuple[str, int]) -> None:
    async with TCPProxy(*server) as proxy:
        reader, writer = await proxy.create_client()
        answer = asyncio.ensure_future(reader.readexactly(5))
        with proxy.stalled():
            writer.write(b"hello")
            for _ in range(20):
                await asyncio.sleep(0)
            assert not answer.done()
        assert b"hello" == await answer
        writer.close()


async def test_connections_are_cut_refused_and_made_again(server: tuple[str, int]) -> None:
    async with TCPProxy(*server) as proxy:
        reader, writer = await proxy.create_client()
        await eventually(lambda: 1 == len(proxy.clients))
        assert f"<TCPProxy to 127.0.0.1:{server[1]} clients=1>" == repr(proxy)
        await proxy.disconnect_all()
        assert await _is_cut(reader)
        writer.close()
        with proxy.refusing():
            reader, writer = await proxy.create_client()
            assert await _is_cut(reader)
            writer.close()
        reader, writer = await proxy.create_client()
        writer.write(b"again")
        assert b"again" == await reader.read(10)
        writer.close()


async def test_a_client_is_cut_when_the_target_is_not_there(unused_port: int) -> None:
    async with TCPProxy("127.0.0.1", unused_port) as proxy:
        reader, writer = await proxy.create_client()
        assert await _is_cut(reader)
        writer.close()


async def _is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return b"" == await reader.read(10)
    except ConnectionError:
        return True


async def test_misuse_is_told() -> None:
    proxy = TCPProxy("127.0.0.1", 1)
    with pytest.raises(MisuseError, match="before it is started"):
        str(proxy.proxy_port)
    with pytest.raises(InvalidArgumentError, match="write_delay=-1"):
        proxy.set_delay(0, -1)
    await proxy.close()
