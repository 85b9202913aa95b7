"""What messages between processes cost: frames one way and back, large frames, JSON pipes, WebSocket fan-out.

Usage: python -m benchmarks.bench_transport [--quick] [--json FILE]

The other end is a process of its own. Targets: 100-byte frames one way 1.5 times pyzmq and 5 times asyncio streams;
none for frames of different sizes;
ping-pong 1.3 times streams with the callback and 1.0 times with `await read_bytes()`; 1 MiB frames twice streams; a
JSON pipe 165 000 messages a second; a broadcast to 100 WebSocket clients 0.95 times bare picows one by one, by the CPU
of the sender, and 3 times in bursts of 10. The rows of a feed, each to the ten of 100 clients that want its key, are
measured beside the least that picows alone would have to do, also by CPU: 0.95 times.
"""

import asyncio
import inspect
import multiprocessing.connection
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle, islice
from typing import Any, cast  # Any: rivals come without types

from benchmarks.support_rounds import Case, Run, limit, options, report, rival, run_case
from benchmarks.support_transport_peers import DELAY, END, ROWS

from mainspring.base import decode_json, encode_json
from mainspring.transport import (
    AsyncPipe,
    Broadcast,
    Connection,
    SlowPolicy,
    WebSocketProxy,
    connect,
    row_keys,
    serve,
)

Send = Callable[[bytes], Any]
JSON_TARGET = 165_000.0


@asynccontextmanager
async def peer(*words: str) -> AsyncGenerator[tuple[int, subprocess.Popen[bytes]]]:
    """Start the other end; give its port."""
    command = [sys.executable, "-m", "benchmarks.support_transport_peers", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:  # noqa: ASYNC220  # before anything is measured
        assert program.stdout is not None
        try:
            if words[0] in ("websocket-clients", "websocket-delays", "websocket-subscribers", "json-pipe"):
                yield 0, program
            else:
                yield int(await asyncio.to_thread(program.stdout.readline)), program
        finally:
            program.kill()


def sending(
    send: Callable[[bytes], Awaitable[object]], end: Callable[[], Awaitable[object]], frames: Sequence[bytes], n: int
) -> Run:
    """Return a round that sends n frames and waits until the other end has them."""

    async def run() -> float:
        for frame in islice(cycle(frames), n):
            await send(frame)
        await send(END)
        await end()
        return n

    return run


async def ours(stack: AsyncExitStack, name: str) -> Connection:
    port, _ = await stack.enter_async_context(peer(name))
    return await stack.enter_async_context(connect(f"tcp://127.0.0.1:{port}", auth_key=None))


async def streams(stack: AsyncExitStack, name: str) -> tuple[Send, Callable[[], Awaitable[bytes]]]:
    port, _ = await stack.enter_async_context(peer(name))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.transport.abort)

    async def send(frame: bytes) -> None:
        writer.write(len(frame).to_bytes(4, "little") + frame)
        await writer.drain()

    async def receive() -> bytes:
        size = int.from_bytes(await reader.readexactly(4), "little")
        return await reader.readexactly(size)

    return send, receive


async def blocking(stack: AsyncExitStack, frames: Sequence[bytes], count: int) -> dict[str, Run]:
    """Return the rivals that block."""
    subjects: dict[str, Run] = {}
    zmq = rival("zmq")
    if zmq is not None:
        port, _ = await stack.enter_async_context(peer("zmq-sink"))
        socket = zmq.Context().socket(zmq.PAIR)
        socket.connect(f"tcp://127.0.0.1:{port}")
        stack.callback(socket.close, 0)
        subjects["pyzmq"] = looped(socket.send, socket.recv, frames, count)
    port, _ = await stack.enter_async_context(peer("connection-sink"))
    link = multiprocessing.connection.Client(("127.0.0.1", port), authkey=b"x" * 16)
    stack.callback(link.close)
    subjects["multiprocessing"] = looped(link.send_bytes, link.recv_bytes, frames, count)
    return subjects


