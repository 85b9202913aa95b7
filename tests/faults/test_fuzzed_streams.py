"""Whatever bytes come in, the codec and the WebSocket entry give what was sent or one clear refusal, and go on.

The corpus is kept beside this file: a stream that once did harm is added there. `make stress` sends a million.
"""

import asyncio
import base64
import random
from collections.abc import Callable, Iterable

import pytest
from tests.faults.support_mutations import corpus, cuts, mutated

from mainspring.errors import FrameTooLargeError
from mainspring.testing import eventually
from mainspring.transport import Connection, connect, serve
from mainspring.transport._records import PIECE_BYTES, Item, RecordCodec, RecordStart

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n\r\n"
)


def _decode(codec: RecordCodec, pieces: Iterable[bytes]) -> list[Item]:
    """Feed as a transport does: into the codec's buffer."""
    items: list[Item] = []
    for piece in pieces:
        rest = piece
        while rest and codec.refusal is None:
            buffer = codec.get_buffer()
            assert len(buffer) <= PIECE_BYTES
            taken = min(len(buffer), len(rest))
            buffer[:taken] = rest[:taken]
            rest = rest[taken:]
            items += codec.buffer_updated(taken)
    return items


def _check(stream: bytes, chance: random.Random, limit: int | None) -> None:
    whole, cut = RecordCodec(limit=limit), RecordCodec(limit=limit)
    expected, got = _decode(whole, [stream]), _decode(cut, cuts(stream, chance))
    assert expected == got
    assert (str(whole.refusal), whole.pings) == (str(cut.refusal), cut.pings)
    assert whole.refusal is None or isinstance(whole.refusal, FrameTooLargeError)
    assert sum(map(len, got)) <= len(stream)
    assert all(len(item) <= PIECE_BYTES for item in got)
    assert all(limit is None or len(item) <= limit for item in got)
    assert all(item.total > PIECE_BYTES for item in got if isinstance(item, RecordStart))


@pytest.mark.parametrize("name", corpus("records"))
def test_what_is_kept_is_decoded_alike_at_every_cut(name: str) -> None:
    stream = corpus("records")[name]
    whole = RecordCodec()
    expected = _decode(whole, [stream])
    for position in range(min(len(stream), 500)):
        codec = RecordCodec()
        assert expected == _decode(codec, [stream[:position], stream[position:]])


@pytest.mark.timeout(3600)
def test_mutated_streams_are_decoded_alike_however_they_are_cut(mainspring_count: Callable[[int, int], int]) -> None:
    chance = random.Random(1)
    for number, stream in enumerate(mutated("records", mainspring_count(3_000, 800_000), seed=2)):
        _check(stream, chance, (None, 1000, 64, PIECE_BYTES)[number % 4])


async def _answer(connection: Connection) -> None:
    async for message in connection:
        await connection.write_bytes(message)


async def _throw(port: int, stream: bytes) -> None:
    """Upgrade, send a stream, and go away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(UPGRADE + stream)
        writer.write_eof()
        await reader.read()
    except ConnectionError:
        pass  # it was cut, which is an answer
    finally:
        writer.transport.abort()


@pytest.mark.extras
@pytest.mark.timeout(3600)
async def test_the_websocket_entry_survives_mutated_streams(
    mainspring_count: Callable[[int, int], int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "picows")
    streams = [*corpus("websocket").values(), *mutated("websocket", mainspring_count(300, 2_000), seed=3)]
    rounds = mainspring_count(1, 100)
    failures: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    async with serve("ws://127.0.0.1:0", _answer, auth_key=None, max_bytes=1 << 16, max_connections=50) as server:
        port = int(server.address.rsplit(":", 1)[1])
        for number in range(rounds):
            for start in range(0, len(streams), 20):
                await asyncio.gather(*(_throw(port, stream) for stream in streams[start : start + 20]))
            streams = list(mutated("websocket", len(streams), seed=4 + number))
        await eventually(lambda: server.connection_count == 0)
        async with connect(server.address, auth_key=None) as connection:
            await connection.write_bytes(b"still here")
            assert b"still here" == await connection.read_bytes()
    assert [] == failures
    assert not [record for record in caplog.records if record.name.startswith("mainspring")]
