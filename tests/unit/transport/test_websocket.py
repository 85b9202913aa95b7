"""WebSocket: other libraries are understood, Origins are checked, what breaks the protocol is cut."""

import asyncio
import base64
import gc
import json
import os
import socket
import sys
import weakref
from typing import cast

import pytest
from tests.unit.transport.support_links import KEY, echo

from mainspring.errors import (
    ConnectionClosedError,
    FrameTooLargeError,
    HandshakeError,
    MissingExtraError,
)
from mainspring.testing import eventually
from mainspring.transport import Broadcast, Connection, Server, TextPayload, connect, prepare, serve
from mainspring.transport import websocket as adapter

pytestmark = pytest.mark.extras

LOCAL = "ws://127.0.0.1:0"
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: " + base64.b64encode(bytes(16)).decode() + "\r\n{more}\r\n"
)


async def _upgraded(server: Server, more: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    port = int(server.address.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPGRADE.format(path="/", more=more).encode())
    return reader, writer, await reader.readuntil(b"\r\n\r\n")


def _masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    mask = os.urandom(4)
    head = bytes([(0x80 if fin else 0) | opcode])
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return head + length + mask + bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))


async def test_a_client_of_another_library_gets_texts_and_bytes() -> None:
    import aiohttp

    async def handler(connection: Connection) -> None:
        await connection.write_json({"a": 1})
        await connection.write_bytes(b"raw" * 100_000)
        await echo(connection)

    async with serve(LOCAL, handler, auth_key=None) as server, aiohttp.ClientSession() as session:
        async with session.ws_connect(server.address.replace("ws", "http"), max_msg_size=0) as client:
            assert {"a": 1} == await client.receive_json()
            assert b"raw" * 100_000 == await client.receive_bytes()
            for size in (0, 125, 126, 65_535, 65_536, 300_000):
                await client.send_str("x" * size)
                assert b"x" * size == await client.receive_bytes()
        await eventually(lambda: server.connection_count == 0)


