"""Strangers at every kind of link: the handshake is the same on TCP, TLS, Unix sockets and both WebSockets."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.transport.support_links import KEY, KINDS, Kind, echo, kind_of

from mainspring.errors import AuthenticationError, ConnectionClosedError
from mainspring.testing import eventually
from mainspring.transport import Connection

REFUSAL = b"mspr\0"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    """Give each kind of link."""
    return kind_of(str(request.param), tmp_path)


async def _read_to_the_end(connection: Connection) -> list[bytes]:
    """Return what comes until the other end closes, in whatever way."""
    got: list[bytes] = []
    try:
        while True:
            got.append(bytes(await connection.read_bytes()))
    except ConnectionClosedError:
        return got
    finally:
        await connection.close()


async def test_a_wrong_key_is_refused(kind: Kind) -> None:
    served: list[Connection] = []

    async def handler(connection: Connection) -> None:
        served.append(connection)

    async with kind.serve(handler, auth_key=KEY) as server:
        with pytest.raises(AuthenticationError, match="does not accept the key"):
            await kind.connect(server, auth_key=KEY[::-1])
        await eventually(lambda: (server.refused_count, server.connection_count) == (1, 0))
    assert [] == served


async def test_a_stranger_hears_one_challenge_and_holds_a_place_for_the_time_limit(kind: Kind) -> None:
    limit = 0.5 if kind.server_ssl is None else 1.5  # TLS is a part of it
    async with kind.serve(echo, auth_key=KEY, handshake_timeout=limit) as server:
        stranger = await kind.connect(server, auth_key=None)
        assert [37] == [len(one) for one in await _read_to_the_end(stranger)]
        await eventually(lambda: (server.refused_count, server.connection_count) == (1, 0))


async def test_a_challenge_that_is_reflected_on_a_second_connection_opens_neither(kind: Kind) -> None:
    async with kind.serve(echo, auth_key=KEY) as server:
        first, second = [await kind.connect(server, auth_key=None) for _ in range(2)]
        challenge = bytes(await first.read_bytes())
        await second.write_bytes(challenge)  # a server answers no challenge
        assert 37 == len(await second.read_bytes())
        assert [] == await _read_to_the_end(second)
        await first.write_bytes(challenge + bytes(32))
        assert [REFUSAL] == await _read_to_the_end(first)
        await eventually(lambda: (server.refused_count, server.connection_count) == (2, 0))


async def test_a_recorded_answer_opens_nothing(kind: Kind) -> None:
    recorded: list[bytes] = []
    tapped = kind_of_tap(kind)

    async def tap(client: Connection) -> None:
        """Stand between, unnoticed: what can be heard on the way."""
        link = await kind.connect(server, auth_key=None)
        await client.write_bytes(await link.read_bytes())
        recorded.append(bytes(await client.read_bytes()))
        await link.write_bytes(recorded[0])
        await client.write_bytes(await link.read_bytes())
        await link.close()

    async with kind.serve(echo, auth_key=KEY) as server, tapped.serve(tap, auth_key=None) as between:
        await (await tapped.connect(between, auth_key=KEY)).close()
        stranger = await kind.connect(server, auth_key=None)
        await stranger.read_bytes()
        await stranger.write_bytes(recorded[0])
        assert [REFUSAL] == await _read_to_the_end(stranger)


def kind_of_tap(kind: Kind) -> Kind:
    """Return the same kind at another address."""
    address = f"{kind.address}2" if kind.address.startswith("unix") else kind.address
    return Kind(address, kind.server_ssl, kind.client_ssl)


async def test_the_proof_of_a_client_is_none_of_a_server(kind: Kind) -> None:
    async def impostor(connection: Connection) -> None:
        await connection.write_bytes(b"mspr\1" + bytes(32))
        answer = bytes(await connection.read_bytes())
        await connection.write_bytes(b"mspr\1" + answer[-32:])
        await connection.wait_closed()

    async with kind.serve(impostor, auth_key=None) as server:
        with pytest.raises(AuthenticationError, match="does not know the key"):
            await kind.connect(server, auth_key=KEY)


async def test_another_version_is_refused_never_taken_up(kind: Kind) -> None:
    async with kind.serve(echo, auth_key=KEY) as server:
        stranger = await kind.connect(server, auth_key=None)
        await stranger.write_bytes(b"mspr\0" + bytes(64))
        assert [37] == [len(one) for one in await _read_to_the_end(stranger)]
        await eventually(lambda: server.refused_count == 1)


@pytest.mark.parametrize("answer", [b"", bytes(70), bytes(1 << 20)])
async def test_an_answer_of_another_length_ends_the_connection(kind: Kind, answer: bytes) -> None:
    async with kind.serve(echo, auth_key=KEY, handshake_timeout=30) as server:
        stranger = await kind.connect(server, auth_key=None)
        assert 37 == len(await stranger.read_bytes())
        await stranger.write_bytes(answer)
        assert [] == await _read_to_the_end(stranger)
        await eventually(lambda: (server.refused_count, server.connection_count) == (1, 0))


@pytest.mark.extras
@pytest.mark.parametrize("name", ["tls", "ws", "wss"])
@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_who_does_not_come_to_the_handshake_is_sent_away_too(tmp_path: Path, name: str, said: bytes) -> None:
    """TLS and the upgrade of a WebSocket come before ours; they have the same limit."""
    async with kind_of(name, tmp_path).serve(echo, auth_key=KEY, handshake_timeout=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rsplit(":", 1)[1]))
        writer.write(said)
        try:
            async with asyncio.timeout(10):
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
        await eventually(lambda: server.connection_count == 0)
