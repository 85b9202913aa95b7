"""Work in threads and children holds virtual time; foreign peers forbid it to go on."""

import asyncio
import socket
import sys
import threading

import pytest

from mainspring.base import outside_work
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import VirtualClockError
from mainspring.testing import PythonChild, VirtualClock

_ACCEPT_AND_WAIT = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
input()
"""


def _linger(seconds: float = 0.05) -> None:
    threading.Event().wait(seconds)


async def test_an_executor_job_holds_the_clock(virtual_clock: VirtualClock) -> None:
    async with asyncio.TaskGroup() as tasks:
        late = tasks.create_task(asyncio.sleep(1000))
        await asyncio.to_thread(_linger)
        assert virtual_clock.monotonic() == 0.0
        assert not late.done()
    assert virtual_clock.monotonic() == 1000.0


async def test_the_thread_pool_of_the_house_holds_the_clock(virtual_clock: VirtualClock) -> None:
    pool = ThreadPoolExecutor(1)
    try:
        async with asyncio.timeout(1000):
            await pool.run(_linger)
        assert virtual_clock.monotonic() == 0.0
        await asyncio.sleep(5)
    finally:
        await asyncio.to_thread(pool.shutdown)


async def test_a_subprocess_holds_the_clock_until_it_exits(virtual_clock: VirtualClock) -> None:
    async with asyncio.timeout(1000):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
        assert await process.wait() == 0
        shell = await asyncio.create_subprocess_shell("exit 3")
        assert await shell.wait() == 3
    assert virtual_clock.monotonic() == 0.0


def test_work_that_never_ends_is_named_after_the_patience() -> None:
    async def wait_for_nothing() -> None:
        outside_work.count += 2
        try:
            await asyncio.sleep(1)
        finally:
            outside_work.count -= 2

    with VirtualClock(patience=0.05) as clock, pytest.raises(VirtualClockError, match="2 calls in threads"):
        clock.run(wait_for_nothing())


def test_a_thread_that_waits_for_the_loops_time_is_named() -> None:
    async def deadlock() -> None:
        loop, waits = asyncio.get_running_loop(), threading.Event()

        def wait_for_the_loop() -> None:
            slept = asyncio.run_coroutine_threadsafe(asyncio.sleep(1), loop)
            waits.set()
            slept.result(timeout=30)

        call = asyncio.create_task(asyncio.to_thread(wait_for_the_loop))
        await asyncio.sleep(0)
        assert waits.wait(30)  # holds the loop: whoever began later would not hear that the clock is closed
        await call

    with VirtualClock(patience=0.2) as clock, pytest.raises(VirtualClockError, match="1 executor job"):
        clock.run(deadlock())


async def test_a_child_that_never_exits_is_named() -> None:
    async with PythonChild("-c", "input()") as child:

        def simulate() -> None:
            async def main() -> None:
                process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
                try:
                    await asyncio.sleep(1)
                finally:
                    process.kill()
                    await process.wait()

            with VirtualClock(patience=0.2) as clock:
                clock.run(main())

        with pytest.raises(VirtualClockError, match="child processes"):
            await asyncio.to_thread(simulate)
        assert child.returncode is None


async def test_connections_within_the_process_let_time_pass(virtual_clock: VirtualClock) -> None:
    ours, theirs = socket.socketpair()
    pair_reader, pair_writer = await asyncio.open_connection(sock=ours)
    received = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)
        received.set_result(await reader.readexactly(5))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello")
        assert await received == b"hello"
        writer.close()
        await writer.wait_closed()
    assert virtual_clock.monotonic() == 60.0
    theirs.close()
    assert await pair_reader.read() == b""
    pair_writer.close()
    await pair_writer.wait_closed()


def test_a_connection_to_another_process_is_refused() -> None:
    async def serve_and_simulate() -> None:
        async with PythonChild("-c", _ACCEPT_AND_WAIT) as child:
            port = int(await child.line(""))
            await asyncio.to_thread(simulate, port)

    def simulate(port: int) -> None:
        async def main() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.sleep(1)
            finally:
                writer.close()

        with VirtualClock() as clock:
            clock.run(main())

    with pytest.raises(VirtualClockError, match=r"a connection to 127\.0\.0\.1"):
        asyncio.run(serve_and_simulate())


def test_a_loop_without_timers_waits_for_its_threads() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        called = loop.create_future()

        def call_later() -> None:
            _linger(0.02)
            loop.call_soon_threadsafe(called.set_result, None)

        thread = threading.Thread(target=call_later)
        thread.start()
        await called
        thread.join()
        return loop.time()

    with VirtualClock() as clock:
        assert clock.run(main()) == 0.0


async def test_a_closed_connection_can_be_followed_by_another(virtual_clock: VirtualClock) -> None:
    for _ in range(2):
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"x" * 4_000_000)  # more than fits: the writer registers for writing as well
        await asyncio.sleep(1)
        writer.transport.abort()
        await asyncio.sleep(1)
        theirs.close()
    assert virtual_clock.monotonic() == 4.0
