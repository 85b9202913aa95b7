"""Files travel as records; they appear whole or not at all."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit.transport.support_links import KEY, MakeLink, contexts, descriptors, linked

from mainspring.concurrency import start_child
from mainspring.errors import ClosedError, ConnectionClosedError, FrameTooLargeError
from mainspring.testing import eventually
from mainspring.transport import Broadcast, Connection, connect, serve

LARGE = 5 * (1 << 20) + 7


@pytest.fixture(params=["tcp", "unix", pytest.param("tls", marks=pytest.mark.extras)])
def link(request: pytest.FixtureRequest, tmp_path: Path) -> MakeLink:
    """Give what makes both ends of a connection of each kind of stream."""
    if request.param == "unix":
        return partial(linked, f"unix://{tmp_path}/s")
    if request.param == "tls":
        server_ssl, client_ssl = contexts(tmp_path)
        return partial(linked, "tcp://127.0.0.1:0", server_ssl=server_ssl, client_ssl=client_ssl)
    return partial(linked, "tcp://127.0.0.1:0")


def _file(folder: Path, size: int) -> Path:
    path = folder / f"file-{size}"
    path.write_bytes(os.urandom(size))
    return path


@pytest.mark.parametrize("size", [0, 1, 100_000, LARGE])
async def test_a_file_arrives_as_it_was(link: MakeLink, tmp_path: Path, size: int) -> None:
    source, target = _file(tmp_path, size), tmp_path / "new" / "folder" / "target"
    async with link() as (client, server):
        sending = asyncio.create_task(client.send_file(source))
        assert size == await server.receive_file(target)
        assert size == await sending
        assert source.read_bytes() == target.read_bytes()
        assert [target] == list(target.parent.iterdir())
        await client.write_bytes(b"next")
        assert b"next" == await server.read_bytes()


async def test_a_prefix_is_part_of_the_record(link: MakeLink, tmp_path: Path) -> None:
    source = _file(tmp_path, LARGE)
    async with link() as (client, server):
        sending = asyncio.create_task(client.send_file(source, prefix=b"name\n"))
        assert b"name\n" + source.read_bytes() == await server.read_bytes()
        assert LARGE + 5 == await sending


async def test_other_writers_wait_for_the_end_of_the_file(link: MakeLink, tmp_path: Path) -> None:
    source = _file(tmp_path, LARGE)
    async with link() as (client, server):
        sending = [asyncio.create_task(client.send_file(source)) for _ in range(2)]
        await eventually(lambda: client._writing is not None)
        assert not client.try_write_bytes(b"now")
        writing = asyncio.create_task(client.write_bytes(b"later"))
        prepared = asyncio.create_task(client.flush())
        sizes = sorted([len(await server.read_bytes()) for _ in range(3)])
        assert [5, LARGE, LARGE] == sizes
        await asyncio.gather(*sending)
        await asyncio.gather(writing, prepared)


async def test_a_file_that_becomes_shorter_closes_the_connection(
    link: MakeLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _file(tmp_path, LARGE)
    real = os.fstat

    def taller(fd: int) -> os.stat_result:
        values = list(real(fd))
        values[6] += 100
        return os.stat_result(values)

    async with link() as (client, server):
        monkeypatch.setattr(os, "fstat", taller)
        sending = asyncio.create_task(client.send_file(source))
        with pytest.raises(ConnectionClosedError):
            await server.receive_file(tmp_path / "target")
        monkeypatch.undo()
        with pytest.raises(OSError, match="became shorter"):
            await sending
        with pytest.raises(ConnectionClosedError):
            await client.write_bytes(b"x")
    assert {source.name} == set(os.listdir(tmp_path)) - {"s"}


async def test_a_cancelled_file_closes_the_connection(link: MakeLink, tmp_path: Path) -> None:
    source = _file(tmp_path, 8 * LARGE)  # more than sockets and inbox take
    async with link(heartbeat=None) as (client, server):
        sending = asyncio.create_task(client.send_file(source))
        await eventually(lambda: server.stats().unread_bytes)
        sending.cancel()
        await asyncio.wait({sending})
        assert sending.cancelled()
        assert client.is_closed
        with pytest.raises(ConnectionClosedError):
            await server.receive_file(tmp_path / "target")


@pytest.mark.usefixtures("virtual_clock")
async def test_what_takes_long_to_arrive_is_no_silence(link: MakeLink, tmp_path: Path) -> None:
    """Neither end can be asked for a sign of life inside of a record, nor answer; to take some of it is one."""
    source = _file(tmp_path, 8 * LARGE)
    async with link(heartbeat=5.0, idle_timeout=10.0) as (client, server):
        sends: list[Callable[[], Coroutine[Any, Any, object]]] = [lambda: client.send_file(source)]
        if "tls" not in client.link.kind:  # whose transport does not tell what it holds
            sends.append(lambda: client.write_bytes(source.read_bytes()))
        for send in sends:
            sending = asyncio.create_task(send())
            received = 0
            async for _, chunk in server.read_bytes_streaming():
                received += len(chunk)
                await asyncio.sleep(1.0)
            assert 8 * LARGE == received
            await sending


async def test_a_peer_that_goes_away_ends_the_sending(link: MakeLink, tmp_path: Path) -> None:
    source = _file(tmp_path, 8 * LARGE)
    async with link(heartbeat=None) as (client, server):
        sending = asyncio.create_task(client.send_file(source))
        await eventually(lambda: server.stats().unread_bytes)
        server.abort()
        with pytest.raises((ConnectionClosedError, ClosedError)):
            await sending


async def test_what_is_no_file_is_refused_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with linked("tcp://127.0.0.1:0") as (client, server):
        os.mkfifo(tmp_path / "fifo")
        reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(tmp_path / "fifo", os.O_WRONLY)
        for path in (tmp_path / "nothing", tmp_path / "fifo", tmp_path):
            with pytest.raises(OSError):
                await client.send_file(path)
        os.close(reader)
        os.close(writer)
        await client.write_bytes(b"a")
        assert b"a" == await server.read_bytes()


async def test_a_fifo_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    async with linked("tcp://127.0.0.1:0") as (client, server):
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(OSError, match="no regular file"):
            await client.send_file(tmp_path / "fifo")
        await client.write_bytes(b"a")
        assert b"a" == await server.read_bytes()


async def test_who_is_cancelled_at_any_moment_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that opens a file goes on meanwhile; what it opens is closed and removed."""
    is_opening, may_open = threading.Event(), threading.Event()
    real_open: Any = Path.open

    def slow_open(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.suffix == ".partial":
            is_opening.set()
            may_open.wait(10)
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", slow_open)
    async with linked("tcp://127.0.0.1:0") as (client, server):
        await client.write_bytes(b"contents")
        receiving = asyncio.create_task(server.receive_file(tmp_path / "target"))
        await asyncio.to_thread(is_opening.wait, 10)
        receiving.cancel()
        await asyncio.wait({receiving})
        assert receiving.cancelled()
        before = descriptors()
        may_open.set()
        await asyncio.to_thread(lambda: None)
        await eventually(lambda: descriptors() <= before and [] == os.listdir(tmp_path))


async def test_a_file_above_what_the_length_can_say_is_refused(tmp_path: Path) -> None:
    async with linked("tcp://127.0.0.1:0", header_bytes=2) as (client, server):
        with pytest.raises(FrameTooLargeError):
            await client.send_file(_file(tmp_path, 70_000))
        await client.write_bytes(b"a")
        assert b"a" == await server.read_bytes()


async def test_a_file_that_cannot_be_written_leaves_nothing_and_the_rest_is_skipped(tmp_path: Path) -> None:
    source = _file(tmp_path, LARGE)
    (tmp_path / "taken").mkdir()
    async with linked("tcp://127.0.0.1:0") as (client, server):
        sending = asyncio.create_task(client.send_file(source))
        with pytest.raises(OSError):
            await server.receive_file(tmp_path / "taken")
        await sending
        await client.write_bytes(b"a")
        assert b"a" == await server.read_bytes()
        assert {"taken", source.name} == set(os.listdir(tmp_path))


@pytest.mark.extras
async def test_a_websocket_carries_a_file_as_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _file(tmp_path, 100_000)
    async with linked("ws://127.0.0.1:0") as (client, server):
        sending = asyncio.create_task(client.send_file(source, prefix=b"x"))
        assert 100_001 == await server.receive_file(tmp_path / "target")
        await sending
        monkeypatch.setattr("mainspring.transport._files._MESSAGE_BYTES", 1000)
        with pytest.raises(FrameTooLargeError) as refused:
            await client.send_file(source)
        assert "over TCP" in str(refused.value.hint)  # there is no option that would raise this limit


def _send(address: str, source: str) -> None:
    async def main() -> None:
        connection = await connect(address, auth_key=KEY, header_bytes=5)
        await connection.send_file(source)

    asyncio.run(main())


async def test_a_peer_killed_inside_a_file_leaves_no_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(4 << 30)
    outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    has_begun = asyncio.Event()

    async def handler(connection: Connection) -> None:
        try:
            async for _ in connection.read_bytes_streaming():
                has_begun.set()
                await asyncio.sleep(0.005)
        except BaseException as error:
            outcome.set_result(error)
            raise
        outcome.set_result(None)

    async with serve("tcp://127.0.0.1:0", handler, auth_key=KEY, header_bytes=5) as server:
        child = await start_child(_send, (server.address, str(source)))
        await has_begun.wait()
        child.kill()
        error = await outcome
        assert isinstance(error, ConnectionClosedError)
        assert not error.is_clean
        assert -signal.SIGKILL == await child.wait()


async def test_a_writer_that_waited_for_room_does_not_write_into_a_file_that_began_meanwhile(tmp_path: Path) -> None:
    source = _file(tmp_path, LARGE)
    async with linked("tcp://127.0.0.1:0") as (client, server):
        outbox = client.link.outbox
        outbox.pause()
        filing = asyncio.create_task(client.send_file(source))
        writing = asyncio.create_task(client.write_bytes(b"small"))
        await asyncio.sleep(0)
        outbox.resume()
        assert source.read_bytes() == await server.read_bytes()
        assert b"small" == await server.read_bytes()
        await asyncio.gather(filing, writing)


async def test_what_was_broadcast_before_a_file_goes_before_it(tmp_path: Path) -> None:
    source = _file(tmp_path, 10)
    broadcast = Broadcast()
    async with linked("tcp://127.0.0.1:0") as (client, server), broadcast:
        broadcast.add(client)
        await client.write_bytes(b"first")
        broadcast.send(b"second")
        await client.send_file(source)
        assert [b"first", b"second", source.read_bytes()] == [bytes(await server.read_bytes()) for _ in range(3)]
