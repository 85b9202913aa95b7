"""What the older library's callbacks are given as a websocket: the few methods that its examples call."""

from collections.abc import AsyncIterator

from mainspring.errors import ConnectionClosedError
from mainspring.transport import Connection, TextPayload


class Socket:
    """A WebSocket: `send`, `recv`, `async for`, `close`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def send(self, message: str | bytes) -> None:
        """Send a text, or bytes."""
        if isinstance(message, str):
            await self.connection.write_text(message)
        else:
            await self.connection.write_bytes(message)

    async def recv(self) -> str | bytes:
        """Return the next message: a text as text."""
        return _as_sent(await self.connection.read_bytes())

    async def close(self) -> None:
        """Close."""
        await self.connection.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self.connection.is_closed

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        try:
            async for message in self.connection:
                yield _as_sent(message)
        except ConnectionClosedError:
            return


def _as_sent(message: bytes | memoryview) -> str | bytes:
    return message.decode() if isinstance(message, TextPayload) else bytes(message)
