"""AsyncPipe: messages go through whole and in order; ends are heard of; nothing leaks."""

import asyncio
import gc
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from mainspring.concurrency import start_child
from mainspring.errors import (
    ClosedError,
    ConnectionClosedError,
    DecodeError,
    EncodeError,
    FrameTooLargeError,
    InvalidArgumentError,
    MisuseError,
)
from mainspring.testing import eventually
from mainspring.transport import AsyncPipe
from mainspring.transport._pipe import _widen, make_pipe


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_json_and_bytes_share_the_pipe() -> None:
    async with AsyncPipe() as pipe:
        await pipe.write_json({"a": (1, 2)})
        await pipe.write_bytes(b"")
        await pipe.write_bytes(memoryview(bytearray(16)).cast("q"))
        assert {"a": [1, 2]} == await pipe.read_json()
        assert b"" == await pipe.read_bytes()
        assert bytes(16) == await pipe.read_bytes()


async def test_json_is_checked_against_the_type_asked_for() -> None:
    async with AsyncPipe() as pipe:
        await pipe.write_json([1, "x"])
        await pipe.write_json([1, 2])
        with pytest.raises(DecodeError):
            await pipe.read_json(list[int])
        assert [1, 2] == await pipe.read_json(list[int])


@pytest.mark.parametrize("width", [1, 2, 3, 8])
async def test_any_width_of_the_length_works(width: int) -> None:
    async with AsyncPipe(header_bytes=width) as pipe:
        await pipe.write_bytes(b"x" * 200)
        assert b"x" * 200 == await pipe.read_bytes()


async def test_what_does_not_fit_or_has_no_form_is_refused_and_the_pipe_goes_on() -> None:
    async with AsyncPipe(header_bytes=1) as pipe:
        with pytest.raises(FrameTooLargeError):
            await pipe.write_bytes(bytes(256))
        with pytest.raises(EncodeError):
            await pipe.write_json(object())
        await pipe.write_bytes(b"next")
        assert b"next" == await pipe.read_bytes()


async def test_more_than_the_pipe_holds_waits_for_the_reader(mainspring_count: Callable[[int, int], int]) -> None:
    """Megabytes of small messages and one large one, by writers at the same time: all arrive, none is mixed."""
    count = mainspring_count(2_000, 100_000)

    async def write(pipe: AsyncPipe, letter: str) -> None:
        for number in range(count):
            await pipe.write_bytes(f"{letter}{number:9}".encode() * 20)
        await pipe.write_bytes(letter.encode() * 3_000_000)

    async with AsyncPipe() as pipe, asyncio.TaskGroup() as writers:
        for letter in "ab":
            writers.create_task(write(pipe, letter))
        got: dict[str, list[bytes]] = {"a": [], "b": []}
        for _ in range(2 * count + 2):
            payload = bytes(await pipe.read_bytes())
            got[chr(payload[0])].append(payload)
    for letter, payloads in got.items():
        assert [f"{letter}{number:9}".encode() * 20 for number in range(count)] == payloads[:-1]
        assert letter.encode() * 3_000_000 == payloads[-1]


async def test_a_writer_waits_while_nobody_reads_and_memory_is_bounded() -> None:
    async with AsyncPipe() as pipe:
        written = 0

        async def write() -> None:
            nonlocal written
            while True:
                await pipe.write_bytes(bytes(10_000))
                written += 1

        writer = asyncio.create_task(write())
        seen = -1

        def is_stuck() -> bool:
            nonlocal seen
            before, seen = seen, written
            return before == written and pipe.stats().unsent_bytes > 1 << 16

        await eventually(is_stuck)
        assert pipe.stats().unsent_bytes < 1 << 18
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        for _ in range(written):
            assert bytes(10_000) == await pipe.read_bytes()
        assert 0 == pipe.stats().unread_bytes


async def test_a_reader_that_lags_stops_the_pipe_not_the_memory() -> None:
    async with AsyncPipe() as pipe:
        await pipe.write_bytes(b"first")
        assert b"first" == await pipe.read_bytes()  # the loop watches from here on

        async def write() -> None:
            for _ in range(500):
                await pipe.write_bytes(bytes(20_000))

        writer = asyncio.create_task(write())
        await eventually(lambda: pipe.stats().unread_bytes > 1 << 20)
        for _ in range(20):
            await asyncio.sleep(0)
        assert pipe.stats().unread_bytes < (1 << 20) + (1 << 17)
        assert [20_000] * 500 == [len(await pipe.read_bytes()) for _ in range(500)]
        await writer


