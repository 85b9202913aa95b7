"""What a server costs for being a service: requests per second, each server in a process of its own.

Usage: python -m benchmarks.bench_servers [--quick] [--json FILE]

16 connections ask one thing after the other; the client is a bare protocol in this process. A TCP server sends back
100 bytes, beside asyncio's own server (`start_server`), a bare protocol and aiomisc; web servers answer 2 bytes, beside
the same library without a service around it. The service adds nothing to a request, so 0.9 of that is the target.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any  # Any: applications of ASGI, rivals without types

from benchmarks.support_rounds import Case, Run, options, report, rival, run_case

from mainspring.runtime import entrypoint
from mainspring.services import AIOHTTPService, TCPServer, UvicornApplication, UvicornService

CONNECTIONS = 16
LINE = b"x" * 99 + b"\n"
GET = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


class Echo(TCPServer):
    """Sends back each line."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await echo(reader, writer)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)


class BareEcho(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def web_application() -> Any:
    from aiohttp import web

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hi")

    app = web.Application()
    app.router.add_get("/", hello)
    return app


class Web(AIOHTTPService):
    """Answers two bytes."""

    async def create_application(self) -> Any:
        return await web_application()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


class Uvicorn(UvicornService):
    """Answers two bytes."""

    async def create_application(self) -> UvicornApplication:
        return asgi


def serve_ours(service: Any) -> None:
    with entrypoint(service, log_level="error") as loop:
        print(service.port, flush=True)
        loop.run_forever()


async def serve_start_server() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def serve_protocol() -> None:
    server = await asyncio.get_running_loop().create_server(BareEcho, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def serve_aiohttp() -> None:
    from aiohttp import web

    runner = web.AppRunner(await web_application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def serve_uvicorn() -> None:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(asgi, port=0, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


def serve_aiomisc(web: bool) -> None:
    aiomisc: Any = rival("aiomisc")
    if web:
        made = type("Web", (rival("aiomisc.service.aiohttp").AIOHTTPService,), {"create_application": _make})
    else:
        made = type("Echo", (rival("aiomisc.service").TCPServer,), {"handle_client": _handle})
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    with aiomisc.entrypoint(made(sock=sock), log_level="error") as loop:
        print(sock.getsockname()[1], flush=True)
        loop.run_forever()


async def _make(_: object) -> Any:
    return await web_application()


async def _handle(_: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await echo(reader, writer)


SERVERS: dict[str, Callable[[], object]] = {
    "echo: ours": lambda: serve_ours(Echo("127.0.0.1", 0)),
    "echo: start_server": lambda: asyncio.run(serve_start_server()),
    "echo: bare protocol": lambda: asyncio.run(serve_protocol()),
    "echo: aiomisc": lambda: serve_aiomisc(False),
    "aiohttp: ours": lambda: serve_ours(Web("127.0.0.1", 0, runner_kwargs={"access_log": None})),
    "aiohttp: alone": lambda: asyncio.run(serve_aiohttp()),
    "aiohttp: aiomisc": lambda: serve_aiomisc(True),
    "uvicorn: ours": lambda: serve_ours(Uvicorn(port=0, access_log=False)),
    "uvicorn: alone": lambda: asyncio.run(serve_uvicorn()),
}


class Client(asyncio.Protocol):
    """Asks `count` times, each time when the whole answer is there; the first answer shows how long all are."""

    def __init__(self, question: bytes, count: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._question = question
        self._left = count
        self._missing = 0
        self._length = len(question) if question is LINE else 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def _ask(self) -> None:
        self._missing = self._length
        self._transport.write(self._question)

    def data_received(self, data: bytes) -> None:
        if not self._length:
            self._head += data
            if not self._head.endswith(b"\r\n\r\nhi"):
                return
            self._length = len(self._head)
            data = self._head
            self._missing = self._length
        self._missing -= len(data)
        if self._missing > 0:
            return
        self._left -= 1
        if self._left:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and not self._left:
            self.done.set_result(None)
        else:
            self.done.set_exception(exc or ConnectionError(f"{self._left} answers are missing"))


@asynccontextmanager
async def serving(name: str) -> AsyncGenerator[int]:
    """Start a server in a process of its own; yield its port."""
    command = [sys.executable, "-m", "benchmarks.bench_servers", "--serve", name]
    loops = {"MAINSPRING_USE_UVLOOP": "0", "AIOMISC_USE_UVLOOP": "0"}  # the same loop for all
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, stdout=pipe, env=os.environ | loops)
    try:
        assert child.stdout is not None
        yield int(await child.stdout.readline())
    finally:
        child.kill()
        await child.wait()


def asking(port: int, question: bytes, count: int) -> Run:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        clients = [Client(question, count // CONNECTIONS) for _ in range(CONNECTIONS)]
        for client in clients:
            await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]  # mypy takes the default for an argument that is needed
        await asyncio.gather(*(client.done for client in clients))
        return count // CONNECTIONS * CONNECTIONS

    return run


async def main(quick: bool) -> list[dict[str, object]]:
    count, rounds = (4_000, 5) if quick else (40_000, 9)
    cases = {
        "echo": Case("echo of 100 bytes", "req/s", "start_server", 1.0, by_cpu=False),
        "aiohttp": Case("2 bytes by aiohttp", "req/s", "alone", 0.9, by_cpu=False),
        "uvicorn": Case("2 bytes by uvicorn", "req/s", "alone", 0.9, by_cpu=False),
    }
    has_rival = rival("aiomisc") is not None
    async with AsyncExitStack() as stack:
        for name in SERVERS:
            kind, _, subject = name.partition(": ")
            if subject != "aiomisc" or has_rival:
                port = await stack.enter_async_context(serving(name))
                cases[kind].subjects[subject] = asking(port, LINE if kind == "echo" else GET, count)
        return [measure for case in cases.values() for measure in await run_case(case, rounds)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        SERVERS[sys.argv[2]]()
    else:
        chosen = options(__doc__)
        report(asyncio.run(main(chosen.quick)), chosen.json)
