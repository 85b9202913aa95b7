"""A TCP server serves each client in a task, bounds their number, and closes what it opened."""

import asyncio
import logging
import pickle
import socket
import ssl
from typing import ClassVar

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import BindError, InvalidArgumentError, MisuseError
from mainspring.services import TCPServer
from mainspring.testing import eventually
from mainspring.transport import bind_socket


class Echo(TCPServer):
    """Sends back each line."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()


class Speechless(TCPServer):
    """Writes more than a client takes that does not read."""

    has_written = False

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(1 << 24))
        self.has_written = True


class Failing(TCPServer):
    """Fails as it was told to."""

    error: Exception = RuntimeError("no idea")

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise self.error


async def say(server: TCPServer, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server.address, server.port)
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", ""])
async def test_clients_are_answered_at_the_real_port(address: str) -> None:
    server = Echo(address=address, port=0)
    assert 0 == server.port
    async with program(server):
        assert server.port
        listening = server.socket
        assert listening is not None
        assert (server.address, server.port) == listening.getsockname()[:2]
        assert [b"1\n", b"2\n"] == list(await asyncio.gather(say(server, b"1\n"), say(server, b"2\n")))
        assert server.healthy()
    assert server.socket is None
    assert not server.healthy()
    with pytest.raises(ConnectionRefusedError):
        await say(server, b"")


async def test_a_given_socket_is_used_and_closed() -> None:
    sock = bind_socket(address="127.0.0.1")
    port = sock.getsockname()[1]
    server = Echo(sock=sock)
    async with program(server):
        assert port == server.port
        assert b"x\n" == await say(server, b"x\n")
    assert -1 == sock.fileno()


async def test_a_unix_socket_may_be_given(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "socket")
    server = Echo(sock=bind_socket(socket.AF_UNIX, address=path, proto_name="unix"))
    async with program(server):
        assert (path, None) == (server.address, server.port)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x\n")
        assert b"x\n" == await reader.readline()
        writer.close()


async def test_the_connection_ends_with_the_handler(caplog: pytest.LogCaptureFixture) -> None:
    server = Failing(address="127.0.0.1", port=0)
    async with program(server):
        assert b"" == await say(server, b"")
        await eventually(lambda: server.connection_count == 0)
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert f"<Failing 127.0.0.1:{server.port} connections=" in record.getMessage()
    assert record.exc_info
    assert "no idea" == str(record.exc_info[1])


@pytest.mark.parametrize("error", [ConnectionResetError(), asyncio.IncompleteReadError(b"", 3), ssl.SSLEOFError()])
async def test_a_client_that_leaves_is_no_failure(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    server = Failing(address="127.0.0.1", port=0, error=error)
    with caplog.at_level(logging.INFO, logger="mainspring.services"):
        async with program(server):
            await say(server, b"")
    assert f"lost a client: {str(error) or type(error).__name__}" in caplog.text
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_newcomers_wait_while_the_server_is_full() -> None:
    server = Echo(address="127.0.0.1", port=0, max_connections=2)
    async with program(server):
        first = [await asyncio.open_connection(server.address, server.port) for _ in range(2)]
        await eventually(lambda: server.connection_count == 2)
        third = asyncio.create_task(say(server, b"third\n"))
        for reader, writer in first:
            writer.write(b"x\n")
            assert b"x\n" == await reader.readline()
        assert 2 == server.connection_count
        assert not third.done()
        first[0][1].close()
        assert b"third\n" == await third
        first[1][1].close()
        await eventually(lambda: server.connection_count == 0)


async def test_a_client_that_does_not_read_is_dropped() -> None:
    server = Speechless(address="127.0.0.1", port=0, close_timeout=0.05)
    async with program(server):
        _, writer = await asyncio.open_connection(server.address, server.port)
        await eventually(lambda: server.has_written and server.connection_count == 0)
        writer.close()


async def test_a_client_that_reads_late_gets_all_that_was_written() -> None:
    server = Speechless(address="127.0.0.1", port=0)
    async with program(server):
        reader, writer = await asyncio.open_connection(server.address, server.port)
        await eventually(lambda: server.connection_count == 1)
        (task,) = server.tasks
        assert 1 << 24 == len(await reader.read())
        writer.close()
        await task


async def test_silent_clients_do_not_delay_the_stop() -> None:
    server = Echo(address="127.0.0.1", port=0)
    async with program(server) as running:
        clients = [await asyncio.open_connection(server.address, server.port) for _ in range(5)]
        await eventually(lambda: server.connection_count == 5)
        await running.stop_services(server)
        assert 0 == server.connection_count
        assert [b""] * 5 == [await reader.read() for reader, _ in clients]
        for _, writer in clients:
            writer.close()


class Flaky(socket.socket):
    """Accepts at its third try."""

    errors: ClassVar[list[OSError]] = []

    def accept(self) -> tuple[socket.socket, object]:
        if self.errors:
            raise self.errors.pop()
        return super().accept()


async def test_a_system_without_descriptors_is_asked_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.services._tcp_server._PAUSE", 0.01)
    monkeypatch.setattr(Flaky, "errors", [OSError(24, "Too many open files"), ConnectionAbortedError()])
    sock = Flaky(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    server = Echo(sock=sock)
    async with program(server):
        assert b"x\n" == await say(server, b"x\n")
    assert "accepts nobody for 0.0 s: [Errno 24] Too many open files" in caplog.text


async def test_a_stop_while_nothing_is_accepted_is_a_stop(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flaky, "errors", [OSError(24, "Too many open files")])
    sock = Flaky(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    server = Echo(sock=sock)
    async with program(server):
        _, writer = await asyncio.open_connection(server.address, server.port)
        await eventually(lambda: "accepts nobody" in caplog.text)
        writer.close()


async def test_connections_accepted_at_the_moment_of_the_stop_are_closed() -> None:
    server = Echo(address="127.0.0.1", port=0)
    async with program(server):
        listening = server.socket
        assert listening is not None
        with socket.create_connection((str(server.address), int(server.port or 0))) as client:
            while server.connection_count == 0:
                server._accept(listening)
            await server.stop()
            client.settimeout(5)
            assert b"" == client.recv(1)


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    server = Echo(address="127.0.0.1", port=0)
    async with program(server):
        with pytest.raises(BindError, match="Address already in use"):
            async with program(Echo(address="127.0.0.1", port=server.port)):
                raise NotImplementedError
        assert b"x\n" == await say(server, b"x\n")


async def test_a_socket_that_may_not_listen_is_closed() -> None:
    with bind_socket(address="127.0.0.1") as faster:
        port = faster.getsockname()[1]
        sock = bind_socket(address="127.0.0.1", port=port)
        faster.listen()
        with pytest.raises(BindError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            async with program(Echo(sock=sock)):
                raise NotImplementedError
        assert -1 == sock.fileno()


async def test_many_clients_at_once_are_accepted() -> None:
    server = Echo(address="127.0.0.1", port=0)
    async with program(server):
        lines = [b"%d\n" % number for number in range(200)]
        assert lines == await asyncio.gather(*(say(server, line) for line in lines))


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(MisuseError, match="needs address= and port=, or sock="):
        Echo(address="127.0.0.1")
    with pytest.raises(InvalidArgumentError, match="sock="):
        Echo(sock="no socket")
    with pytest.raises(InvalidArgumentError, match="max_connections=0"):
        Echo("127.0.0.1", 0, max_connections=0)


def test_a_server_travels_as_its_arguments() -> None:
    copy = pickle.loads(pickle.dumps(Echo("127.0.0.1", 0, max_connections=3)))
    assert ("127.0.0.1", 0, 3, 0) == (copy.address, copy.port, copy.max_connections, copy.connection_count)
