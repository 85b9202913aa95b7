"""Connections carry records of every kind, whole and in order, within bounds, over every stream."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from tests.unit.transport.support_links import KEY, MakeLink, contexts, descriptors, echo, linked

from mainspring.errors import (
    ClosedError,
    ConnectionClosedError,
    DecodeError,
    EncodeError,
    FrameTooLargeError,
    MisuseError,
)
from mainspring.testing import TCPProxy, eventually
from mainspring.transport import Connection, connect, prepare, serve
from mainspring.transport._stream_link import StreamLink


@pytest.fixture(
    params=["tcp", "unix", *(pytest.param(kind, marks=pytest.mark.extras) for kind in ("tls", "ws", "wss"))]
)
def link(request: pytest.FixtureRequest, tmp_path: Path) -> MakeLink:
    """Give what makes both ends of a connection of each kind."""
    kind = str(request.param)
    address = {"unix": f"unix://{tmp_path}/s", "ws": "ws://127.0.0.1:0", "wss": "wss://127.0.0.1:0"}
    extra: dict[str, ssl.SSLContext] = {}
    if kind in ("tls", "wss"):
        extra["server_ssl"], extra["client_ssl"] = contexts(tmp_path)
    return partial(linked, address.get(kind, "tcp://127.0.0.1:0"), **extra)


@dataclass
class Price:
    """A typed record."""

    symbol: str
    price: float


async def test_records_of_every_kind_arrive(link: MakeLink) -> None:
    async with link() as (client, server):
        await client.write_json(Price("A", 1.5))
        await client.write_msgpack({"b": b"raw"})
        await client.write_bytes(b"")
        await client.write_text("schön")
        await client.write_bytes(memoryview(bytearray(24)).cast("q"))
        await client.write_prepared(prepare({"c": 1}))
        assert client.try_write_bytes(prepare(b"d"))
        assert client.try_write_bytes(b"e")
        assert Price("A", 1.5) == await server.read_json(Price)
        assert {"b": b"raw"} == await server.read_msgpack()
        assert b"" == await server.read_bytes()
        assert "schön".encode() == await server.read_bytes()
        assert bytes(24) == await server.read_bytes()
        assert {"c": 1} == await server.read_json()
        assert [b"d", b"e"] == [await server.read_bytes(), await server.read_bytes()]
        assert client.stats().sent_count == server.stats().received_count == 8
        assert client.stats().sent_bytes == server.stats().received_bytes


async def test_large_records_arrive_whole_and_in_order(link: MakeLink) -> None:
    sizes = [1 << 20, (1 << 20) + 1, 5_000_000, 3, 200_000]
    async with link() as (client, server), asyncio.TaskGroup() as group:

        async def write(connection: Connection) -> None:
            for number, size in enumerate(sizes):
                await connection.write_bytes(bytes([number]) * size)

        group.create_task(write(client))
        group.create_task(write(server))
        for number, size in enumerate(sizes):
            assert bytes([number]) * size == await server.read_bytes()
            assert bytes([number]) * size == await client.read_bytes()


async def test_writers_at_the_same_time_never_mix(link: MakeLink) -> None:
    async def write(connection: Connection, letter: int) -> None:
        for _ in range(50):
            await connection.write_bytes(bytes([letter]) * 20_000)

    async with link() as (client, server), asyncio.TaskGroup() as group:
        for letter in b"abc":
            group.create_task(write(client, letter))
        records = [bytes(await server.read_bytes()) for _ in range(150)]
    assert {(letter,) * 1 for letter in b"abc"} == {tuple(set(record)) for record in records}
    assert {20_000} == set(map(len, records))


async def test_a_reader_that_lags_bounds_memory_on_both_sides(link: MakeLink) -> None:
    async with link(heartbeat=None) as (client, server):
        written = 0

        async def write() -> None:
            nonlocal written
            for _ in range(2_000):
                await client.write_bytes(bytes(10_000))
                written += 1

        writer = asyncio.create_task(write())
        await eventually(lambda: client.stats().unsent_bytes > 1 << 18)
        assert server.stats().unread_bytes < 3 << 20
        assert client.stats().unsent_bytes < 1 << 20
        assert not client.try_write_bytes(b"no room")
        for _ in range(2_000):
            assert 10_000 == len(await server.read_bytes())
        await writer


async def test_small_records_wait_for_room_as_well() -> None:
    async with linked("tcp://127.0.0.1:0", heartbeat=None) as (client, server):
        most = 0

        async def write() -> None:
            nonlocal most
            for number in range(200_000):
                await client.write_bytes(number.to_bytes(100, "little"))
                most = max(most, client.link.outbox.unsent_bytes)

        writer = asyncio.create_task(write())
        await eventually(lambda: client.stats().unsent_bytes > 1 << 18)
        assert not client.try_write_bytes(b"no room")
        for number in range(200_000):
            assert number == int.from_bytes(await server.read_bytes(), "little")
        await writer
        assert 1 << 18 < most <= (1 << 18) + 104
        assert (200_000, 20_000_000) == (client.stats().sent_count, client.stats().sent_bytes)


@pytest.mark.parametrize("form", ["prepared", "text", "json"])
async def test_messages_of_other_forms_wait_for_room_too(link: MakeLink, form: str) -> None:
    async with link(heartbeat=None) as (client, server):
        writes: dict[str, Callable[[], Awaitable[None]]] = {
            "prepared": lambda: client.write_prepared(prepare("last")),
            "text": lambda: client.write_text('"last"'),
            "json": lambda: client.write_json("last"),
        }
        for _ in range(10_000):
            if not client.try_write_bytes(bytes(100_000)):
                break
            await asyncio.sleep(0)
        writing = asyncio.ensure_future(writes[form]())
        reading = asyncio.create_task(_last(server))
        await writing
        assert b'"last"' == await reading


async def _last(connection: Connection) -> bytes | memoryview:
    while True:
        record = await connection.read_bytes()
        if len(record) != 100_000:
            return record


async def test_the_end_between_records_ends_the_iteration(link: MakeLink) -> None:
    async with link() as (client, server):
        for number in range(3):
            await client.write_bytes(bytes([number]))
        await client.close()
        assert [b"\0", b"\1", b"\2"] == [record async for record in server.messages()]
        with pytest.raises(ConnectionClosedError) as caught:
            await server.read_bytes()
        assert caught.value.is_clean
        with pytest.raises(ConnectionClosedError):
            await server.write_bytes(b"x")
        with pytest.raises(ClosedError):
            await client.write_bytes(b"x")
        with pytest.raises(ClosedError):
            await client.flush()
        assert client.is_closed
        assert "closed" in repr(client)
        await client.close()


async def test_wrong_records_are_named_and_the_connection_goes_on(link: MakeLink) -> None:
    async with link() as (client, server):
        with pytest.raises(EncodeError):
            await client.write_json(object())
        await client.write_bytes(b"{")
        await client.write_json([1])
        with pytest.raises(DecodeError):
            await server.read_json()
        assert [1] == await server.read_json(list[int])


@pytest.mark.parametrize("form", ["whole", "stream"])
async def test_a_read_that_is_cancelled_inside_of_a_long_record_leaves_it_to_the_next(
    link: MakeLink, form: str
) -> None:
    record = bytes(range(256)) * (3 << 12)  # three pieces
    async with link() as (client, server):
        for _ in range(5):
            sending = asyncio.create_task(client.write_bytes(record))
            reading = asyncio.create_task(server.read_bytes())
            while not (reading.done() or server._left):  # noqa: ASYNC110  # the very moment
                await asyncio.sleep(0)  # until it has begun; a message of a WebSocket comes whole
            reading.cancel()
            await asyncio.wait({reading})
            if not reading.cancelled():
                assert record == reading.result()
            elif form == "whole":
                assert record == await server.read_bytes()
            else:
                chunks = [(total, bytes(chunk)) async for total, chunk in server.read_bytes_streaming()]
                assert [(len(record), 1 << 20)] * 3 == [(total, len(chunk)) for total, chunk in chunks]
                assert record == b"".join(chunk for _, chunk in chunks)
            await sending
        await client.write_bytes(b"a")
        assert b"a" == await server.read_bytes()


async def test_a_cancelled_read_loses_nothing_and_one_task_reads(link: MakeLink) -> None:
    async with link() as (client, server):
        reader = asyncio.create_task(server.read_bytes())
        await asyncio.sleep(0)
        with pytest.raises(MisuseError):
            await server.read_bytes()
        reader.cancel()
        await asyncio.wait({reader})
        await client.write_bytes(b"a")
        assert b"a" == await server.read_bytes()


async def test_a_callback_gets_each_record_at_once(link: MakeLink) -> None:
    async with link() as (client, server):
        await client.write_bytes(b"early")
        await eventually(lambda: server.stats().unread_bytes)
        got: list[bytes] = []
        server.listen(lambda record: got.append(bytes(record)))
        for number in range(100):
            await client.write_bytes(bytes([number]))
        await eventually(lambda: len(got) == 101)
        assert [b"early", *(bytes([number]) for number in range(100))] == got
        assert 101 == server.stats().received_count


async def test_a_record_that_is_too_long_closes_the_connection() -> None:
    async with linked("tcp://127.0.0.1:0", max_bytes=1000) as (client, server):
        await client.write_bytes(bytes(1001))
        with pytest.raises(FrameTooLargeError, match="1001 bytes is over the limit of 1000"):
            await server.read_bytes()
        with pytest.raises(ConnectionClosedError):
            await client.read_bytes()


@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize("size", [1001, 2 << 20])
async def test_a_callback_is_spared_records_that_are_too_long(size: int, is_early: bool) -> None:
    async with linked("tcp://127.0.0.1:0", max_bytes=1000, heartbeat=None) as (client, server):
        if is_early:
            await client.write_bytes(bytes(size))
            await eventually(lambda: server.link.inbox.unread_bytes)
        server.listen(lambda _: None)
        if not is_early:
            await client.write_bytes(bytes(size))
        await server.wait_closed()
        with pytest.raises(FrameTooLargeError):
            await server.read_bytes()


async def test_a_callback_is_spared_a_record_that_has_begun_and_is_too_long() -> None:
    async with linked("tcp://127.0.0.1:0", max_bytes=1000, heartbeat=None) as (client, server):
        got: list[bytes | memoryview] = []
        client.link.outbox.write([(1001).to_bytes(4, "little") + b"its beginning"])
        await eventually(lambda: not cast(StreamLink, server.link).codec.is_between_records)
        server.listen(got.append)
        client.link.outbox.write([bytes(1001)])
        await server.wait_closed()
        with pytest.raises(FrameTooLargeError, match="1001 bytes is over the limit of 1000"):
            await server.read_bytes()
        assert [] == got


async def test_a_record_that_has_begun_and_is_short_enough_reaches_the_callback() -> None:
    async with linked("tcp://127.0.0.1:0", max_bytes=1000, heartbeat=None) as (client, server):
        got: list[bytes | memoryview] = []
        client.link.outbox.write([(1000).to_bytes(4, "little") + b"its beginning"])
        await eventually(lambda: not cast(StreamLink, server.link).codec.is_between_records)
        server.listen(got.append)
        client.link.outbox.write([bytes(1000 - len(b"its beginning"))])
        await eventually(lambda: 1 == len(got))
        assert 1000 == len(got[0])


async def test_the_rest_of_a_record_is_no_record_for_a_callback() -> None:
    async with linked("tcp://127.0.0.1:0", heartbeat=None) as (client, server):
        client.link.outbox.write([(2 << 20).to_bytes(4, "little"), bytes(2 << 20)])
        pieces = server.read_bytes_streaming()
        assert 2 << 20 == (await anext(pieces))[0]
        with pytest.raises(MisuseError, match="inside a record"):
            server.listen(lambda _: None)
        assert [1 << 20] == [len(piece) async for _, piece in pieces]


async def test_a_length_that_lies_is_refused_before_anything_is_allocated() -> None:
    async with linked("tcp://127.0.0.1:0") as (client, server):
        client.link.outbox.write([(3 << 30).to_bytes(4, "little")])
        with pytest.raises(FrameTooLargeError, match=str(3 << 30)):
            await server.read_bytes()


async def test_streaming_gives_the_size_and_pieces() -> None:
    async with linked("tcp://127.0.0.1:0", max_bytes=10) as (client, server), asyncio.TaskGroup() as group:

        async def write() -> None:
            for size in (0, 5, (2 << 20) + 5, 7):
                await client.write_bytes(bytes(size))

        group.create_task(write())
        assert [(0, b"")] == [each async for each in server.read_bytes_streaming()]
        assert [(5, bytes(5))] == [each async for each in server.read_bytes_streaming()]
        total = (2 << 20) + 5
        chunks = [(size, len(chunk)) async for size, chunk in server.read_bytes_streaming()]
        assert [(total, 1 << 20), (total, 1 << 20), (total, 5)] == chunks
        assert 7 == len(await server.read_bytes())


async def test_what_a_streaming_reader_leaves_is_skipped() -> None:
    async with linked("tcp://127.0.0.1:0") as (client, server), asyncio.TaskGroup() as group:
        group.create_task(client.write_bytes(bytes(5 << 20)))
        async for _ in server.read_bytes_streaming():
            break
        group.create_task(client.write_bytes(b"next"))
        assert b"next" == await server.read_bytes()


async def test_the_end_inside_a_record_is_an_error() -> None:
    async with linked("tcp://127.0.0.1:0") as (client, server):
        client.link.outbox.write([b"\x09\0\0\0half"])
        await client.close()
        with pytest.raises(ConnectionClosedError, match="inside a record") as caught:
            async for _ in server:
                pass
        assert not caught.value.is_clean


@pytest.mark.usefixtures("virtual_clock")
async def test_a_half_open_link_is_found_by_its_silence() -> None:
    async with serve("tcp://127.0.0.1:0", echo, auth_key=KEY) as server:
        port = int(server.address.rsplit(":", 1)[1])
        async with TCPProxy("127.0.0.1", port) as proxy:
            address = f"tcp://127.0.0.1:{proxy.proxy_port}"
            async with connect(address, auth_key=KEY, heartbeat=0.05) as connection:
                await connection.write_bytes(b"a")
                assert b"a" == await connection.read_bytes()
                with proxy.stalled(), pytest.raises(ConnectionClosedError, match="no sign of life"):
                    await connection.read_bytes()


@pytest.mark.usefixtures("virtual_clock")
async def test_a_quiet_link_is_kept_alive_by_its_heartbeats(link: MakeLink) -> None:
    async with link(heartbeat=0.02) as (client, server):
        await eventually(lambda: min(client.link.pulse.asked_count, server.link.pulse.asked_count) > 3)
        await client.write_bytes(b"a")
        assert b"a" == await server.read_bytes()


@pytest.mark.usefixtures("virtual_clock")
async def test_an_idle_link_is_closed(link: MakeLink) -> None:
    async with link(idle_timeout=0.05) as (_, server):
        with pytest.raises(ConnectionClosedError):
            await server.read_bytes()


async def test_a_close_gives_up_on_a_reader_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.transport._connection._CLOSE_SECONDS", 0.05)
    async with linked("tcp://127.0.0.1:0", heartbeat=None) as (client, server):
        await eventually(lambda: not client.try_write_bytes(bytes(100_000)))
        await client.close()
        assert client.link.closed.done()
        server.abort()


async def test_a_close_waits_for_a_slow_reader_to_take_what_was_written(link: MakeLink) -> None:
    async with link(heartbeat=None) as (client, server):
        while client.stats().unsent_bytes < 200_000:  # the buffers of both ends are full
            client.try_write_bytes(bytes(100_000))
            await asyncio.sleep(0)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        records = [len(record) async for record in server]
        await closing
        assert records == [100_000] * client.stats().sent_count


async def test_an_aborted_connection_is_gone_at_once(link: MakeLink) -> None:
    async with link() as (client, server):
        client.abort()
        async with client:
            await client.wait_closed()
        with pytest.raises(ConnectionClosedError):
            await server.read_bytes()


async def test_signs_of_life_wait_for_the_end_of_a_record_in_pieces() -> None:
    async with linked("tcp://127.0.0.1:0") as (client, server):
        assert isinstance(client.link, StreamLink)
        assert isinstance(server.link, StreamLink)
        client.link.begin_record()
        client.link.outbox.write([client.link.codec.header(8) + b"half"])
        server.link._ask()
        await server.write_bytes(b"after the question")
        assert b"after the question" == await client.read_bytes()
        client.link._ask()  # not now
        client.link.outbox.write([b"rest"])
        client.link.end_record()
        assert b"halfrest" == await server.read_bytes()


async def test_many_connections_leave_nothing(mainspring_count: Callable[[int, int], int]) -> None:
    async with serve("tcp://127.0.0.1:0", echo, auth_key=KEY) as server:
        before = descriptors()
        for _ in range(mainspring_count(100, 10_000)):
            async with connect(server.address, auth_key=KEY) as connection:
                await connection.write_bytes(b"a")
                assert b"a" == await connection.read_bytes()
        await eventually(lambda: server.connection_count == 0)
        await eventually(lambda: descriptors() <= before)
        await eventually(lambda: 1 == len(asyncio.all_tasks()))