def looped(send: Send, receive: Callable[[], Any], frames: Sequence[bytes], count: int) -> Run:
    async def run() -> float:
        for frame in islice(cycle(frames), count):
            send(frame)
        send(END)
        receive()
        return count

    return run


async def one_way(sizes: Sequence[int], count: int, rounds: int, targets: dict[str, float]) -> list[dict[str, object]]:
    frames, of = [bytes(size) for size in sizes], f" to {max(sizes)}" * (len(sizes) > 1)
    name = f"one way, {min(sizes)}{of} bytes"
    measures: list[dict[str, object]] = []
    async with AsyncExitStack() as stack:
        connection = await ours(stack, "ours-sink")
        send, receive = await streams(stack, "streams-sink")
        subjects = {
            "ours": sending(connection.write_bytes, connection.read_bytes, frames, count),
            "asyncio streams": sending(send, receive, frames, count),
            **await blocking(stack, frames, count),
        }
        for against, target in targets.items():
            case = Case(f"{name}, {against}", "1/s", against, target, by_cpu=False)
            case.subjects = {one: subjects[one] for one in ("ours", against) if one in subjects}
            measures += await run_case(case, rounds)
        rest = Case(f"{name}, {'others' if targets else 'all'}", "1/s", "", 0.0, by_cpu=False, subjects=subjects)
        measures += await run_case(rest, 1 if targets else rounds)
    return measures


async def ping_pong(count: int, rounds: int) -> list[dict[str, object]]:
    frame, measures = bytes(100), list[dict[str, object]]()
    for name, target in (("ours-echo", 1.3), ("ours-echo-read", 1.0)):
        async with AsyncExitStack() as stack:
            connection = await ours(stack, name)
            send, receive = await streams(stack, "streams-echo")

            async def our_round(connection: Connection = connection, by_callback: bool = name == "ours-echo") -> float:
                return await (bounce(connection, frame, count) if by_callback else read_back(connection, frame, count))

            async def stream_round(send: Send = send, receive: Callable[[], Awaitable[bytes]] = receive) -> float:
                for _ in range(count):
                    await send(frame)
                    await receive()
                return count

            metric = "ping-pong, callback" if name == "ours-echo" else "ping-pong, read_bytes"
            case = Case(metric, "1/s", "asyncio streams", target, by_cpu=False)
            case.subjects = {"ours": our_round, "asyncio streams": stream_round}
            measures += await run_case(case, rounds)
    return measures


async def read_back(connection: Connection, frame: bytes, count: int) -> float:
    for _ in range(count):
        await connection.write_bytes(frame)
        await connection.read_bytes()
    return count


async def bounce(connection: Connection, frame: bytes, count: int) -> float:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = count

    def back(_: bytes | memoryview) -> None:
        nonlocal left
        left -= 1
        if left:
            connection.try_write_bytes(frame)
        elif not done.done():
            done.set_result(None)

    connection.listen(back)
    connection.try_write_bytes(frame)
    await done
    return count


async def json_pipe(count: int) -> list[dict[str, object]]:
    async with peer("json-pipe", str(count)) as (_, program):
        assert program.stdout is not None
        read_fd = cast(Any, program.stdout).fileno()  # a pipe of our own
        async with AsyncPipe(read_from_fd=os.dup(read_fd)) as pipe:
            await pipe.read_json()
            began = time.perf_counter()
            for _ in range(count - 1):
                await pipe.read_json()
            rate = (count - 1) / (time.perf_counter() - began)
    target = f">= {JSON_TARGET:,.0f} 1/s"
    metric = "JSON pipe between processes"
    return [
        {
            "metric": metric,
            "subject": "ours",
            "value": rate,
            "unit": "1/s",
            "target": target,
            "met": rate >= JSON_TARGET,
        }
    ]


