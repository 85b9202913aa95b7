"""A web server with faults, on a free port of this host, and a clock that a test can move."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web

from mainspring.base import SystemClock


class MovedClock(SystemClock):
    """Stands at the moment when it was made, so many seconds ahead: no day ends within a test, and no answer ages."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._made_at = SystemClock.time()

    def time(self) -> float:
        return self._made_at + self.ahead

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


class FaultyServer:
    """Answers with `body` and counts; the attributes say what goes wrong."""

    def __init__(self) -> None:
        self.body = b"first"
        self.content_type = "text/plain"
        self.charset: str | None = "utf-8"
        self.etag = ""
        self.last_modified = ""
        self.status = 200
        self.truncated = False
        self.gate: asyncio.Event | None = None
        """When set, no answer leaves before this event."""
        self.requests: list[web.Request] = []
        self.address = ""

    @property
    def count(self) -> int:
        return len(self.requests)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.gate is not None:
            await self.gate.wait()
        headers = {"ETag": self.etag} if self.etag else {}
        if self.last_modified:
            headers["Last-Modified"] = self.last_modified
        known = request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")
        if self.status == 200 and any(known) and known == (self.etag or None, self.last_modified or None):
            return web.Response(status=304, headers=headers)
        if self.truncated:
            return await self._break_off(request)
        return web.Response(
            status=self.status, body=self.body, headers=headers, content_type=self.content_type, charset=self.charset
        )

    async def _break_off(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        transport = request.transport
        assert transport is not None
        transport.close()
        return response


@asynccontextmanager
async def running_server() -> AsyncGenerator[FaultyServer]:
    """Serve on a free port of this host."""
    server = FaultyServer()
    application = web.Application()
    application.router.add_get("/{name}", server.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.address = f"http://{host}:{port}"
        yield server
    finally:
        if server.gate is not None:
            server.gate.set()
        await runner.cleanup()