async def test_the_end_between_messages_ends_the_iteration() -> None:
    async with AsyncPipe() as pipe:
        await pipe.write_bytes(b"a")
        await pipe.write_bytes(b"b")
        await pipe.flush()
        pipe.close_write()
        assert [b"a", b"b"] == [payload async for payload in pipe]
        with pytest.raises(ConnectionClosedError, match="its writer has closed it") as caught:
            await pipe.read_bytes()
        assert caught.value.is_clean
        assert isinstance(caught.value, EOFError)


@pytest.mark.parametrize("cut", [b"\x05\x00", b"\x05\x00\x00\x00abc"])
async def test_the_end_inside_a_message_is_an_error(cut: bytes) -> None:
    read_fd, write_fd = os.pipe()
    async with AsyncPipe(read_from_fd=read_fd) as pipe:
        os.write(write_fd, b"\x01\x00\x00\x00a" + cut)
        os.close(write_fd)
        payloads = aiter(pipe)
        assert b"a" == await anext(payloads)
        with pytest.raises(ConnectionClosedError, match="inside a message") as caught:
            await anext(payloads)
        assert not caught.value.is_clean


async def test_a_closed_reader_raises_at_the_writer() -> None:
    async with AsyncPipe() as pipe:
        pipe.close_read()
        with pytest.raises(ConnectionClosedError, match="its reader is gone"):
            await pipe.write_bytes(b"x")
        with pytest.raises(ConnectionClosedError):
            await pipe.flush()


async def test_a_waiting_writer_hears_that_the_reader_is_gone() -> None:
    read_fd, write_fd = os.pipe()
    async with AsyncPipe(write_to_fd=write_fd) as pipe:
        await pipe.write_bytes(bytes(1 << 20))
        writer = asyncio.create_task(pipe.write_bytes(b"x"))
        await asyncio.sleep(0)
        os.close(read_fd)
        with pytest.raises(ConnectionClosedError):
            await writer


async def test_a_message_above_the_limit_is_refused_after_those_before_it() -> None:
    async with AsyncPipe(max_bytes=10) as pipe:
        for payload in (b"ok", b"x" * 11):
            await pipe.write_bytes(payload)
        assert b"ok" == await pipe.read_bytes()
        with pytest.raises(FrameTooLargeError, match="11 bytes is over the limit of 10"):
            await pipe.read_bytes()


async def test_a_garbage_header_is_refused_before_anything_is_allocated() -> None:
    read_fd, write_fd = os.pipe()
    async with AsyncPipe(read_from_fd=read_fd) as pipe:
        os.write(write_fd, b"\xff" * 8)
        with pytest.raises(FrameTooLargeError):
            await pipe.read_bytes()
        os.close(write_fd)


async def test_a_cancelled_read_loses_nothing_and_one_task_reads() -> None:
    async with AsyncPipe() as pipe:
        reader = asyncio.create_task(pipe.read_bytes())
        await asyncio.sleep(0)
        with pytest.raises(MisuseError):
            await pipe.read_bytes()
        await pipe.write_bytes(b"a")
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert b"a" == await pipe.read_bytes()


async def test_a_cancelled_write_sends_its_message_whole_or_not_at_all() -> None:
    async with AsyncPipe() as pipe:
        await pipe.write_bytes(bytes(2 << 20))  # more than the system holds
        late = [asyncio.create_task(pipe.write_bytes(bytes([number]) * 10)) for number in range(3)]
        await asyncio.sleep(0)
        late[1].cancel()
        assert 2 << 20 == len(await pipe.read_bytes())
        await asyncio.wait(late)
        assert [bytes(10), b"\x02" * 10] == [await pipe.read_bytes() for _ in range(2)]


async def test_closing_wakes_the_reader_and_refuses_what_comes_after() -> None:
    pipe = AsyncPipe()
    reader = asyncio.create_task(pipe.read_bytes())
    await asyncio.sleep(0)
    await pipe.close()
    for call in (reader, pipe.read_bytes(), pipe.write_bytes(b"x")):
        with pytest.raises(ClosedError):
            await call
    await pipe.close()
    assert (None, None) == (pipe.read_fd, pipe.write_fd)
    assert "read_fd=None write_fd=None received=0 sent=0" in repr(pipe)


async def test_closing_sends_what_was_written() -> None:
    read_fd, write_fd = make_pipe()
    async with AsyncPipe(read_from_fd=read_fd) as reader:
        async with AsyncPipe(write_to_fd=write_fd) as writer:
            await writer.write_bytes(bytes(3 << 20))
            reading = asyncio.create_task(reader.read_bytes())
        assert 3 << 20 == len(await reading)


async def test_closing_gives_up_on_a_reader_that_does_not_read(virtual_clock: object) -> None:
    pipe = AsyncPipe()
    await pipe.write_bytes(bytes(3 << 20))
    await pipe.close()
    assert pipe.write_fd is None


