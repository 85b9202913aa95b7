"""A Sentry that takes envelopes over HTTP and keeps the events."""

import asyncio
import gzip
import json
from typing import Any

from mainspring.services import TCPServer


class SentryStub(TCPServer):
    """Answers each POST with 200 and keeps the events of its envelope."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("127.0.0.1", 0, **kwargs)
        self.events: list[dict[str, Any]] = []
        self.paths: list[str] = []

    @property
    def dsn(self) -> str:
        """What a client is given."""
        return f"http://public@{self.address}:{self.port}/42"

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            self.paths.append(head.split()[1].decode())
            headers: dict[str, str] = {}
            while line := (await reader.readline()).decode().strip():
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self._take(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()

    def _take(self, envelope: bytes) -> None:
        lines = envelope.split(b"\n")[1:]
        for header, payload in zip(lines[::2], lines[1::2], strict=False):
            if json.loads(header).get("type") == "event":
                self.events.append(json.loads(payload))
