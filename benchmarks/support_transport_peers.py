"""The other ends of bench_transport, each a process of its own: `python -m benchmarks.support_transport_peers NAME`.

A peer prints its port and serves until it is killed. A sink answers a record of 3 bytes with `ok`; an echo sends
back what comes.
"""

import asyncio
import multiprocessing.connection
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import cycle, islice
from struct import Struct
from typing import Any  # Any: rivals come without types

from benchmarks.support_rounds import rival

from mainspring.base import encode_json
from mainspring.transport import AsyncPipe, Connection, serve

END = b"end"
END_ROW = {"sym": "end"}
ROWS = 10
SYMBOLS = 1000
DELAY = Struct("<d")


def say(port: int) -> None:
    print(port, flush=True)


async def forever() -> None:
    await asyncio.Event().wait()


async def ours(handler: Callable[[Connection], Awaitable[object]]) -> None:
    async with serve("tcp://127.0.0.1:0", handler, auth_key=None, max_bytes=1 << 24) as server:
        say(int(server.address.rsplit(":", 1)[1]))
        await forever()


async def sink(connection: Connection) -> None:
    connection.listen(lambda record: len(record) == len(END) and connection.try_write_bytes(b"ok"))
    await connection.wait_closed()


async def echo_callback(connection: Connection) -> None:
    connection.listen(connection.try_write_bytes)
    await connection.wait_closed()


async def echo_read(connection: Connection) -> None:
    while True:
        await connection.write_bytes(await connection.read_bytes())


async def streams(answer_all: bool) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = int.from_bytes(await reader.readexactly(4), "little")
            payload = await reader.readexactly(size)
            if answer_all or size == len(END):
                writer.write(size.to_bytes(4, "little") + payload)
                await writer.drain()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    say(server.sockets[0].getsockname()[1])
    await forever()


def zmq_sink() -> None:
    zmq = rival("zmq")
    socket = zmq.Context().socket(zmq.PAIR)
    say(socket.bind_to_random_port("tcp://127.0.0.1"))
    while True:
        if len(socket.recv()) == len(END):
            socket.send(b"ok")


def connection_sink() -> None:
    listener = multiprocessing.connection.Listener(("127.0.0.1", 0), authkey=b"x" * 16)
    address: Any = listener.address
    say(address[1])
    while True:
        with listener.accept() as connection:
            try:
                while True:
                    if len(connection.recv_bytes()) == len(END):
                        connection.send_bytes(b"ok")
            except EOFError:
                continue


async def websocket_clients(port: str, count: str) -> None:
    """Connect so many clients; answer on a pipe-like line whenever all have got a message that is the end."""
    picows = rival("picows")
    ended = 0

    base: type[Any] = picows.WSListener

    class Listener(base):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]  # Any
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            nonlocal ended
            if frame.payload_size == len(END):
                ended += 1
                if ended % int(count) == 0:
                    print("got", flush=True)

    for _ in range(int(count)):
        await picows.ws_connect(Listener, f"ws://127.0.0.1:{port}/")
    print("in", flush=True)
    await forever()


async def websocket_delays(port: str, count: str) -> None:
    """Connect so many clients; print the 99th percentile, in ms, of the time that messages took to them."""
    picows = rival("picows")
    base: type[Any] = picows.WSListener
    delays: list[float] = []
    ended = 0

    class Listener(base):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]  # Any
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            nonlocal ended
            if frame.payload_size == len(END):
                ended += 1
                if ended == int(count):
                    print(sorted(delays)[len(delays) * 99 // 100] * 1e3, flush=True)
            elif frame.payload_size == 100:
                delays.append(time.monotonic() - DELAY.unpack_from(frame.get_payload_as_bytes())[0])

    for _ in range(int(count)):
        await picows.ws_connect(Listener, f"ws://127.0.0.1:{port}/")
    print("in", flush=True)
    await forever()


async def websocket_feed() -> None:
    """Send as many lists of rows as is asked for, then a row that is the end for everybody."""
    rows = [{"sym": f"S{number}", "price": 100.25 + number, "size": 100 * number} for number in range(SYMBOLS)]
    lists = [rows[start : start + ROWS] for start in range(0, SYMBOLS, ROWS)]

    async def feed(connection: Connection) -> None:
        async for asked in connection:
            for one in islice(cycle(lists), int(bytes(asked))):
                await connection.write_json(one)
            await connection.write_json([END_ROW])

    async with serve("ws://127.0.0.1:0", feed, auth_key=None) as server:
        say(int(server.address.rsplit(":", 1)[1]))
        await forever()


async def websocket_subscribers(port: str, count: str) -> None:
    """Connect so many clients, each of which wants a tenth of the symbols; say when all have got the end."""
    picows = rival("picows")
    base: type[Any] = picows.WSListener
    end, ended = encode_json(END_ROW), 0

    class Listener(base):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]  # Any
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            nonlocal ended
            if frame.payload_size == len(end):
                ended += 1
                if ended % int(count) == 0:
                    print("got", flush=True)

    for number in range(int(count)):
        transport, _ = await picows.ws_connect(Listener, f"ws://127.0.0.1:{port}/")
        keys = [f"S{symbol}" for symbol in range(number % 10, SYMBOLS, 10)]
        transport.send(picows.WSMsgType.TEXT, encode_json({"subscribe": [*keys, "end"]}))
    print("in", flush=True)
    await forever()


async def json_pipe(count: str) -> None:
    """Write JSON documents to standard output."""
    document = {"sym": "AAPL", "price": 187.25, "size": 100, "flags": ["a", "b"]}
    async with AsyncPipe(write_to_fd=1) as pipe:
        for _ in range(int(count)):
            await pipe.write_json(document)


PEERS: dict[str, Callable[..., Any]] = {
    "ours-sink": lambda: asyncio.run(ours(sink)),
    "ours-echo": lambda: asyncio.run(ours(echo_callback)),
    "ours-echo-read": lambda: asyncio.run(ours(echo_read)),
    "streams-sink": lambda: asyncio.run(streams(False)),
    "streams-echo": lambda: asyncio.run(streams(True)),
    "zmq-sink": zmq_sink,
    "connection-sink": connection_sink,
    "websocket-clients": lambda *words: asyncio.run(websocket_clients(*words)),
    "websocket-delays": lambda *words: asyncio.run(websocket_delays(*words)),
    "websocket-feed": lambda: asyncio.run(websocket_feed()),
    "websocket-subscribers": lambda *words: asyncio.run(websocket_subscribers(*words)),
    "json-pipe": lambda *words: asyncio.run(json_pipe(*words)),
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:])