async def test_an_end_that_does_not_exist_is_closed() -> None:
    read_fd, write_fd = os.pipe()
    async with AsyncPipe(read_from_fd=read_fd) as reader, AsyncPipe(write_to_fd=write_fd) as writer:
        await reader.flush()
        with pytest.raises(ClosedError, match="write end"):
            await reader.write_bytes(b"x")
        with pytest.raises(ClosedError, match="read end"):
            await writer.read_bytes()
        writer.close_read()
        reader.close_write()


async def test_a_closed_pipe_that_was_never_used_refuses() -> None:
    pipe = AsyncPipe()
    pipe.close_nowait()
    with pytest.raises(ClosedError):
        await pipe.read_bytes()


async def test_sockets_work_and_a_broken_one_is_heard_of() -> None:
    ours, theirs = socket.socketpair()
    async with AsyncPipe(read_from_fd=ours.detach()) as pipe:
        theirs.send(b"\x01\x00\x00\x00a")
        assert b"a" == await pipe.read_bytes()
        theirs.close()
        with pytest.raises(ConnectionClosedError):
            await pipe.read_bytes()


async def test_a_reset_is_an_unclean_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        theirs.close()
    async with AsyncPipe(read_from_fd=ours.detach()) as pipe:
        with pytest.raises(ConnectionClosedError, match="cannot be read") as caught:
            await pipe.read_bytes()
        assert not caught.value.is_clean


@pytest.mark.parametrize("arguments", [{"read_from_fd": 10**6}, {"header_bytes": 0}, {"max_bytes": 0}])
def test_wrong_arguments_are_refused_and_leak_nothing(arguments: dict[str, int]) -> None:
    before = _descriptors()
    with pytest.raises(InvalidArgumentError):
        AsyncPipe(**arguments)
    assert before >= _descriptors()


def test_a_file_is_no_pipe(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file, pytest.raises(InvalidArgumentError, match="an open pipe or socket"):
        AsyncPipe(write_to_fd=file.fileno())


def test_a_forgotten_pipe_is_closed_with_a_warning() -> None:
    before = _descriptors()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AsyncPipe()
        gc.collect()
    assert ["was never closed" in str(one.message) for one in caught] == [True]
    assert before >= _descriptors()


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a pipe is Linux's")
def test_a_pipe_is_as_large_as_the_system_grants() -> None:
    import fcntl

    read_fd, write_fd = make_pipe()
    size = fcntl.fcntl(write_fd, fcntl.F_GETPIPE_SZ)
    assert size >= 1 << 16
    _widen(write_fd)
    assert size == fcntl.fcntl(write_fd, fcntl.F_GETPIPE_SZ)
    os.close(read_fd)
    os.close(write_fd)


def _count_to(write_fd: int, count: int) -> None:
    async def main() -> None:
        async with AsyncPipe(write_to_fd=write_fd) as pipe:
            for number in range(count):
                await pipe.write_json({"number": number, "text": "x" * 80})

    asyncio.run(main())


def _die_in_a_message(write_fd: int) -> None:
    async def main() -> None:
        async with AsyncPipe(write_to_fd=write_fd) as pipe:
            await pipe.write_bytes(b"whole")
            os.write(write_fd, b"\x10\x00\x00\x00half")
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())


async def test_messages_come_from_a_forked_child(mainspring_count: Callable[[int, int], int]) -> None:
    count = mainspring_count(5_000, 1_000_000)
    read_fd, write_fd = make_pipe()
    async with AsyncPipe(read_from_fd=read_fd) as pipe:
        child = await start_child(_count_to, (write_fd, count), start_method="fork")
        os.close(write_fd)
        numbers = [(await pipe.read_json())["number"] for _ in range(count)]
        assert list(range(count)) == numbers
        with pytest.raises(ConnectionClosedError):
            await pipe.read_bytes()
        assert 0 == await child.wait()


async def test_a_writer_killed_inside_a_message_is_noticed_at_once() -> None:
    read_fd, write_fd = make_pipe()
    async with AsyncPipe(read_from_fd=read_fd) as pipe:
        child = await start_child(_die_in_a_message, (write_fd,), start_method="fork")
        os.close(write_fd)
        assert b"whole" == await pipe.read_bytes()
        with pytest.raises(ConnectionClosedError, match="inside a message"):
            await pipe.read_bytes()
        await child.wait()


async def test_a_thousand_pipes_leave_no_descriptor() -> None:
    before = _descriptors()
    for _ in range(1000):
        async with AsyncPipe() as pipe:
            await pipe.write_bytes(b"x")
            assert b"x" == await pipe.read_bytes()
    assert before >= _descriptors()
