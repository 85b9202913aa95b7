"""What goes wrong under connections: killed peers, no descriptors left, one stalled client among many."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
from tests.unit.transport.support_links import KEY, echo

from mainspring.concurrency import start_child
from mainspring.errors import ConnectionClosedError
from mainspring.testing import eventually, limit_descriptors
from mainspring.transport import Broadcast, Connection, connect, prepare, serve

LOCAL = "tcp://127.0.0.1:0"


def _die_inside_a_record(address: str) -> None:
    async def main() -> None:
        connection = await connect(address, auth_key=KEY)
        await connection.write_bytes(b"whole")
        connection.link.outbox.flush()
        connection.link.outbox.write([b"\x10\0\0\0half"])
        connection.link.outbox.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())


async def test_a_peer_killed_inside_a_record_is_an_unclean_end() -> None:
    seen: list[object] = []

    async def handler(connection: Connection) -> None:
        try:
            while True:
                seen.append(bytes(await connection.read_bytes()))
        except ConnectionClosedError as error:
            seen.append(error.is_clean)

    async with serve(LOCAL, handler, auth_key=KEY) as server:
        child = await start_child(_die_inside_a_record, (server.address,))
        await child.wait()
        await eventually(lambda: seen == [b"whole", False])
        await eventually(lambda: server.connection_count == 0)


async def _open_until_it_fails(address: str, opened: list[Connection]) -> None:
    while True:
        opened.append(await connect(address, auth_key=KEY, handshake_timeout=0.5))


async def test_a_server_without_descriptors_serves_again_when_there_are_some() -> None:
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(str(context["message"])))
    async with serve(LOCAL, echo, auth_key=KEY, handshake_timeout=1.0) as server:
        opened: list[Connection] = []
        with limit_descriptors(9), pytest.raises(OSError):
            await _open_until_it_fails(server.address, opened)
        for connection in opened:
            await connection.close()
        await eventually(lambda: server.connection_count == 0)

        async def is_served() -> bool:
            try:
                async with connect(server.address, auth_key=KEY, handshake_timeout=0.5) as connection:
                    await connection.write_bytes(b"a")
                    return await connection.read_bytes() == b"a"
            except OSError:
                return False

        assert await eventually(is_served, within=20)
    # asyncio says that it cannot accept, and tries again after a second, also when the server is closed by then.
    known = ("out of system resource", "_start_serving")
    assert [] == [failure for failure in failures if not any(one in failure for one in known)]


@pytest.mark.parametrize("address", [LOCAL, pytest.param("ws://127.0.0.1:0", marks=pytest.mark.extras)])
async def test_one_stalled_client_delays_nobody(address: str, mainspring_count: Callable[[int, int], int]) -> None:
    broadcast = Broadcast(max_waiting=100)
    arrived = 0

    async def handler(connection: Connection) -> None:
        nonlocal arrived
        broadcast.add(connection)
        arrived += 1
        await connection.wait_closed()

    async with serve(address, handler, auth_key=KEY, heartbeat=None) as server, broadcast:
        clients = [await connect(server.address, auth_key=KEY, heartbeat=None) for _ in range(20)]
        await eventually(lambda: arrived == 20)
        stalled, *reading = clients
        number, enough = -1, mainspring_count(20, 5_000)
        while broadcast.stats().dropped_count < enough:
            number += 1
            broadcast.send(prepare([number, "x" * 20_000]))
            for client in reading:
                assert number == (await client.read_json())[0]
        stats = broadcast.stats()
        assert (1, 20) == (stats.slow_count, stats.subscriber_count)
        waiting = max(one.waiting_bytes for one in broadcast._subscribers.values())
        assert waiting <= 100 * 20_100
        unsent = max(one.connection.stats().unsent_bytes for one in broadcast._subscribers.values())
        assert unsent <= 1 << 19  # 256 KiB, and what put it above that
        for client in clients:
            client.abort()
            await client.wait_closed()
        assert stalled.is_closed
