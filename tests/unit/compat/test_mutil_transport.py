"""aiopipe, aioserver and wproxy under their older names."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any  # Any: the older library said nothing of types

import pytest
from tests.unit.transport.support_feed import Client, Feed
from tests.unit.transport.support_links import echo

from mainspring.compat.mutil import aioserver, wproxy
from mainspring.compat.mutil.aiopipe import AsyncPIPE
from mainspring.errors import (
    ClosedError,
    ConnectionClosedError,
    InsecureTransportError,
    InvalidArgumentError,
    MisuseError,
)
from mainspring.testing import eventually
from mainspring.transport import connect, serve

KEY = "a secret of sixteen or more"


async def test_a_pipe_under_its_older_names() -> None:
    pipe = AsyncPIPE(headerBytes=2)
    pipe.setup()
    await pipe.writePickle({"a": (1,)})
    await pipe.writeJSONString(b"[2]")
    await pipe.writeWithHeader(b"raw")
    assert {"a": [1]} == await pipe.readPickle()
    assert [2] == await pipe.readPickle()
    payload = await pipe.readActual()
    assert isinstance(payload, memoryview)
    assert b"raw" == bytes(payload)
    await pipe.writeWithHeader(b"more")
    assert b"more" == bytes(await pipe.readWithHeader())
    assert pipe.write_fd is not None
    os.write(pipe.write_fd, b"\x05\0cut")
    pipe._pipe.close_write()
    with pytest.raises(EOFError):
        await pipe.readActual()
    pipe.close()


async def test_raw_bytes_go_through_a_pipe_too() -> None:
    read_fd, write_fd = AsyncPIPE.create_pipe()
    reader, writer = AsyncPIPE(readFromFd=read_fd), AsyncPIPE(write_fd=write_fd)
    writer.setup(log=False)
    reader.setup()
    reading = reader.read(100)
    assert await writer.write(b"\x03\0\0\0abc")
    assert b"\x03\0\0\0abc" == await reading
    await writer.writeWithHeader(b"x")
    assert b"x" == bytes(await reader.readActual())
    writer.close()
    reader.close()
    with pytest.raises(EOFError):
        await reader.read(1)
    with pytest.raises(ClosedError):
        await writer.write(b"x")


def test_a_forgotten_pipe_closes_itself() -> None:
    pipe = AsyncPIPE()
    fd = pipe.read_fd
    assert fd is not None
    del pipe
    with pytest.raises(OSError):
        os.fstat(fd)


async def _answer(cxn: aioserver.PickleCxn) -> None:
    while True:
        got = await cxn.readBytes()
        if got is None:
            return
        frame = cxn.preparePickleWithHeader({"size": len(got)})
        await cxn.writeEncodedBytes(frame)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_servers_and_clients_under_their_older_names(kind: str, tmp_path: Path) -> None:
    if kind == "tcp":
        server: Any = aioserver.ServerTCP(_answer, authKey=KEY)
        await server.listen()
        client: Any = aioserver.ClientTCP(authKey=KEY, port=int(server.address.rsplit(":", 1)[1]))
    else:
        server = aioserver.ServerUnix(_answer, authKey=KEY, path=tmp_path / "s")
        await server.listen()
        client = aioserver.ClientUnix(authKey=KEY, path=tmp_path / "s")
    assert client.closed()
    with pytest.raises(ConnectionError, match="comes first"):
        await client.writeObj(1)
    await client.connect()
    assert not client.closed()
    assert KEY not in repr(client) + repr(server)
    await client.writeObj([1, 2])
    await client.writeBytes(b"abc")
    await client.tryWriteBytes(b"d")
    assert [5, 3, 1] == [(await client.cxn.readObj())["size"] for _ in range(3)]
    assert not client.cxn.isWriteLocked()
    source = tmp_path / "source"
    source.write_bytes(bytes(2_000_000))
    await client.writeFromFile(source, prefix=b"x")
    async for size, chunk in client.readBytesStreaming():
        assert (16, b'{"size":2000001}') == (size, chunk)
    await client.writeBytes(b"")
    assert 10 == await client.readIntoFile(tmp_path / "into")
    assert b'{"size":0}' == (tmp_path / "into").read_bytes()
    await server.shutdown()
    with pytest.raises(aioserver.ConnectionClosedOK):
        async for _ in client.readBytesStreaming():
            pass
    await client.close()


async def test_a_plain_callback_keeps_its_connection() -> None:
    got: list[aioserver.PickleCxn] = []
    server = aioserver.ServerTCP(got.append, authKey=KEY)
    assert server.address is None
    await server.shutdown()
    await server.listen()
    client = aioserver.ClientTCP(authKey=KEY, port=int(str(server.address).rsplit(":", 1)[1]))
    await client.connect()
    await eventually(lambda: got)
    await client.writeObj("hello")
    assert "hello" == await got[0].readObj()
    await client.close()
    assert await got[0].readBytes() is None
    await server.shutdown()


async def test_a_broken_record_is_no_ok_end(tmp_path: Path) -> None:
    outcomes: list[BaseException] = []

    async def read(cxn: aioserver.PickleCxn) -> None:
        try:
            await cxn.readBytes()
        except ConnectionClosedError as error:
            outcomes.append(error)

    async def stream(cxn: aioserver.PickleCxn) -> None:
        try:
            await cxn.readIntoFileSendfile(tmp_path / "x")
        except ConnectionClosedError as error:
            outcomes.append(error)

    for callback in (read, stream):
        server = aioserver.ServerTCP(callback, authKey=KEY)
        await server.listen()
        connection = await connect(str(server.address), auth_key=KEY)
        connection.link.outbox.write([b"\x09\0\0\0half"])
        await connection.close()
        await eventually(lambda: outcomes)
        assert isinstance(outcomes.pop(), ConnectionClosedError)
        await server.shutdown()


async def test_what_the_original_let_pass_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="auth_key"):
        await aioserver.ServerTCP(_answer, authKey="short").listen()
    with pytest.raises(InsecureTransportError):
        await aioserver.ServerTCP(_answer, authKey=KEY, host="0.0.0.0").listen()


class _State:
    def __init__(self) -> None:
        self.state: dict[str, Any] = defaultdict(list)


@pytest.mark.extras
async def test_a_websocket_server_keeps_its_clients() -> None:
    state, got = _State(), list[Any]()

    async def forward(state: Any, message: Any, websocket: Any) -> None:
        got.append((message, len(state.state["clients"])))
        await websocket.send(message)

    listener = aioserver.ServerWebSocket()
    server = await listener.server(state, forward)()

    async def worker(p: Any, websocket: Any) -> bool:
        await websocket.send("text")
        assert "text" == await websocket.recv()
        await websocket.send(b"bytes")
        async for message in websocket:
            assert b"bytes" == message
            break
        assert not websocket.closed
        return True

    await aioserver.ClientWebSocket(str(listener.address)).connect(state, worker)()
    assert [("text", 1), (b"bytes", 1)] == got
    await eventually(lambda: state.state["clients"] == {})
    await server.close()


@pytest.mark.parametrize("older", [False, True])
async def test_hosts_of_ipv6_are_written_as_they_are(older: bool) -> None:
    server = aioserver.ServerTCP(_answer, authKey=KEY, host="::1", olderHandshake=older)
    await server.listen()
    place, _, port = str(server.address).rpartition(":")
    assert "tcp://[::1]" == place
    client = aioserver.ClientTCP(authKey=KEY, host="::1", port=int(port), olderHandshake=older)
    await client.connect()
    await client.writeBytes(b"abc")
    assert client.cxn is not None
    assert {"size": 3} == await client.cxn.readObj()
    await client.close()
    await server.shutdown()


@pytest.mark.extras
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]"])
async def test_the_default_answer_of_a_websocket_server(host: str) -> None:
    state, answers = _State(), list[Any]()
    listener = aioserver.ServerWebSocket(host)
    server = await listener.server(state)()
    calls = 0

    async def worker(p: Any, websocket: Any) -> bool:
        nonlocal calls
        calls += 1
        await websocket.send("x" * 100)
        answers.append(await websocket.recv())
        if calls == 1:
            await websocket.close()
            assert websocket.closed
            await websocket.close()
        return calls == 2

    await aioserver.ClientWebSocket(str(listener.address)).connect(state, worker)()
    assert ["Default reply: " + "x" * 64] * 2 == answers
    await server.close()


def _ignore(state: object, message: object) -> None:
    pass


@pytest.mark.extras
async def test_a_websocket_client_waits_for_its_server(unused_port: int) -> None:
    async def worker(p: Any, websocket: Any) -> bool:
        return True

    waiting = asyncio.create_task(aioserver.ClientWebSocket(f"ws://127.0.0.1:{unused_port}").connect(None, worker)())
    await asyncio.sleep(0)
    plain = aioserver.ServerWebSocket(port=unused_port)
    server = await plain.server(_State(), _ignore)()
    await waiting
    await server.close()


@pytest.mark.extras
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_proxy_under_its_older_names(host: str) -> None:
    class Upstream(wproxy.Server):
        async def updateSubscribe(self, currentKeys: Any, newKeys: Any, removedKeys: Any) -> None:  # noqa: N802
            assert self.ws is not None
            await self.ws.send(f'["{"".join(sorted(currentKeys))}"]')

    greeted: list[wproxy.Server] = []

    async def greet(server: wproxy.Server) -> None:
        greeted.append(server)

    async with Feed() as feed:
        proxy = wproxy.WProxy(
            listen=(host, 0), server=Upstream(feed.address), onConnect=greet, routerKeys=wproxy.tplatKeys
        )
        assert proxy.address is None
        with pytest.raises(MisuseError):
            await proxy.proxy()
        await proxy.setup()
        pumping = asyncio.create_task(proxy.proxy())
        client = await Client.dial(str(proxy.address))
        await client.say({"subscribe": ["A"]})
        await eventually(lambda: feed.told == [["A"]])
        await feed.send([{"sym": "A", "p": 1}, {"sym": "B"}])
        assert {"sym": "A", "p": 1} == await client.read()
        assert [proxy.server] == greeted
        await client.close()
        pumping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pumping


def test_a_client_says_what_it_wants() -> None:
    some, everything = wproxy.Client(object(), {"A", "C"}), wproxy.Client(object(), all=True)
    routes = wproxy.tplatKeys([{"sym": "A"}, {"sym": "B"}])
    assert ([0], [0, 1]) == (some.wants(routes), everything.wants(routes))
    assert 2 == len({some, everything})


@pytest.mark.extras
async def test_an_upstream_is_greeted_and_closed_by_its_owner() -> None:
    answers: list[str | bytes] = []

    async def log_in(server: wproxy.Server) -> None:
        assert server.ws is not None
        await server.ws.send("hello")
        answers.append(await server.recv())

    with pytest.raises(MisuseError, match="not connected yet"):
        await wproxy.Server("ws://127.0.0.1:1").close()
    async with serve("ws://127.0.0.1:0", echo, auth_key=None) as upstream:
        proxy = wproxy.WProxy(("127.0.0.1", 0), wproxy.Server(upstream.address), onConnect=log_in)
        await proxy.setup()
        await eventually(lambda: answers == [b"hello"])
        await proxy.server.close()  # and connect again
        await eventually(lambda: answers == [b"hello", b"hello"])
        pumping = asyncio.create_task(proxy.proxy())
        await asyncio.sleep(0)
        pumping.cancel()
        await asyncio.wait({pumping})


@pytest.mark.extras
async def test_the_base_of_upstreams_is_told_and_says_nothing() -> None:
    async with Feed() as feed:
        proxy = wproxy.WProxy(("127.0.0.1", 0), wproxy.Server(feed.address))
        await proxy.setup()
        client = await Client.dial(str(proxy.address))
        await client.say({"subscribe": ["A"], "subscribe:all": True})
        await eventually(lambda: feed.connections)
        await feed.send("x")
        assert "x" == await client.read()
        assert [] == feed.told
        await client.close()
        pumping = asyncio.create_task(proxy.proxy())
        await asyncio.sleep(0)
        pumping.cancel()
        await asyncio.wait({pumping})


@pytest.mark.extras
def test_the_proxy_is_a_program() -> None:
    command = [sys.executable, "-m", "mainspring.compat.mutil.wproxy", "127.0.0.1", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        said = program.stdout.readline().decode()
        program.send_signal(signal.SIGTERM)
        assert 0 == program.wait(30)
    assert "rebroadcasts ws://127.0.0.1:4442" in said
