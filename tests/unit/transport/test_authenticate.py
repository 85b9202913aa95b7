"""Attacks on the exchange over real sockets."""

import asyncio

import pytest
from tests.unit.transport.support_links import KEY, echo

from mainspring.errors import AuthenticationError, HandshakeError
from mainspring.testing import TCPProxy, eventually
from mainspring.transport import connect, serve

LOCAL = "tcp://127.0.0.1:0"


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "little")
    return await reader.readexactly(size)


def _wrap(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "little") + payload


async def test_a_peer_without_the_key_cannot_reflect_one_connection_at_another() -> None:
    """The known attack on the older handshake: get the challenge, let the victim answer it on a second connection."""
    async with serve(LOCAL, echo, auth_key=KEY) as server:
        port = int(server.address.rsplit(":", 1)[1])
        first_reader, first = await asyncio.open_connection("127.0.0.1", port)
        second_reader, second = await asyncio.open_connection("127.0.0.1", port)
        challenge, other = await _frame(first_reader), await _frame(second_reader)
        assert challenge != other
        second.write(_wrap(challenge))  # a server answers no challenge, whatever it is sent
        assert b"" == await second_reader.read()
        first.write(_wrap(challenge + bytes(32)))
        assert b"mspr\0" == await _frame(first_reader)
        assert b"" == await first_reader.read()
        first.close()
        second.close()
        await eventually(lambda: server.refused_count == 2)


async def test_a_server_without_the_key_cannot_send_the_client_to_the_true_one_in_another_role() -> None:
    """It gets the client's proof for its own challenge and tries it as its own proof."""

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_wrap(b"mspr\1" + bytes(32)))
        answer = await _frame(reader)
        writer.write(_wrap(b"mspr\1" + answer[-32:]))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(impostor, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(AuthenticationError, match="it does not know the key"):
            await connect(f"tcp://127.0.0.1:{port}", auth_key=KEY)


async def test_a_recorded_exchange_opens_nothing() -> None:
    recorded = bytearray()

    def record(data: bytes) -> bytes:
        recorded.extend(data)
        return data

    async with serve(LOCAL, echo, auth_key=KEY) as server:
        port = int(server.address.rsplit(":", 1)[1])
        async with TCPProxy("127.0.0.1", port) as proxy:
            proxy.set_content_processors(record, None)
            async with connect(f"tcp://127.0.0.1:{proxy.proxy_port}", auth_key=KEY) as connection:
                await connection.write_bytes(b"a")
                await connection.read_bytes()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(bytes(recorded))
        await _frame(reader)
        assert b"mspr\0" == await _frame(reader)
        writer.close()
        await eventually(lambda: server.connection_count == 0)


@pytest.mark.parametrize("step", ["challenge", "welcome"])
async def test_every_truncation_is_an_error_for_the_client(step: str) -> None:
    for size in range(0, 41, 4):

        async def cutter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int = size) -> None:
            challenge, welcome = _wrap(b"mspr\1" + bytes(32)), _wrap(b"mspr\1" + bytes(32))
            writer.write(challenge[:size] if step == "challenge" else challenge)
            if step == "welcome":
                await _frame(reader)
                writer.write(welcome[:size])
            writer.close()

        listener = await asyncio.start_server(cutter, "127.0.0.1", 0)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            with pytest.raises(HandshakeError, match="cut"):
                await connect(f"tcp://127.0.0.1:{port}", auth_key=KEY)


async def test_every_truncation_is_an_error_for_the_server() -> None:
    async with serve(LOCAL, echo, auth_key=KEY) as server:
        port = int(server.address.rsplit(":", 1)[1])
        for size in range(0, 73, 6):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await _frame(reader)
            writer.write(_wrap(b"mspr\1" + bytes(64))[:size])
            writer.write_eof()
            assert b"" == await reader.read()
            writer.close()
        await eventually(lambda: server.connection_count == 0)
        assert 13 == server.refused_count


async def test_a_long_message_is_no_challenge() -> None:
    async def talker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_wrap(bytes(2 << 20)))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(talker, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(HandshakeError, match="something else"):
            await connect(f"tcp://127.0.0.1:{port}", auth_key=KEY)


async def test_widths_that_differ_do_not_agree() -> None:
    async with serve(LOCAL, echo, auth_key=KEY, header_bytes=4, handshake_timeout=1) as server:
        with pytest.raises(HandshakeError):
            await connect(server.address, auth_key=KEY, header_bytes=2, handshake_timeout=1)
