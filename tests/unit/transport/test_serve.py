"""Servers let in who knows the key, bound what they hold, and end in order."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.transport.support_links import KEY, contexts, descriptors, echo

from mainspring.base import get_statistics
from mainspring.errors import AuthenticationError, BindError, ConnectionClosedError, HandshakeError, MisuseError
from mainspring.testing import eventually
from mainspring.transport import Connection, Server, ServerStatistic, connect, serve

LOCAL = "tcp://127.0.0.1:0"


def _port(server: Server) -> int:
    return int(server.address.rsplit(":", 1)[1])


async def _raw(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", _port(server))


async def test_each_client_has_its_own_handler() -> None:
    async with serve(LOCAL, echo, auth_key=KEY) as server, asyncio.TaskGroup() as group:

        async def talk(number: int) -> None:
            async with connect(server.address, auth_key=KEY) as connection:
                for _ in range(20):
                    await connection.write_json(number)
                    assert number == await connection.read_json(int)

        for number in range(20):
            group.create_task(talk(number))
    counted = {one.metric: one.value for one in get_statistics(ServerStatistic) if one.value}
    assert 20 == counted["served"]
    assert 0 == server.connection_count
    assert "closed connections=0 refused=0" in repr(server)


async def test_a_wrong_key_is_refused_on_both_sides_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    called = False

    async def handler(_: Connection) -> None:
        nonlocal called
        called = True

    async with serve(LOCAL, handler, auth_key=KEY) as server:
        with pytest.raises(AuthenticationError, match="does not accept the key"):
            await connect(server.address, auth_key=KEY[::-1])
        await eventually(lambda: server.refused_count == 1)
    assert not called
    assert "it does not know the key" in caplog.text
    assert KEY.decode() not in caplog.text


async def test_a_client_without_a_key_gets_nowhere() -> None:
    async with (
        serve(LOCAL, echo, auth_key=KEY, handshake_timeout=0.2) as server,
        connect(server.address, auth_key=None) as connection,
    ):
        await connection.write_bytes(b"let me in")
        assert 37 == len(await connection.read_bytes())  # the challenge
        with pytest.raises(ConnectionClosedError):
            await connection.read_bytes()


async def test_a_server_without_a_key_convinces_no_client_that_has_one() -> None:
    async with serve(LOCAL, echo, auth_key=None) as server:
        with pytest.raises(HandshakeError, match="longer than"):
            await connect(server.address, auth_key=KEY, handshake_timeout=0.1)


async def test_both_without_a_key_talk_on_this_machine() -> None:
    async with serve(LOCAL, echo, auth_key=None) as server, connect(server.address, auth_key=None) as connection:
        await connection.write_bytes(b"a")
        assert b"a" == await connection.read_bytes()


@pytest.mark.parametrize("sent", [b"", b"\x45\0\0\0mspr", b"\x05\0\0\0"])
async def test_slow_handshakes_are_ended(sent: bytes) -> None:
    """Somebody who connects and says nothing, or stops in the middle, holds his place for the time limit only."""
    async with serve(LOCAL, echo, auth_key=KEY, handshake_timeout=0.1) as server:
        reader, writer = await _raw(server)
        writer.write(sent)
        assert 41 == len(await reader.read())
        writer.close()
        await eventually(lambda: server.connection_count == 0)
        assert 1 == server.refused_count


async def test_a_handshake_that_drips_is_ended_all_the_same() -> None:
    """The limit is for the whole exchange; a byte now and then does not extend it."""
    async with serve(LOCAL, echo, auth_key=KEY, handshake_timeout=0.3) as server:
        reader, writer = await _raw(server)
        ended = asyncio.create_task(reader.read())
        for byte in b"\x45\0\0\0mspr" + bytes(60):
            writer.write(bytes([byte]))
            await asyncio.wait({ended}, timeout=0.02)
            if ended.done():
                break
        await asyncio.wait({ended})
        assert 1 == server.refused_count
        writer.close()
        assert ended.exception() is None or isinstance(ended.exception(), ConnectionResetError)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x46\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\x03\0\0\0abc"])
async def test_garbage_instead_of_an_answer_is_cut_at_once(garbage: bytes) -> None:
    """A stranger's length above that of the answer is refused before a byte of it is kept."""
    async with serve(LOCAL, echo, auth_key=KEY, handshake_timeout=30) as server:
        reader, writer = await _raw(server)
        await reader.readexactly(41)
        writer.write(garbage + b"\xff\xff\xff\xfd" * 20)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(100)
        writer.close()
        await eventually(lambda: server.connection_count == 0)


