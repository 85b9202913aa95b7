"""A client connects with pauses between its tries; a robust one goes on for ever and does not spin."""

import asyncio
import pickle
import socket

import pytest
from tests.unit.services.support_programs import program

from mainspring.base import Backoff
from mainspring.errors import MisuseError
from mainspring.services import RobustTCPClient, TCPClient, TCPServer
from mainspring.testing import FailNth, VirtualClock, eventually
from mainspring.transport import bind_socket


class Echo(TCPServer):
    """Sends back each line."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)


class HangsUp(TCPServer):
    """Ends each connection at once."""

    count: int = 0

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1


class Patient(HangsUp):
    """Ends each connection after nine seconds."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        await asyncio.sleep(9)


class Asking(TCPClient):
    """Keeps the answer to one line."""

    answer = b""
    error: Exception | None = None
    connect_retry_timeout = 0.01

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        self.answer = await reader.readline()
        if self.error:
            raise self.error


class Listening(RobustTCPClient):
    """Reads until the server hangs up."""

    connections = 0
    reconnect_timeout = 0.02

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.read()


async def test_a_client_is_ready_when_it_is_connected() -> None:
    server = Echo(address="127.0.0.1", port=0)
    async with program(server):
        client = Asking("127.0.0.1", server.port)
        async with program(client):
            assert client.ready
            await eventually(lambda: client.answer == b"hello\n")
            await eventually(lambda: server.connection_count == 0)


@pytest.mark.parametrize(
    ("error", "said"), [(ConnectionResetError(), "lost its connection: Conn"), (KeyError(3), "failed in its conv")]
)
async def test_a_failed_conversation_is_logged(error: Exception, said: str, caplog: pytest.LogCaptureFixture) -> None:
    server = Echo(address="127.0.0.1", port=0)
    async with program(server), program(Asking("127.0.0.1", server.port, error=error)):
        await eventually(lambda: said in caplog.text)


async def test_tries_are_counted_and_the_last_error_is_raised(
    unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    client = Asking("127.0.0.1", unused_port, connect_attempts=3)
    with pytest.raises(ConnectionRefusedError):
        async with program(client):
            raise NotImplementedError
    assert 2 == caplog.text.count(
        f"<Asking 127.0.0.1:{client.port} waiting> could not connect, it tries again in 0.01 s"
    )


async def test_names_that_are_unknown_and_servers_that_are_silent_are_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", FailNth(socket.gaierror(-3, "again"), 1).wrap(loop.getaddrinfo))
    monkeypatch.setattr(loop, "create_connection", FailNth(TimeoutError, 2).wrap(loop.create_connection))
    server = Echo(address="127.0.0.1", port=0)
    async with program(server):
        client = Asking("localhost", server.port, connect_backoff=Backoff.constant(0.01))
        async with program(client):
            await eventually(lambda: client.answer == b"hello\n")


async def test_a_try_does_not_take_longer_than_its_time() -> None:
    with bind_socket(address="127.0.0.1") as full:
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        client = Asking("127.0.0.1", port, connect_timeout=0.05, connect_attempts=1)
        with pytest.raises(TimeoutError):
            async with program(client):
                raise NotImplementedError
        for one in waiting:
            one.close()


async def test_a_robust_client_waits_for_its_server_and_comes_again(
    unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    client = Listening("127.0.0.1", unused_port)
    async with asyncio.TaskGroup() as group:
        begun = program(client)
        entering = group.create_task(begun.__aenter__())
        await eventually(lambda: "cannot connect, it tries on" in caplog.text)
        assert not client.healthy()
        for _ in range(2):
            before = client.connections
            async with program(Echo(address="127.0.0.1", port=unused_port)):
                await eventually(lambda: client.healthy() and client.connections > before)  # noqa: B023  # called here
            await eventually(lambda: not client.connected.is_set())
    await entering
    assert client.ready
    await begun.__aexit__(None, None, None)


def test_a_server_that_hangs_up_at_once_is_not_asked_without_a_pause() -> None:
    async def main() -> float:
        server = HangsUp(address="127.0.0.1", port=0)
        async with program(server):
            client = Listening("127.0.0.1", server.port, reconnect_backoff=Backoff(1.0, maximum=8.0))
            began = asyncio.get_running_loop().time()
            async with program(client):
                await eventually(lambda: server.count >= 6, within=100)
            return asyncio.get_running_loop().time() - began

    with VirtualClock() as clock:
        assert 1 + 2 + 4 + 8 + 8 <= clock.run(main())


def test_pauses_begin_anew_after_a_connection_that_went_well() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        server = Patient(address="127.0.0.1", port=0)
        async with program(server):
            client = Listening("127.0.0.1", server.port, reconnect_backoff=Backoff(1.0, maximum=8.0))
            began = loop.time()
            async with program(client):
                await eventually(lambda: server.count >= 6, within=100)
            return loop.time() - began

    with VirtualClock() as clock:
        assert 5 * (9 + 1) <= clock.run(main()) <= 5 * (9 + 1) + 1


async def test_a_backoff_that_ends_ends_the_client(caplog: pytest.LogCaptureFixture) -> None:
    server = HangsUp(address="127.0.0.1", port=0)
    async with program(server):
        client = Listening("127.0.0.1", server.port, reconnect_backoff=Backoff.constant(0.0, max_tries=2))
        async with program(client):
            await eventually(lambda: "the server ended every connection" in caplog.text)
    with pytest.raises(ConnectionRefusedError):
        async with program(Listening("127.0.0.1", server.port, reconnect_backoff=Backoff.constant(0.0, max_tries=2))):
            raise NotImplementedError


def test_where_to_must_be_said() -> None:
    for arguments in ({"address": "127.0.0.1"}, {"port": 1}):
        with pytest.raises(MisuseError, match="needs address= and port="):
            Asking(**arguments)  # pyright: ignore[reportArgumentType]


def test_clients_travel_as_their_arguments() -> None:
    copy = pickle.loads(pickle.dumps(Listening("127.0.0.1", 1, limit=3)))
    assert ("127.0.0.1", 1, 3, False) == (copy.address, copy.port, copy.limit, copy.connected.is_set())
