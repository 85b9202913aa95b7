"""Calls an ASGI application in this process, and an app with something to show."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Scope

from mainspring.base import Backoff
from mainspring.jobs import JobApp, JobContext

START = datetime(2013, 3, 10, tzinfo=UTC)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks an application, as a browser or a program would."""

    app: ASGIApp
    headers: Mapping[str, str]
    address: str | None = "127.0.0.1"

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, headers=headers)

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Sequence[bytes] = (b"",)
    ) -> Answer:
        """Send a request; underscores in names of headers are hyphens."""
        asked = {**self.headers, **(headers or {})}
        given = {"host": "localhost", **{name.replace("_", "-"): value for name, value in asked.items()}}
        place, _, query = path.partition("?")
        scope: Scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": place,
            "raw_path": quote(place).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "http_version": "1.1",
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
            "client": None if self.address is None else (self.address, 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        chunks = list(body)
        sent: list[Message] = []

        async def receive() -> Message:
            if not chunks:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = next(one for one in sent if one["type"] == "http.response.start")
        data = b"".join(one.get("body", b"") for one in sent)
        return Answer(start["status"], {k.decode().lower(): v.decode() for k, v in start["headers"]}, data)


def make_shop(**options: Any) -> JobApp:
    """Return an app in memory with jobs of several kinds."""
    app = JobApp("shop", store="memory", poll_interval=0.05, schedule=False, **options)

    @app.job("hourly", cron="0 * * * *", timezone="America/New_York", tags=("prices",), config={"api_key": "k", "n": 1})
    async def hourly(ctx: JobContext) -> None:
        """Load the prices of an hour."""
        ctx.log.info("loading %s", ctx.data_interval)
        ctx.progress(1, 2)

    @app.job("a/daily", cron="0 0 * * *", needs=("hourly",))
    async def daily() -> None: ...

    @app.job("greet")
    async def greet(config: dict[str, str]) -> str:
        return f"hello {config['name']}"

    @app.job("second_time", retry=Backoff.constant(0.0, max_tries=2))
    async def second_time(ctx: JobContext) -> None:
        if ctx.attempt == 1:
            raise ValueError("not yet")

    @app.job("boom")
    async def boom() -> None:
        raise ValueError("no luck")

    return app


@asynccontextmanager
async def opened(app: JobApp) -> AsyncGenerator[JobApp]:
    """Open the app for the length of the block."""
    await app.open()
    try:
        yield app
    finally:
        await app.close()