async def test_more_connections_than_allowed_are_cut() -> None:
    async with serve(LOCAL, echo, auth_key=KEY, max_connections=2) as server:
        async with connect(server.address, auth_key=KEY), connect(server.address, auth_key=KEY):
            with pytest.raises((HandshakeError, ConnectionError)):
                await connect(server.address, auth_key=KEY)
            assert 2 == server.connection_count
            assert 1 == server.refused_count
        await eventually(lambda: server.connection_count == 0)
        async with connect(server.address, auth_key=KEY) as connection:
            await connection.write_bytes(b"a")
            assert b"a" == await connection.read_bytes()


async def test_a_failing_handler_ends_its_connection_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(connection: Connection) -> None:
        if b"fail" == await connection.read_bytes():
            raise ValueError("on purpose")
        await echo(connection)

    async with (
        serve(LOCAL, handler, auth_key=KEY) as server,
        connect(server.address, auth_key=KEY) as good,
        connect(server.address, auth_key=KEY) as bad,
    ):
        await good.write_bytes(b"good")
        await bad.write_bytes(b"fail")
        with pytest.raises(ConnectionClosedError):
            await bad.read_bytes()
        await good.write_bytes(b"a")
        assert b"a" == await good.read_bytes()
    assert "on purpose" in caplog.text


