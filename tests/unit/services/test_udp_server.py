"""A UDP server calls its handler for each datagram and bounds what runs at a time."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.services import UDPServer
from mainspring.testing import eventually
from mainspring.transport import bind_socket


class Plain(UDPServer):
    """Sends back what came, at once."""

    def handle_datagram(self, data: bytes, addr: Any) -> None:
        if data == b"bad":
            raise ValueError(data)
        self.sendto(data, addr)


class Async(UDPServer):
    """Sends back what came, from a task."""

    gate: asyncio.Event | None = None

    async def handle_datagram(self, data: bytes, addr: Any) -> None:
        if data == b"bad":
            raise ValueError(data)
        if self.gate is not None:
            await self.gate.wait()
        self.sendto(data, addr)


async def ask(sock: socket.socket, server: UDPServer, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    sock.sendto(data, (server.address, server.port))
    return await loop.sock_recv(sock, 100)


def client_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


@pytest.mark.parametrize("kind", [Plain, Async])
async def test_each_datagram_is_handled_and_failures_are_logged(
    kind: type[UDPServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = kind(address="localhost", port=0)
    with client_socket() as sock:
        async with program(server):
            assert server.healthy()
            sock.sendto(b"bad", (server.address, server.port))
            assert b"good" == await ask(sock, server, b"good")
            assert f"<{kind.__name__} 127.0.0.1:{server.port} tasks=" in repr(server)
    assert not server.healthy()
    assert "failed to handle a datagram" in caplog.text
    assert "ValueError: b'bad'" in caplog.text


async def test_datagrams_beyond_the_bound_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    gate = asyncio.Event()
    server = Async(address="127.0.0.1", port=0, max_tasks=2, gate=gate)
    loop = asyncio.get_running_loop()
    with client_socket() as sock:
        async with program(server):
            for _ in range(5):
                sock.sendto(b"x", (server.address, server.port))
            await eventually(lambda: server.dropped_count == 3)
            gate.set()
            assert [b"x", b"x"] == [await loop.sock_recv(sock, 9) for _ in range(2)]
            assert b"y" == await ask(sock, server, b"y")
    assert 1 == caplog.text.count("drops datagrams: max_tasks handlers run")


async def test_answers_that_the_system_does_not_take_are_dropped_and_counted() -> None:
    server = Plain(address="127.0.0.1", port=0)
    with client_socket() as sock:
        async with program(server):
            assert server._transport is not None
            receiver: Any = server._transport.get_protocol()  # Any: a transport does not know its protocol's type
            receiver.pause_writing()
            server.sendto(b"lost", sock.getsockname())
            assert 1 == server.dropped_count
            receiver.error_received(OSError("nobody there"))
            receiver.resume_writing()
            assert b"x" == await ask(sock, server, b"x")


async def test_handlers_are_cancelled_at_the_stop() -> None:
    server = Async(address="127.0.0.1", port=0, gate=asyncio.Event())
    with client_socket() as sock:
        async with program(server):
            sock.sendto(b"x", (server.address, server.port))
            await eventually(lambda: "tasks=1" in repr(server))
        assert "tasks=0" in repr(server)


async def test_a_unix_datagram_socket_may_be_given(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    server = Plain(sock=bind_socket(socket.AF_UNIX, socket.SOCK_DGRAM, address=path, proto_name="unix"))
    with bind_socket(socket.AF_UNIX, socket.SOCK_DGRAM, address=str(tmp_path / "client"), proto_name="unix") as sock:
        async with program(server):
            assert path == server.address
            sock.sendto(b"x", path)
            assert b"x" == await asyncio.get_running_loop().sock_recv(sock, 9)


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(MisuseError, match="needs address= and port="):
        Plain(port=0)
    with pytest.raises(InvalidArgumentError, match="max_tasks"):
        Plain("127.0.0.1", 0, max_tasks=0)
    with pytest.raises(MisuseError, match="sends nothing before it is started"):
        Plain("127.0.0.1", 0).sendto(b"x", ("127.0.0.1", 1))
