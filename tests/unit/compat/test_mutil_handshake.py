"""The older handshake: spoken with peers that know no other, when asked, and never by itself."""

import asyncio
import hashlib
import hmac
from pathlib import Path
from typing import Any  # Any: the older library said nothing of types

import pytest

from mainspring.compat.mutil import _older_handshake, aioserver
from mainspring.errors import (
    AuthenticationError,
    HandshakeError,
    InsecureTransportError,
    InvalidArgumentError,
    MisuseError,
)
from mainspring.testing import eventually

KEY = b"a secret of sixteen or more"
OTHER = b"another secret, of that length"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.blake2b).digest()


class OlderPeer:
    """A peer of the older library, byte by byte, written from the description of its wire format."""

    def __init__(self, streams: Streams, key: bytes = KEY) -> None:
        self.reader, self.writer = streams
        self.key = key

    async def challenge(self) -> bool:
        nonce = bytes(range(128))
        self.writer.write(b"#CHALLENGE#" + nonce)
        is_right = await self.reader.readexactly(64) == _digest(self.key, nonce)
        self.writer.write(b"#WELCOME#" if is_right else b"#FAILURE#")
        return is_right

    async def answer(self) -> bytes:
        message = await self.reader.readexactly(139)
        assert message.startswith(b"#CHALLENGE#")
        self.writer.write(_digest(self.key, message[11:]))
        return await self.reader.readexactly(9)

    async def write(self, payload: bytes, width: int = 4) -> None:
        self.writer.write(len(payload).to_bytes(width, "little") + payload)
        await self.writer.drain()

    async def read(self, width: int = 4) -> bytes:
        return await self.reader.readexactly(int.from_bytes(await self.reader.readexactly(width), "little"))


async def _echo(cxn: aioserver.PickleCxn) -> None:
    while (got := await cxn.readBytes()) is not None:
        await cxn.writeBytes(bytes(got))


async def _gone(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    await eventually(lambda: writer.get_extra_info("socket").fileno() == -1)


def _port(server: Any) -> int:
    return int(str(server.address).rsplit(":", 1)[1])


@pytest.mark.parametrize("width", [1, 4])
async def test_a_client_of_the_older_library_is_served(width: int) -> None:
    server = aioserver.ServerTCP(_echo, authKey=KEY, headerBytes=width, olderHandshake=True)
    await server.listen()
    peer = OlderPeer(await asyncio.open_connection("127.0.0.1", _port(server)))
    assert await peer.challenge()
    assert b"#WELCOME#" == await peer.answer()
    for size in (0, 3, 253, 254, 255):  # all that the length can say: none of them is a sign of life
        await peer.write(bytes(size), width)
        assert bytes(size) == await peer.read(width)
    await server.shutdown()
    assert b"" == await peer.reader.read()
    await _gone(peer.writer)


async def test_a_server_of_the_older_library_is_understood() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = OlderPeer((reader, writer))
        assert b"#WELCOME#" == await peer.answer()
        assert await peer.challenge()
        await peer.write(b'{"first":1}')  # in one piece with the welcome
        await peer.write(await peer.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = aioserver.ClientTCP(authKey=KEY, port=server.sockets[0].getsockname()[1], olderHandshake=True)
    await client.connect()
    assert client.cxn is not None
    assert {"first": 1} == await client.cxn.readObj()
    await client.writeObj([1])
    assert [1] == await client.cxn.readObj()
    assert await client.cxn.readBytes() is None
    await client.close()
    server.close()


async def test_both_ends_here_may_speak_it_too(tmp_path: Path) -> None:
    server = aioserver.ServerUnix(_echo, authKey=KEY.decode(), path=tmp_path / "s", olderHandshake=True)
    await server.listen()
    assert f"unix://{tmp_path}/s" == server.address
    client = aioserver.ClientUnix(authKey=KEY.decode(), path=tmp_path / "s", olderHandshake=True)
    await client.connect()
    await client.writeObj({"a": 1})
    async for size, chunk in client.readBytesStreaming():
        assert (7, b'{"a":1}') == (size, bytes(chunk))
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(3_000_000))
    sending = asyncio.create_task(client.writeFromFile(source))
    assert 3_000_000 == await client.readIntoFile(target)
    await sending
    await client.close()
    await server.shutdown()


async def test_the_socket_of_a_server_that_runs_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = aioserver.ServerUnix(_echo, authKey=KEY, path=path, olderHandshake=True)
    await server.listen()
    late = aioserver.ServerUnix(_echo, authKey=KEY, path=path, olderHandshake=True)
    with pytest.raises(MisuseError, match="belongs to a program that runs"):
        await late.listen()
    await late.shutdown()
    client = aioserver.ClientUnix(authKey=KEY, path=path, olderHandshake=True)
    await client.connect()
    await client.writeObj("still here")
    assert client.cxn is not None
    assert "still here" == await client.cxn.readObj()
    await client.close()
    await server.shutdown()
    assert not path.exists()
    await late.listen()
    await late.shutdown()


async def test_it_is_not_spoken_unasked() -> None:
    server = aioserver.ServerTCP(_echo, authKey=KEY)
    await server.listen()
    peer = OlderPeer(await asyncio.open_connection("127.0.0.1", _port(server)))
    assert not (await peer.reader.readexactly(4 + 37)).startswith(b"#CHALLENGE#")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await peer.challenge()
    await _gone(peer.writer)
    client = aioserver.ClientTCP(authKey=KEY, port=_port(server), olderHandshake=True)
    with pytest.raises(HandshakeError):
        await client.connect()
    await server.shutdown()


async def test_a_wrong_key_is_refused_on_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    server = aioserver.ServerTCP(_echo, authKey=KEY, olderHandshake=True)
    await server.listen()
    with pytest.raises(AuthenticationError, match="does not know the key"):
        await aioserver.ClientTCP(authKey=OTHER, port=_port(server), olderHandshake=True).connect()
    await eventually(lambda: "does not accept the key" in caplog.text)
    peer = OlderPeer(await asyncio.open_connection("127.0.0.1", _port(server)), OTHER)
    assert not await peer.challenge()
    await _gone(peer.writer)
    peer = OlderPeer(await asyncio.open_connection("127.0.0.1", _port(server)), OTHER)
    peer.writer.write(b"#CHALLENGE#" + bytes(128))
    await peer.reader.readexactly(64)
    peer.writer.write(b"#WELCOME#")  # whatever it was
    assert b"#FAILURE#" == await peer.answer()
    assert b"" == await peer.reader.read()
    await _gone(peer.writer)
    await server.shutdown()


async def test_a_peer_without_the_key_cannot_reflect_one_connection_at_another() -> None:
    served: list[object] = []
    server = aioserver.ServerTCP(served.append, authKey=KEY, olderHandshake=True)
    await server.listen()
    first, second = [await asyncio.open_connection("127.0.0.1", _port(server)) for _ in range(2)]
    first[1].write(b"#CHALLENGE#" + bytes(128))
    await first[0].readexactly(64)
    first[1].write(b"#WELCOME#")
    challenge = await first[0].readexactly(139)
    second[1].write(challenge)  # let the server answer itself
    assert b"" == await second[0].read()
    assert [] == served
    for _, writer in (first, second):
        await _gone(writer)
    await server.shutdown()


@pytest.mark.parametrize("sent", [b"", b"#CHALL", b"#CHALLENGE#" + bytes(127), b"x" * 139, b"#CHALLENGX#" + bytes(128)])
async def test_cut_and_garbled_exchanges_end_their_connection_alone(sent: bytes) -> None:
    server = aioserver.ServerTCP(_echo, authKey=KEY, olderHandshake=True)
    await server.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(server))
    writer.write(sent)
    writer.write_eof()
    assert b"" == await reader.read()
    await _gone(writer)
    client = aioserver.ClientTCP(authKey=KEY, port=_port(server), olderHandshake=True)
    await client.connect()
    await client.close()
    await server.shutdown()


