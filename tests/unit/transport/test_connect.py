"""Clients fail clearly when nobody is there, and prepare each connection before its use."""

import asyncio
import socket

import pytest
from tests.unit.transport.support_links import KEY, echo

from mainspring.errors import HandshakeError
from mainspring.transport import Connection, connect, serve

LOCAL = "tcp://127.0.0.1:0"


@pytest.mark.parametrize("scheme", ["tcp", pytest.param("ws", marks=pytest.mark.extras)])
async def test_nobody_there_is_an_os_error(scheme: str, unused_port: int) -> None:
    with pytest.raises(OSError):
        await connect(f"{scheme}://127.0.0.1:{unused_port}", auth_key=KEY)


async def test_a_connection_is_prepared_before_it_is_used() -> None:
    async def subscribe(connection: Connection) -> None:
        await connection.write_bytes(b"subscribe")

    async with (
        serve(LOCAL, echo, auth_key=KEY) as server,
        connect(server.address, auth_key=KEY, on_connect=subscribe) as connection,
    ):
        assert b"subscribe" == await connection.read_bytes()


async def test_a_failing_preparation_closes_the_connection() -> None:
    async def fail(_: Connection) -> None:
        raise ValueError("on purpose")

    async with serve(LOCAL, echo, auth_key=KEY) as server:
        dialling = connect(server.address, auth_key=KEY, on_connect=fail)
        assert server.address in repr(dialling)
        with pytest.raises(ValueError, match="on purpose"):
            async with dialling:
                pass
        await dialling.__aexit__()


async def test_who_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(HandshakeError, match=r"longer than 0\.1 s"):
            await connect(f"tcp://127.0.0.1:{port}", auth_key=KEY, handshake_timeout=0.1)


async def test_a_cancelled_dial_leaves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        dial = asyncio.ensure_future(connect(f"tcp://127.0.0.1:{port}", auth_key=KEY).dial())
        silent.settimeout(5)
        peer, _ = await asyncio.to_thread(silent.accept)
        dial.cancel()
        await asyncio.wait({dial})
        assert dial.cancelled()
        peer.close()
