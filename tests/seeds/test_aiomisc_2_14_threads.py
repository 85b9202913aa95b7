"""Chapter 2.14 of the aiomisc seed: threads. Sleeps are shortened, ports are free ones."""

import asyncio
import concurrent.futures
import contextvars
import hashlib
import math
import random
import struct
import threading
import time
from pathlib import Path

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import ThreadPoolExecutor, new_event_loop, threaded

FACTOR = 0.01


pytestmark = pytest.mark.usefixtures("no_logging")


class Sink:
    """Stands in for netcat: takes what comes over TCP."""

    def __init__(self) -> None:
        self.taken = b""
        self.ended = asyncio.Event()

    async def serve(self, reader, writer):
        self.taken += await reader.read()
        writer.close()
        self.ended.set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def stop(self, writer) -> bytes:
        writer.close()
        await writer.wait_closed()
        await self.ended.wait()
        self.server.close()
        await self.server.wait_closed()
        return self.taken


def test_2_14_1_context_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user_id: contextvars.ContextVar = contextvars.ContextVar("user_id")
    record_struct = struct.Struct(">I")
    audit = tmp_path / "audit.bin"

    @aiomisc.threaded
    def write_user():
        with open(audit, "ab") as fp:
            fp.write(record_struct.pack(user_id.get()))

    @aiomisc.threaded
    def read_log():
        with open(audit, "rb") as fp:
            for chunk in iter(lambda: fp.read(record_struct.size), b""):
                yield record_struct.unpack(chunk)[0]

    written = []

    async def main():
        futures = []
        for _ in range(5):
            user_id.set(random.randint(1, 65535))
            written.append(user_id.get())
            futures.append(write_user())
        await asyncio.gather(*futures)
        async for data in read_log():
            print(data)

    with aiomisc.entrypoint() as loop:
        loop.run_until_complete(main())
    assert sorted(written) == sorted(map(int, capsys.readouterr().out.split()))


def test_2_14_2_threaded() -> None:
    together = threading.Barrier(2, timeout=20)

    @threaded
    def blocking_function():
        together.wait()
        time.sleep(1 * FACTOR)

    async def main():
        await asyncio.gather(
            blocking_function(),
            blocking_function(),
        )

    loop = new_event_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def test_2_14_3_threaded_separate(capsys: pytest.CaptureFixture[str]) -> None:
    @aiomisc.threaded
    def blocking_function():
        time.sleep(1 * FACTOR)

    @aiomisc.threaded_separate
    def long_blocking_function(event: threading.Event):
        while not event.is_set():
            print("Running")
            time.sleep(1 * FACTOR)
        print("Exit")

    async def main():
        stop_event = threading.Event()

        loop = asyncio.get_event_loop()
        loop.call_later(10 * FACTOR, stop_event.set)

        await asyncio.gather(
            blocking_function(),
            long_blocking_function(stop_event),
        )

    with aiomisc.entrypoint() as loop:
        loop.run_until_complete(main())
    lines = capsys.readouterr().out.split()
    assert "Running" == lines[0]
    assert "Exit" == lines[-1]


def test_2_14_4_a_generator_in_a_thread() -> None:
    @aiomisc.threaded_iterable
    def blocking_reader(fname):
        with open(fname, "r+") as fp:
            md5_hash = hashlib.md5()
            for line in fp:
                bytes_line = line.encode()
                md5_hash.update(bytes_line)
                yield bytes_line, md5_hash.hexdigest().encode()

    async def main():
        sink = Sink()
        reader, writer = await asyncio.open_connection("127.0.0.1", await sink.start())
        async with blocking_reader(__file__) as gen:
            async for line, digest in gen:
                writer.write(digest)
                writer.write(b"\t")
                writer.write(line)
                await writer.drain()
        return await sink.stop(writer)

    with aiomisc.entrypoint() as loop:
        taken = loop.run_until_complete(main())
    text = Path(__file__).read_bytes()
    assert text == b"".join(line[33:] for line in taken.splitlines(keepends=True))
    assert hashlib.md5(text).hexdigest().encode() == taken.splitlines()[-1][:32]


def test_2_14_4_infinite_generators() -> None:
    @aiomisc.threaded_iterable(max_size=2)
    def urandom_reader():
        with open("/dev/urandom", "rb") as fp:
            while True:
                yield fp.read(8)

    @aiomisc.threaded_iterable_separate
    def blocking_reader(fname):
        with open(fname) as fp:
            yield from fp

    async def main():
        sink = Sink()
        reader, writer = await asyncio.open_connection("127.0.0.1", await sink.start())
        async for line in blocking_reader(__file__):
            writer.write(line.encode())

        await writer.drain()

        gen = urandom_reader()
        counter = 0
        async for line in gen:
            writer.write(line)
            counter += 1

            if counter == 10:
                break

        await writer.drain()
        await gen.close()

        async with urandom_reader() as gen:
            counter = 0
            async for line in gen:
                writer.write(line)
                counter += 1

                if counter == 10:
                    break

        await writer.drain()
        return await sink.stop(writer)

    with aiomisc.entrypoint() as loop:
        taken = loop.run_until_complete(main())
    text = Path(__file__).read_bytes()
    assert taken.startswith(text)
    assert 160 == len(taken) - len(text)


def urandom_reader():
    with open("/dev/urandom", "rb") as fp:
        while True:
            yield fp.read(1024)


def test_2_14_5_iterator_wrapper() -> None:
    async def main():
        pool = concurrent.futures.ThreadPoolExecutor(1)
        wrapper = aiomisc.IteratorWrapper(urandom_reader, executor=pool, max_size=2)

        async with wrapper as gen:
            md5_hash = hashlib.md5(b"")
            counter = 0
            async for item in gen:
                md5_hash.update(item)
                counter += 1

                if counter >= 100:
                    break

        pool.shutdown()
        return md5_hash.hexdigest()

    with aiomisc.entrypoint() as loop:
        assert 32 == len(loop.run_until_complete(main()))


def test_2_14_6_iterator_wrapper_separate() -> None:
    async def main():
        wrapper = aiomisc.IteratorWrapperSeparate(urandom_reader, max_size=2)

        async with wrapper as gen:
            md5_hash = hashlib.md5(b"")
            counter = 0
            async for item in gen:
                md5_hash.update(item)
                counter += 1

                if counter >= 100:
                    break

        return md5_hash.hexdigest()

    with aiomisc.entrypoint() as loop:
        assert 32 == len(loop.run_until_complete(main()))


def test_2_14_7_the_pool_as_default_executor() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    loop = asyncio.get_event_loop()
    thread_pool = ThreadPoolExecutor(4)
    loop.set_default_executor(thread_pool)

    assert 8 == loop.run_until_complete(threaded(math.pow)(2, 3))
    thread_pool.shutdown()
    loop.close()
    asyncio.set_event_loop(None)


def test_2_14_8_a_thread_waits_for_a_coroutine(capsys: pytest.CaptureFixture[str]) -> None:
    async def coro():
        print("Coroutine started")
        await asyncio.sleep(1 * FACTOR)
        print("Coroutine done")

    @aiomisc.threaded
    def in_thread(loop):
        print("Thread started")
        aiomisc.sync_wait_coroutine(loop, coro)
        print("Thread finished")

    with aiomisc.entrypoint() as loop:
        loop.run_until_complete(in_thread(loop))
    said = capsys.readouterr().out.splitlines()
    assert ["Thread started", "Coroutine started", "Coroutine done", "Thread finished"] == said
