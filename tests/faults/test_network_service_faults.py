"""Clients that are slow, silent, rude or many harm nobody but themselves; services that die come again."""

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from mainspring.base import Backoff
from mainspring.runtime import Entrypoint, Service
from mainspring.services import TCPServer
from mainspring.testing import VirtualClock, eventually

Count = Callable[[int, int], int]

pytestmark = pytest.mark.timeout(600)

AT_ONCE = 200


class Echo(TCPServer):
    """Sends back each line, and counts its clients."""

    served = 0

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()


def program(*services: Service) -> Entrypoint:
    return Entrypoint(*services, log_config=False, catch_signals=())


async def echoed(server: TCPServer, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server.address, server.port)
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


async def open_and_drop(server: TCPServer, number: int) -> None:
    """Connect and leave: politely, with a reset, in the middle of a line, or without taking the answer."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (server.address, server.port))
        if number % 4 == 1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if number % 4 == 2:
            await loop.sock_sendall(sock, b"half a li")
        if number % 4 == 3:
            await loop.sock_sendall(sock, b"a line\n")


async def test_ten_thousand_connections_opened_and_dropped_leave_nothing(mainspring_count: Count) -> None:
    server = Echo(address="127.0.0.1", port=0, max_connections=100)
    count = mainspring_count(400, 10_000)
    async with program(server):
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*(open_and_drop(server, number) for number in range(start, start + AT_ONCE)))
        await eventually(lambda: server.connection_count == 0, within=60)
        assert count // 2 <= server.served <= count  # those that were reset in the queue never came in
        assert b"still here\n" == await echoed(server, b"still here\n")


async def test_silent_clients_keep_nobody_from_being_served(mainspring_count: Count) -> None:
    server = Echo(address="127.0.0.1", port=0)
    count = mainspring_count(100, 2000)
    async with program(server):
        silent = [await asyncio.open_connection(server.address, server.port) for _ in range(count)]
        assert b"x\n" == await echoed(server, b"x\n")
        await eventually(lambda: server.connection_count == count)
        for _, writer in silent:
            writer.close()
        await eventually(lambda: server.connection_count == 0, within=60)


async def test_a_slow_client_is_served_to_the_end_beside_a_deaf_one() -> None:
    server = Echo(address="127.0.0.1", port=0, close_timeout=0.1)
    async with program(server):
        _, deaf = await asyncio.open_connection(server.address, server.port, limit=1)
        deaf.write((b"m" * 999 + b"\n") * 10_000)  # it never reads an answer, so the server stops to read its questions
        reader, writer = await asyncio.open_connection(server.address, server.port)
        for byte in b"slow\n":
            writer.write(bytes([byte]))
            await writer.drain()
            assert b"fast\n" == await echoed(server, b"fast\n")
        assert b"slow\n" == await reader.readline()
        writer.close()
        deaf.transport.abort()
        await eventually(lambda: server.connection_count == 0)


def test_a_service_that_dies_a_hundred_times_serves_after_each_death() -> None:
    class Mortal(Echo):
        restart = "on-failure"
        backoff = Backoff(0.5, maximum=30.0)
        starts = 0

        async def start(self) -> None:
            self.starts += 1
            await super().start()
            self.death = asyncio.Event()
            self.start_event.set()
            try:
                await self.death.wait()
            finally:
                await self.stop()
            raise RuntimeError("died")

    async def main() -> None:
        server = Mortal(address="127.0.0.1", port=0)
        async with program(server) as running:
            for life in range(1, 101):
                await eventually(lambda: server.ready and server.healthy(), within=120)
                assert life == server.starts
                assert b"alive\n" == await echoed(server, b"alive\n")
                server.death.set()
                await eventually(lambda: not server.healthy())
            await eventually(lambda: server.ready, within=120)
            (health,) = running.health().services
            assert ("running", 100) == (health.state, health.restart_count)

    with VirtualClock() as clock:
        clock.run(main())
