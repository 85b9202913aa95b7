"""A client that connects again goes on reading and writing, and stops when it should."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.transport.support_links import KEY, echo

from mainspring.base import Backoff
from mainspring.errors import AuthenticationError, ClosedError, ConnectionClosedError, DeadlineExceededError
from mainspring.resilience import timeout
from mainspring.testing import VirtualClock, eventually
from mainspring.transport import Connection, ReconnectingConnection, Server, connect, serve
from mainspring.transport._records import RecordCodec
from mainspring.transport._stream_link import StreamLink

FAST = Backoff(0.01, maximum=0.05)


async def test_reading_and_writing_go_on_after_the_server_came_back(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/s"

    async def subscribe(connection: Connection) -> None:
        await connection.write_json("subscribe")

    server: Server = serve(address, echo, auth_key=KEY)
    await server.start()
    async with connect(address, auth_key=KEY, reconnect=FAST, on_connect=subscribe) as client:
        assert client.is_connected
        assert "subscribe" == await client.read_json()
        for _ in range(3):
            await client.write_bytes(b"1")
            assert b"1" == await client.read_bytes()
            reading = asyncio.create_task(client.read_json(str))
            await server.close()
            server = serve(address, echo, auth_key=KEY)
            await server.start()
            assert "subscribe" == await reading
            await server.close()
            server = serve(address, echo, auth_key=KEY)
            await server.start()
            await eventually(lambda: not client.is_connected)
            await client.write_json({"a": 1})
            assert ["subscribe", {"a": 1}] == [await client.read_json() for _ in range(2)]
        assert client.connect_count >= 4
        assert "connected=" in repr(client)
    await server.close()


async def test_records_that_came_before_the_loss_are_read_first(tmp_path: Path) -> None:
    async def handler(connection: Connection) -> None:
        for number in range(3):
            await connection.write_json(number)

    async with (
        serve(f"unix://{tmp_path}/s", handler, auth_key=KEY) as server,
        connect(server.address, auth_key=KEY, reconnect=FAST) as client,
    ):
        assert [0, 1, 2, 0, 1, 2] == [await client.read_json() for _ in range(6)]


async def test_attempts_end_with_the_last_error(tmp_path: Path) -> None:
    client = connect(f"unix://{tmp_path}/s", auth_key=KEY, reconnect=Backoff(0.01, max_tries=3))
    with pytest.raises(FileNotFoundError):
        await client.read_bytes()
    assert not client.is_connected
    await client.close()


async def test_a_wrong_key_is_not_tried_again(tmp_path: Path) -> None:
    async with serve(f"unix://{tmp_path}/s", echo, auth_key=KEY) as server:
        client = connect(server.address, auth_key=KEY[::-1], reconnect=Backoff.constant(60))
        with pytest.raises(AuthenticationError):
            await client.write_bytes(b"x")
        await eventually(lambda: server.refused_count == 1)


async def test_a_closed_client_ends_its_readers(tmp_path: Path) -> None:
    async with serve(f"unix://{tmp_path}/s", echo, auth_key=KEY) as server:
        client = connect(server.address, auth_key=KEY, reconnect=FAST)
        await client.write_bytes(b"a")
        records: list[bytes | memoryview] = []

        async def read() -> None:
            async for record in client:
                records.append(record)  # noqa: PERF401  # what came before the end counts

        reading = asyncio.create_task(read())
        await eventually(lambda: records)
        await client.close()
        await reading
        assert [b"a"] == records
        with pytest.raises(ClosedError):
            await client.write_bytes(b"x")


async def test_a_client_closed_while_it_dials_gives_up(tmp_path: Path) -> None:
    client = connect(f"unix://{tmp_path}/s", auth_key=KEY, reconnect=Backoff.constant(3600))
    reading = asyncio.create_task(client.read_bytes())
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ClosedError):
        await reading


async def test_a_client_closed_while_the_server_greets_it_gives_up(tmp_path: Path) -> None:
    greeted = asyncio.Event()

    async def slow(_: Connection) -> None:
        greeted.set()
        await asyncio.sleep(0.01)

    async with serve(f"unix://{tmp_path}/s", echo, auth_key=KEY) as server:
        client = connect(server.address, auth_key=KEY, reconnect=FAST, on_connect=slow)
        reading = asyncio.create_task(client.read_bytes())
        await greeted.wait()
        await client.close()
        with pytest.raises(ClosedError):
            await reading


async def test_a_write_that_waits_goes_to_the_next_connection(tmp_path: Path) -> None:
    taken: list[int] = []

    async def deaf_then_not(connection: Connection) -> None:
        taken.append(len(taken))
        if len(taken) == 1:
            await connection.wait_closed()
        else:
            await echo(connection)

    async with (
        serve(f"unix://{tmp_path}/s", deaf_then_not, auth_key=KEY, heartbeat=None) as server,
        connect(server.address, auth_key=KEY, reconnect=FAST, heartbeat=None) as client,
    ):
        first = await client.connection()
        await eventually(lambda: not first.try_write_bytes(bytes(100_000)))
        writing = [asyncio.create_task(client.write_json("again")) for _ in range(2)]
        await asyncio.sleep(0)
        next(iter(server._serving.values())).abort()
        await asyncio.wait(writing)
        assert ["again", "again"] == [await client.read_json(), await client.read_json()]


async def test_a_connection_that_its_user_closes_is_made_again(tmp_path: Path) -> None:
    async with (
        serve(f"unix://{tmp_path}/s", echo, auth_key=KEY) as server,
        connect(server.address, auth_key=KEY, reconnect=Backoff(0.01)) as client,
    ):
        await (await client.connection()).close()
        await client.write_bytes(b"a")
        assert b"a" == await client.read_bytes()
        reading = asyncio.create_task(client.read_bytes())
        await asyncio.sleep(0)
        await (await client.connection()).close()
        await eventually(lambda: client.connect_count == 3)
        await client.write_bytes(b"b")
        assert b"b" == await reading


async def test_a_server_that_takes_connections_only_to_cut_them_is_not_called_without_a_pause(
    virtual_clock: VirtualClock,
) -> None:
    """The pauses are those of attempts that fail; a connection that lasted lets them begin anew."""
    lasting = iter([0.0, 0.0, 0.0, 100.0, 0.0, 0.0, 1e6])
    dials: list[float] = []

    async def dial() -> Connection:
        dials.append(virtual_clock.monotonic())
        link = StreamLink(RecordCodec(), kind="tcp", heartbeat=None, idle_timeout=None, unread_bytes=1)
        asyncio.get_running_loop().call_later(next(lasting), link.connection_lost, None)
        return Connection(link)

    client = ReconnectingConnection(dial, "here", Backoff(1.0, maximum=60.0))
    reading = asyncio.create_task(client.read_bytes())
    await asyncio.sleep(1000)
    assert [1, 2, 4, 100, 1, 2] == [round(b - a) for a, b in pairwise(dials)]
    await client.close()
    with pytest.raises(ClosedError):
        await reading


async def test_readers_that_give_up_use_up_no_attempts(virtual_clock: VirtualClock) -> None:
    """The connection that was cut counts once, and the pause after it goes on for whoever asks next."""
    lasting = iter([0.0, 1e6])
    dials: list[float] = []

    async def dial() -> Connection:
        dials.append(virtual_clock.monotonic())
        link = StreamLink(RecordCodec(), kind="tcp", heartbeat=None, idle_timeout=None, unread_bytes=1)
        asyncio.get_running_loop().call_later(next(lasting), link.connection_lost, None)
        return Connection(link)

    client = ReconnectingConnection(dial, "here", Backoff(1.0, max_tries=3))
    for _ in range(30):
        with pytest.raises(DeadlineExceededError):
            async with timeout(0.15):
                await client.read_bytes()
    first, second = dials
    assert 1.0 <= second - first < 1.2
    await client.close()


async def test_attempts_end_as_well_when_each_is_cut_at_once(tmp_path: Path) -> None:
    async def cut(connection: Connection) -> None:
        connection.abort()

    async with serve(f"unix://{tmp_path}/s", cut, auth_key=None) as server:
        client = connect(server.address, auth_key=None, reconnect=Backoff(0.01, max_tries=3))
        with pytest.raises(ConnectionClosedError, match="lost as soon as it was made"):
            await client.read_bytes()
        assert 3 == client.connect_count
        await client.close()