async def test_a_closing_server_lets_handlers_answer_what_they_have(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mainspring.transport")

    count = 0

    async def handler(connection: Connection) -> None:
        nonlocal count
        async for _ in connection:
            count += 1
        await connection.write_json(count)

    server = serve(LOCAL, handler, auth_key=KEY)
    await server.start()
    async with connect(server.address, auth_key=KEY) as connection:
        for _ in range(10):
            await connection.write_bytes(b"x")
        await eventually(lambda: count == 10)
        address = server.address
        await server.close()
        assert 10 == await connection.read_json()
        with pytest.raises(ConnectionClosedError):
            await connection.read_bytes()
        with pytest.raises(OSError):
            await connect(address, auth_key=KEY)
    await server.close()


async def test_a_handler_that_does_not_end_is_cancelled_after_the_grace() -> None:
    cancelled = asyncio.Event()

    async def handler(_: Connection) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            cancelled.set()

    server = serve(LOCAL, handler, auth_key=KEY)
    await server.start()
    async with connect(server.address, auth_key=KEY) as connection:
        await server.close(grace=0.05)
        assert cancelled.is_set()
        with pytest.raises(ConnectionClosedError):
            await connection.read_bytes()


async def test_no_handler_is_left_when_the_closing_is_cancelled(tmp_path: Path) -> None:
    cancelled = asyncio.Event()

    async def handler(_: Connection) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    server = serve(f"unix://{tmp_path}/s", handler, auth_key=KEY)
    await server.start()
    async with connect(server.address, auth_key=KEY):
        closing = asyncio.create_task(server.close(grace=3600))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert cancelled.is_set()
        assert 0 == server.connection_count
        assert [] == os.listdir(tmp_path)


async def test_a_closing_server_ends_callbacks_too() -> None:
    async def handler(connection: Connection) -> None:
        connection.listen(lambda record: None if connection.try_write_bytes(record) else connection.abort())
        await connection.wait_closed()

    server = serve(LOCAL, handler, auth_key=KEY)
    await server.start()
    async with connect(server.address, auth_key=KEY) as connection:
        await connection.write_bytes(b"a")
        assert b"a" == await connection.read_bytes()
        await server.close(grace=30)
        with pytest.raises(ConnectionClosedError):
            await connection.read_bytes()


async def test_a_server_is_started_once() -> None:
    server = serve(LOCAL, echo, auth_key=KEY)
    assert "new" in repr(server)
    await server.start()
    assert "listening" in repr(server)
    with pytest.raises(MisuseError):
        await server.start()
    await server.close()
    with pytest.raises(MisuseError):
        await server.start()
    await serve(LOCAL, echo, auth_key=KEY).close()


async def test_a_port_that_is_taken_is_named() -> None:
    async with serve(LOCAL, echo, auth_key=KEY) as server:
        with pytest.raises(BindError, match=rf":{_port(server)}: Address already in use\n") as refused:
            await serve(server.address, echo, auth_key=KEY).start()
        assert "another program listens there" in str(refused.value.hint)


async def test_a_socket_of_a_dead_server_is_replaced_and_of_a_living_one_not(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    async with serve(f"unix://{path}", echo, auth_key=KEY) as server:
        with pytest.raises(BindError):
            await serve(f"unix://{path}", echo, auth_key=KEY).start()
        async with connect(server.address, auth_key=KEY) as connection:
            await connection.write_bytes(b"a")
            assert b"a" == await connection.read_bytes()
    assert [] == os.listdir(tmp_path)


async def test_a_successor_takes_the_place_of_a_server_that_drains(tmp_path: Path) -> None:
    """As a program does that is deployed anew: the old one must not remove the socket of the new one."""
    address, may_end = f"unix://{tmp_path}/socket", asyncio.Event()

    async def finish(connection: Connection) -> None:
        await connection.read_bytes()
        await may_end.wait()

    old = serve(address, finish, auth_key=KEY)
    await old.start()
    async with connect(address, auth_key=KEY) as connection:
        await connection.write_bytes(b"a")
        closing = asyncio.create_task(old.close(grace=60))
        await asyncio.sleep(0)
        async with serve(address, echo, auth_key=KEY) as new:
            may_end.set()
            await closing
            async with connect(new.address, auth_key=KEY) as newcomer:
                await newcomer.write_bytes(b"b")
                assert b"b" == await newcomer.read_bytes()
    assert [] == os.listdir(tmp_path)


async def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    os.close(os.open(path, os.O_CREAT))
    with pytest.raises(BindError):
        await serve(f"unix://{path}", echo, auth_key=KEY).start()
    assert ["file"] == os.listdir(tmp_path)


@pytest.mark.extras
async def test_a_server_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    server_context, _ = contexts(tmp_path)
    async with serve(LOCAL, echo, auth_key=KEY, ssl=server_context) as server:
        with pytest.raises(ssl.SSLError):
            await connect(server.address, auth_key=KEY, ssl=ssl.create_default_context())


@pytest.mark.extras
async def test_a_client_that_takes_tls_away_gets_nowhere(tmp_path: Path) -> None:
    server_context, _ = contexts(tmp_path)
    async with serve(LOCAL, echo, auth_key=KEY, ssl=server_context, handshake_timeout=1) as server:
        with pytest.raises((HandshakeError, ConnectionError)):
            await connect(server.address, auth_key=KEY, handshake_timeout=1)


async def test_servers_start_and_stop_without_leaks(mainspring_count: Callable[[int, int], int]) -> None:
    before, tasks = descriptors(), len(asyncio.all_tasks())
    for _ in range(mainspring_count(20, 200)):
        async with serve(LOCAL, echo, auth_key=KEY) as server, connect(server.address, auth_key=KEY) as connection:
            await connection.write_bytes(b"a")
            assert b"a" == await connection.read_bytes()
    assert descriptors() <= before
    assert tasks == len(asyncio.all_tasks())
