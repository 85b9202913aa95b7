"""An upstream that can be stopped and started again, and clients of a proxy."""

import asyncio
import json
from typing import Any, Self  # Any: what is sent in tests

from mainspring.transport import Connection, Server, connect, serve


class Feed:
    """A WebSocket server that sends what the test says and remembers what it was told."""

    def __init__(self, port: int = 0) -> None:
        self.told: list[Any] = []
        self.connections: list[Connection] = []
        self._port = port
        self._server: Server | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; the second time at the same port."""
        self._server = serve(self.address, self._on_connection, auth_key=None)
        await self._server.start()
        self._port = int(self._server.address.rsplit(":", 1)[1])

    async def stop(self) -> None:
        """Cut all and listen no more."""
        for connection in self.connections:
            connection.abort()
        self.connections.clear()
        if self._server is not None:
            await self._server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def send(self, message: object) -> None:
        """Send to whoever is connected."""
        for connection in self.connections:
            await connection.write_json(message)

    async def _on_connection(self, connection: Connection) -> None:
        self.connections.append(connection)
        async for message in connection:
            self.told.append(json.loads(bytes(message)))


class Client:
    """A client of a proxy: a plain WebSocket client."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    async def dial(cls, address: str) -> Self:
        """Connect."""
        return cls(await connect(address, auth_key=None))

    async def say(self, message: object) -> str:
        """Send a command; return the answer."""
        await self.connection.write_text(message if isinstance(message, str) else json.dumps(message))
        return bytes(await self.connection.read_bytes()).decode()

    async def read(self) -> Any:
        """Return the next message of the feed."""
        async with asyncio.timeout(30):
            return await self.connection.read_json()

    async def close(self) -> None:
        """Go away."""
        await self.connection.close()