async def test_who_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_older_handshake, "_SECONDS", 0.05)
    server = aioserver.ServerTCP(_echo, authKey=KEY, olderHandshake=True)
    await server.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(server))
    assert b"" == await reader.read()
    await _gone(writer)
    await server.shutdown()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    client = aioserver.ClientTCP(authKey=KEY, port=silent.sockets[0].getsockname()[1], olderHandshake=True)
    with pytest.raises(HandshakeError, match="longer than"):
        await client.connect()
    silent.close()


async def test_more_connections_than_allowed_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_older_handshake, "_MOST_CONNECTIONS", 1)
    server = aioserver.ServerTCP(_echo, authKey=KEY, olderHandshake=True)
    assert server.address is None
    await server.listen()
    client = aioserver.ClientTCP(authKey=KEY, port=_port(server), olderHandshake=True)
    await client.connect()
    with pytest.raises(HandshakeError):
        await aioserver.ClientTCP(authKey=KEY, port=_port(server), olderHandshake=True).connect()
    await server.shutdown()
    await client.close()


async def test_what_is_unsafe_is_refused_here_too() -> None:
    with pytest.raises(MisuseError, match="needs an authKey"):
        await aioserver.ServerTCP(_echo, olderHandshake=True).listen()
    with pytest.raises(InvalidArgumentError, match="auth_key"):
        await aioserver.ServerTCP(_echo, authKey="short", olderHandshake=True).listen()
    with pytest.raises(InsecureTransportError):
        await aioserver.ServerTCP(_echo, authKey=KEY, host="0.0.0.0", olderHandshake=True).listen()
    with pytest.raises(InsecureTransportError):
        await aioserver.ClientTCP(authKey=KEY, host="192.0.2.1", port=1, olderHandshake=True).connect()


async def test_a_closing_server_ends_handlers_and_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    started, hanging, ended, failures = asyncio.Event(), asyncio.Event(), asyncio.Event(), list[object]()

    async def hang(cxn: aioserver.PickleCxn) -> None:
        started.set()
        try:
            await hanging.wait()
        finally:
            ended.set()

    server = aioserver.ServerTCP(hang, authKey=KEY, olderHandshake=True)
    await server.listen()
    client = aioserver.ClientTCP(authKey=KEY, port=_port(server), olderHandshake=True)
    await client.connect()
    await started.wait()
    monkeypatch.setattr(_older_handshake, "_SECONDS", 0.1)
    # Before 3.12 the streams of asyncio trip over a task that was cancelled, and say so.
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context.get("exception")))
    await server.shutdown()
    assert ended.is_set()
    assert all(isinstance(one, asyncio.CancelledError) for one in failures)
    await client.close()


async def test_a_closing_server_leaves_the_exchange() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    server = aioserver.ServerTCP(_echo, authKey=KEY, olderHandshake=True)
    await server.listen()
    client = aioserver.ClientTCP(authKey=KEY, port=_port(server), olderHandshake=True)
    await client.connect()
    peer = OlderPeer(await asyncio.open_connection("127.0.0.1", _port(server)))
    assert await peer.challenge()
    await peer.reader.readexactly(139)
    await server.shutdown()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await peer.reader.readexactly(1)
    await _gone(peer.writer)
    assert set() == _older_handshake._asked
    assert client.cxn is not None
    assert await client.cxn.readBytes() is None
    await client.close()
    assert [] == failures