async def test_a_server_of_another_library_is_understood() -> None:
    from aiohttp import WSMsgType, web

    async def handle(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            if message.type is WSMsgType.TEXT:
                await response.send_str(message.data + "!")
            else:
                await response.send_bytes(message.data)
        return response

    app = web.Application()
    app.router.add_get("/feed", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        async with connect(f"ws://{host}:{port}/feed", auth_key=None) as connection:
            await connection.write_text("hello")
            assert b"hello!" == await connection.read_bytes()
            await connection.write_bytes(b"raw")
            assert b"raw" == await connection.read_bytes()
        with pytest.raises(HandshakeError, match="did not take the upgrade"):
            await connect(f"ws://{host}:{port}/nothing", auth_key=None)
    finally:
        await runner.cleanup()


async def test_clients_of_websockets_are_served_and_say_goodbye() -> None:
    from websockets.asyncio.client import connect as dial
    from websockets.exceptions import ConnectionClosedOK

    async def handler(connection: Connection) -> None:
        async for message in connection:
            if isinstance(message, TextPayload):
                await connection.write_text(message.decode())
            else:
                await connection.write_bytes(message)

    async with serve(LOCAL, handler, auth_key=None) as server:
        async with dial(server.address) as client:  # it offers to compress, which is not taken up
            for size in (0, 125, 126, 65_535, 65_536, 300_000):
                await client.send("x" * size)
                assert "x" * size == await client.recv()
                await client.send(b"y" * size)
                assert b"y" * size == await client.recv()
            await client.send([b"in ", b"three ", b"pieces"])
            assert b"in three pieces" == await client.recv()
            await (await client.ping())
        await eventually(lambda: server.connection_count == 0)
        client = await dial(server.address)
        await server.close()
        with pytest.raises(ConnectionClosedOK):
            await client.recv()


async def test_servers_of_websockets_are_understood() -> None:
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as listen

    async def handle(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)
            if message == "bye":
                await peer.close(1000, "as asked")

    async with listen(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", auth_key=None) as connection:
            for size in (0, 125, 126, 65_536, 300_000):
                await connection.write_text("x" * size)
                assert TextPayload(b"x" * size) == await connection.read_bytes()
                await connection.write_bytes(b"y" * size)
                assert b"y" * size == await connection.read_bytes()
            await connection.write_text("bye")
            assert b"bye" == await connection.read_bytes()
            with pytest.raises(ConnectionClosedError) as caught:
                await connection.read_bytes()
            assert caught.value.is_clean


async def test_broadcasts_reach_clients_of_other_libraries() -> None:
    import aiohttp
    from websockets.asyncio.client import connect as dial

    broadcast = Broadcast()

    async def handler(connection: Connection) -> None:
        broadcast.add(connection)
        await connection.wait_closed()

    async with (
        serve(LOCAL, handler, auth_key=None) as server,
        broadcast,
        aiohttp.ClientSession() as session,
        dial(server.address) as one,
        session.ws_connect(server.address.replace("ws", "http")) as two,
    ):
        await eventually(lambda: len(broadcast) == 2)
        for number in range(5):  # a turn's messages are one write: five frames each
            broadcast.send(prepare({"number": number}))
        assert list(range(5)) == [json.loads(await one.recv())["number"] for _ in range(5)]
        assert list(range(5)) == [(await two.receive_json())["number"] for _ in range(5)]


async def test_pages_of_other_sites_are_refused() -> None:
    """A browser would connect to a server on this machine for any page; it says for which."""
    async with serve(LOCAL, echo, auth_key=None, origins=("https://good.example",)) as server:
        for origin, status in (("https://evil.example", b"403"), ("null", b"403"), ("https://good.example", b"101")):
            _, writer, head = await _upgraded(server, f"Origin: {origin}\r\n")
            assert status == head.split()[1]
            writer.close()
        await eventually(lambda: server.connection_count == 0)
    async with serve(LOCAL, echo, auth_key=None) as server:
        _, writer, head = await _upgraded(server, "Origin: http://127.0.0.1\r\n")
        assert b"403" == head.split()[1]
        writer.close()


async def test_another_path_is_not_found() -> None:
    async with serve("ws://127.0.0.1:0/feed", echo, auth_key=KEY) as server:
        assert server.address.endswith("/feed")
        async with connect(server.address, auth_key=KEY) as connection:
            await connection.write_bytes(b"a")
            assert b"a" == await connection.read_bytes()
        with pytest.raises(HandshakeError):
            await connect(server.address.replace("/feed", "/other"), auth_key=KEY)


async def test_a_message_in_fragments_comes_whole_with_signs_between() -> None:
    async with serve(LOCAL, echo, auth_key=None) as server:
        reader, writer, _ = await _upgraded(server)
        writer.write(
            _masked(2, b"one ", fin=False) + _masked(9, b"?") + _masked(0, b"two ", fin=False) + _masked(0, b"!")
        )
        assert b"\x8a\x01?\x82\x09one two !" == await reader.readexactly(14)
        writer.close()


@pytest.mark.parametrize(
    "wrong",
    [
        _masked(0, b"no beginning"),
        _masked(2, b"a", fin=False) + _masked(2, b"b"),
        b"\x82\x01a",  # not masked
        b"\xf2\x80" + bytes(4),  # reserved bits
        _masked(9, b"x", fin=False),  # a sign in fragments
        _masked(3, b"x"),  # an unknown kind
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(4),
    ],
)
async def test_what_breaks_the_protocol_is_cut(wrong: bytes) -> None:
    async with serve(LOCAL, echo, auth_key=None) as server:
        reader, writer, _ = await _upgraded(server)
        writer.write(wrong)
        said = await reader.read()
        assert b"" == said or 0x88 == said[0]
        writer.close()
        await eventually(lambda: server.connection_count == 0)


@pytest.mark.parametrize("pieces", [1, 10])
async def test_messages_that_are_too_long_are_cut(pieces: int) -> None:
    async with serve(LOCAL, echo, auth_key=None, max_bytes=1000) as server:
        reader, writer, _ = await _upgraded(server)
        if pieces == 1:
            writer.write(_masked(2, bytes(2000)))
        else:
            for number in range(pieces):
                writer.write(_masked(0 if number else 2, bytes(200), fin=number == pieces - 1))
        said = await reader.read()
        assert 0x88 == said[0]
        assert 1009 == int.from_bytes(said[2:4], "big")
        writer.close()


async def test_a_client_that_cuts_a_message_leaves_nothing_for_asyncio_to_complain_of() -> None:
    """picows keeps the reason in a future, whose destruction says in the log that nobody asked for it."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context["message"])))

    async def handler(connection: Connection) -> None:
        await connection.write_bytes(bytes(2000))
        await connection.wait_closed()

    async with serve(LOCAL, handler, auth_key=None) as server:
        connection = await connect(server.address, auth_key=None, max_bytes=1000)
        with pytest.raises(FrameTooLargeError):
            await connection.read_bytes()
        await connection.close()
        await eventually(lambda: server.connection_count == 0)
    held_by_picows = weakref.ref(cast("asyncio.Transport", connection.link.transport))  # until its own is destroyed
    del connection
    await eventually(lambda: gc.collect() >= 0 and held_by_picows() is None)
    assert [] == complaints


async def test_an_end_without_a_goodbye_is_no_clean_end() -> None:
    arrived: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    async def handler(connection: Connection) -> None:
        arrived.set_result(connection)
        with pytest.raises(ConnectionClosedError, match="without a close") as caught:
            await connection.read_bytes()
        assert not caught.value.is_clean

    async with serve(LOCAL, handler, auth_key=None) as server:
        _, writer, _ = await _upgraded(server)
        await arrived
        writer.transport.abort()
        await eventually(lambda: server.connection_count == 0)


async def test_who_gives_up_an_upgrade_leaves_no_open_stream() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        assert b"" == await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    task = asyncio.ensure_future(connect(f"ws://127.0.0.1:{port}", auth_key=None, handshake_timeout=60).dial())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(gone.is_set)
    server.close()
    await server.wait_closed()


async def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(LOCAL, echo, auth_key=KEY) as server:
        port = int(server.address.split(":")[2].split("/")[0])
        nobody = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port))
        places = [nobody, (*nobody[:4], ("127.0.0.1", port))]

        async def resolve(*_: object, **__: object) -> list[object]:
            return list(places)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        async with connect(server.address, auth_key=KEY) as connection:
            await connection.write_bytes(b"x")
            assert b"x" == await connection.read_bytes()
        del places[1]
        with pytest.raises(ConnectionRefusedError):
            await connect(server.address, auth_key=KEY)


async def test_a_message_for_another_key_is_refused_here_too() -> None:
    async with serve(LOCAL, echo, auth_key=KEY) as server:
        with pytest.raises(HandshakeError, match="does not accept the key"):
            await connect(server.address, auth_key=KEY[::-1])
        reader, writer, _ = await _upgraded(server)
        writer.write(_masked(2, bytes(200)))
        said = await reader.read()
        assert said.startswith(b"\x82\x25mspr\1")
        writer.close()
        await eventually(lambda: server.connection_count == 0)


async def test_without_picows_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picows", None)
    adapter._picows.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match="picows") as caught:
            await serve(LOCAL, echo, auth_key=KEY).start()
        assert 'pip install "mainspring[ws]"' == caught.value.hint
    finally:
        monkeypatch.undo()
        adapter._picows.cache_clear()