async def fan_out(count: int, burst: int, target: float, rounds: int) -> list[dict[str, object]]:
    clients, message = 100, b"x" * 100
    async with AsyncExitStack() as stack:
        subjects: dict[str, Run] = {}
        audiences = {"ours": our_audience, "picows": picows_audience, "websockets": websockets_audience}
        for name, make in {**audiences, "aiohttp": aiohttp_audience}.items():
            if name != "ours" and rival(name) is None:
                continue
            port, send = await make(stack)
            _, program = await stack.enter_async_context(peer("websocket-clients", str(port), str(clients)))
            assert program.stdout is not None
            assert b"in\n" == await asyncio.to_thread(program.stdout.readline)
            subjects[name] = broadcasting(send, program.stdout.readline, message, count, burst, clients)
        case = Case(f"fan-out to 100, bursts of {burst}", "1/s", "picows", target, by_cpu=True, subjects=subjects)
        return await run_case(case, rounds)


async def by_key(count: int, rounds: int) -> list[dict[str, object]]:
    """Send the rows of a feed to 100 clients, each to the ten that want its key; one operation is one row to one."""
    clients = 100
    async with AsyncExitStack() as stack:
        subjects: dict[str, Run] = {}
        for name, make in {"ours": our_proxy, "picows": picows_proxy}.items():
            if rival("picows") is None:
                continue
            feed_port, _ = await stack.enter_async_context(peer("websocket-feed"))
            port, ask = await make(stack, feed_port)
            _, program = await stack.enter_async_context(peer("websocket-subscribers", str(port), str(clients)))
            assert program.stdout is not None
            assert b"in\n" == await asyncio.to_thread(program.stdout.readline)
            subjects[name] = asking(ask, program.stdout.readline, count, count * ROWS * clients // 10)
        case = Case("rows of a feed by key, to 100", "1/s", "picows", 0.95, by_cpu=True, subjects=subjects)
        return await run_case(case, rounds)


def asking(ask: Callable[[bytes], object], line: Callable[[], bytes], count: int, deliveries: int) -> Run:
    async def run() -> float:
        ask(b"%d" % count)
        await asyncio.to_thread(line)
        return deliveries

    return run


async def our_proxy(stack: AsyncExitStack, feed_port: int) -> tuple[int, Callable[[bytes], object]]:
    connected: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    async def keep(connection: Connection) -> None:
        connected.set_result(connection)

    proxy = WebSocketProxy(
        "ws://127.0.0.1:0",
        f"ws://127.0.0.1:{feed_port}",
        on_connect=keep,
        router_keys=row_keys("sym"),
        max_waiting=1_000_000,
    )
    await stack.enter_async_context(proxy)
    return int(proxy.address.rsplit(":", 1)[1]), (await connected).try_write_bytes


async def picows_proxy(stack: AsyncExitStack, feed_port: int) -> tuple[int, Callable[[bytes], object]]:
    """Return the same by picows alone: no queues, no limits, nothing for clients that leave."""
    picows = rival("picows")
    wanted: defaultdict[str, list[Any]] = defaultdict(list)
    base: type[Any] = picows.WSListener

    class Subscriber(base):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]  # Any
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            for key in decode_json(frame.get_payload_as_bytes())["subscribe"]:
                wanted[key].append(transport)

    class Upstream(base):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]  # Any
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            for row in decode_json(frame.get_payload_as_bytes()):
                message = encode_json(row)
                for one in wanted[row["sym"]]:
                    one.send(picows.WSMsgType.TEXT, message)

    def make_subscriber(_: object) -> Any:
        return Subscriber()

    server = await picows.ws_create_server(make_subscriber, "127.0.0.1", 0)
    stack.callback(server.close)
    upstream, _ = await picows.ws_connect(Upstream, f"ws://127.0.0.1:{feed_port}/")
    stack.callback(upstream.disconnect, False)
    return server.sockets[0].getsockname()[1], lambda asked: upstream.send(picows.WSMsgType.BINARY, asked)


async def delays(count: int) -> list[dict[str, object]]:
    """Return the 99th percentile of deliveries to 100 clients, one of which does not read."""
    async with AsyncExitStack() as stack:
        port, send = await our_audience(stack, "drop-oldest")
        stalled = await stack.enter_async_context(connect(f"ws://127.0.0.1:{port}", auth_key=None, heartbeat=None))
        _, program = await stack.enter_async_context(peer("websocket-delays", str(port), "99"))
        assert program.stdout is not None
        assert b"in\n" == await asyncio.to_thread(program.stdout.readline)
        while not stalled.link.inbox.is_paused:  # what it does not read fills its side first
            send(bytes(10_000))
            await asyncio.sleep(0.001)
        for _ in range(count):
            send(DELAY.pack(time.monotonic()) + bytes(92))
            await asyncio.sleep(0.01)
        send(END)
        p99 = float(await asyncio.to_thread(program.stdout.readline))
        return [limit("delivery to 100, one of them stalled, p99", "ours", p99, "ms", 20.0)]


def broadcasting(send: Send, line: Callable[[], bytes], message: bytes, count: int, burst: int, clients: int) -> Run:
    async def run() -> float:
        for number in range(count):
            sending = send(message)
            if inspect.isawaitable(sending):
                await sending
            if number % burst == burst - 1:
                await asyncio.sleep(0)
        sending = send(END)
        if inspect.isawaitable(sending):
            await sending
        await asyncio.to_thread(line)
        return count * clients

    return run


async def our_audience(stack: AsyncExitStack, policy: SlowPolicy | None = None) -> tuple[int, Send]:
    """Return the port of a server whose clients hear what is sent; without a policy none of them misses anything."""
    broadcast = Broadcast(policy=policy) if policy else Broadcast(max_waiting=1_000_000, max_waiting_bytes=1 << 30)

    async def handler(connection: Connection) -> None:
        broadcast.add(connection)
        await connection.wait_closed()

    server = await stack.enter_async_context(serve("ws://127.0.0.1:0", handler, auth_key=None))
    return int(server.address.rsplit(":", 1)[1]), broadcast.send


async def picows_audience(stack: AsyncExitStack) -> tuple[int, Send]:
    picows = rival("picows")
    transports: list[Any] = []

    base: type[Any] = picows.WSListener

    class Listener(base):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]  # Any
        def on_ws_connected(self, transport: Any) -> None:
            transports.append(transport)

    def send(message: bytes) -> None:
        for transport in transports:
            transport.send(picows.WSMsgType.BINARY, message)

    def make_listener(_: object) -> Any:
        return Listener()

    server = await picows.ws_create_server(make_listener, "127.0.0.1", 0)
    stack.callback(server.close)
    stack.callback(lambda: [transport.disconnect(False) for transport in transports])
    return server.sockets[0].getsockname()[1], send


async def websockets_audience(stack: AsyncExitStack) -> tuple[int, Send]:
    module = rival("websockets.asyncio.server")
    connections: set[Any] = set()

    async def handler(connection: Any) -> None:
        connections.add(connection)
        await connection.wait_closed()

    server = await module.serve(handler, "127.0.0.1", 0, ping_interval=None)
    stack.callback(server.close)
    return server.sockets[0].getsockname()[1], lambda message: module.broadcast(connections, message)


async def aiohttp_audience(stack: AsyncExitStack) -> tuple[int, Send]:
    web = rival("aiohttp.web")
    sockets: list[Any] = []

    async def handle(request: Any) -> Any:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    async def send(message: bytes) -> None:
        for socket in sockets:
            await socket.send_bytes(message)

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner.addresses[0][1], send


async def main() -> None:
    chosen = options(__doc__)
    scale, rounds = (1, 3) if chosen.quick else (10, 5)
    measures = await one_way([100], 20_000 * scale, rounds, {"pyzmq": 1.5, "asyncio streams": 5.0})
    measures += await one_way(range(60, 141), 20_000 * scale, rounds, {})
    measures += await one_way([1 << 20], 100 * scale, rounds, {"asyncio streams": 2.0})
    measures += await ping_pong(2_000 * scale, rounds)
    measures += await json_pipe(50_000 * scale)
    measures += await fan_out(200 * scale, 1, 0.95, rounds)
    measures += await fan_out(500 * scale, 10, 3.0, rounds)
    measures += await by_key(300 * scale, rounds)
    measures += await delays(100 * scale)
    report(measures, chosen.json)


if __name__ == "__main__":
    asyncio.run(main())
