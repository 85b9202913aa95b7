"""`mutil.aioserver`: servers and clients under their older names, with the handshake of mainspring.

The older handshake can be passed without the key, by reflecting it; it is spoken with `olderHandshake=True`, for
peers that know no other. Keys have 16 bytes at least, and plain TCP stays on this machine. `listen()` returns when
it listens, `shutdown()` stops it.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainspring.compat.mutil._older_handshake import CHALLENGE, FAILURE, WELCOME, Accept, OlderServer, connect_older
from mainspring.compat.mutil._pickle_cxn import PickleCxn
from mainspring.compat.mutil._places import place
from mainspring.compat.mutil._sockets import Socket
from mainspring.errors import ConnectionClosedOK, MisuseError
from mainspring.runtime import bind_socket_file
from mainspring.transport import Connection, Server, connect, serve

__all__ = (
    "CHALLENGE",
    "FAILURE",
    "WELCOME",
    "ClientTCP",
    "ClientUnix",
    "ClientWebSocket",
    "ConnectionClosedOK",
    "PickleCxn",
    "ServerTCP",
    "ServerUnix",
    "ServerWebSocket",
)

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.1

_Starting = Coroutine[Any, Any, Server]
_Callback = Callable[[PickleCxn], Any]


@dataclass
class _Listener:
    cb: _Callback
    headerBytes: int = 4  # noqa: N815
    authKey: str | bytes | None = field(default=None, repr=False)  # noqa: N815
    olderHandshake: bool = field(default=False, kw_only=True)  # noqa: N815
    _server: Server | OlderServer | None = field(default=None, init=False, repr=False)

    def _address(self) -> str:
        raise NotImplementedError

    async def _listen(self, accept: Accept) -> asyncio.Server:
        raise NotImplementedError

    @property
    def address(self) -> str | None:
        """Where it listens; None before `listen()`."""
        return None if self._server is None else self._server.address

    async def listen(self) -> None:
        """Listen; return when that is so."""
        # It refuses what is unsafe, for both.
        self._server = serve(self._address(), self._serve, auth_key=self.authKey, header_bytes=self.headerBytes)
        if self.olderHandshake:
            key = _older_key(self.authKey)
            self._server = OlderServer(self._listen, self._serve, key, header_bytes=self.headerBytes)
        await self._server.start()

    async def shutdown(self) -> None:
        """Stop."""
        if self._server is not None:
            await self._server.close()

    async def _serve(self, connection: Connection) -> None:
        result = self.cb(PickleCxn(connection, headerBytes=self.headerBytes))
        if inspect.isawaitable(result):
            await result
        else:
            await connection.wait_closed()  # a plain callback has started what goes on


@dataclass
class ServerTCP(_Listener):
    """Listens on TCP."""

    host: str = "127.0.0.1"
    port: int = 0

    def _address(self) -> str:
        return place("tcp", self.host, self.port)

    async def _listen(self, accept: Accept) -> asyncio.Server:
        return await asyncio.start_server(accept, self.host, self.port)


@dataclass
class ServerUnix(_Listener):
    """Listens on a Unix socket."""

    path: str | Path = ""

    def _address(self) -> str:
        return f"unix://{self.path}"

    async def _listen(self, accept: Accept) -> asyncio.Server:
        return await asyncio.start_unix_server(accept, sock=bind_socket_file(self.path))


@dataclass
class ServerWebSocket:
    """Listens for WebSockets; without authentication, on this machine only."""

    host: str = "127.0.0.1"
    port: int = 0
    address: str | None = field(default=None, init=False)

    def server(self, state: Any, forward: Callable[..., Any] | None = None) -> Callable[[], _Starting]:
        """Return a coroutine function that starts the server and returns it.

        `state.state["clients"]` holds the websockets; `forward(state, message)`, or with the websocket as a
        third argument, is called for every message.
        """
        forward = forward or _default_forward
        wants_socket = len(inspect.signature(forward).parameters) > 2
        clients: dict[Socket, None] = {}
        state.state["clients"] = clients

        async def handler(connection: Connection) -> None:
            socket = Socket(connection)
            clients[socket] = None
            try:
                async for message in socket:
                    arguments = (state, message, socket) if wants_socket else (state, message)
                    result = forward(*arguments)
                    if inspect.isawaitable(result):
                        result = await result
                    if forward is _default_forward:
                        await socket.send(result)
            finally:
                clients.pop(socket, None)

        async def start() -> Server:
            server = serve(place("ws", self.host, self.port), handler, auth_key=None)
            await server.start()
            self.address = server.address
            return server

        return start


def _older_key(key: str | bytes | None) -> bytes:
    if key is None:
        raise MisuseError(what="the older handshake", problem="needs an authKey")
    return key.encode() if isinstance(key, str) else key


def _default_forward(state: Any, message: str | bytes) -> str:
    return f"Default reply: {message[:64]!s}"


@dataclass
class _Client:
    headerBytes: int = 4  # noqa: N815
    authKey: str | bytes | None = field(default=None, repr=False)  # noqa: N815
    olderHandshake: bool = field(default=False, kw_only=True)  # noqa: N815
    cxn: PickleCxn | None = field(default=None, init=False)

    def _address(self) -> str:
        raise NotImplementedError

    async def connect(self) -> None:
        """Connect."""
        dialling = connect(self._address(), auth_key=self.authKey, header_bytes=self.headerBytes)
        if self.olderHandshake:
            key = _older_key(self.authKey)
            connection = await connect_older(*await self._open(), key, header_bytes=self.headerBytes)
        else:
            connection = await dialling
        self.cxn = PickleCxn(connection, headerBytes=self.headerBytes)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise NotImplementedError

    def _connected(self) -> PickleCxn:
        if self.cxn is None:
            raise ConnectionError("connect() comes first")
        return self.cxn

    def closed(self) -> bool:
        """Tell whether nothing can be sent any more."""
        return self.cxn is None or self.cxn.connection.is_closed

    async def close(self) -> None:
        """Close."""
        if self.cxn is not None:
            await self.cxn.connection.close()

    async def writeObj(self, obj: Any) -> None:
        """See `PickleCxn`."""
        await self._connected().writeObj(obj)

    async def writeBytes(self, b: bytes | bytearray | memoryview) -> None:
        """See `PickleCxn`."""
        await self._connected().writeBytes(b)

    async def tryWriteBytes(self, b: bytes | bytearray | memoryview) -> None:
        """See `PickleCxn`."""
        await self._connected().tryWriteBytes(b)

    async def writeFromFile(self, path: str | Path, prefix: bytes = b"") -> int:
        """See `PickleCxn`."""
        return await self._connected().writeFromFile(path, prefix)

    def readBytesStreaming(self) -> AsyncIterator[tuple[int, bytes | memoryview]]:
        """See `PickleCxn`."""
        return self._connected().readBytesStreaming()

    async def readIntoFile(self, path: str | Path) -> int:
        """See `PickleCxn`."""
        return await self._connected().readIntoFile(path)


@dataclass
class ClientTCP(_Client):
    """Connects over TCP."""

    host: str = "127.0.0.1"
    port: int = 0

    def _address(self) -> str:
        return place("tcp", self.host, self.port)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)


@dataclass
class ClientUnix(_Client):
    """Connects to a Unix socket."""

    path: str | Path = ""

    def _address(self) -> str:
        return f"unix://{self.path}"

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.path)


@dataclass
class ClientWebSocket:
    """Connects to a WebSocket, again and again."""

    uri: str

    def connect(
        self, p: Any, worker: Callable[[Any, Socket], Awaitable[Any]]
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Return a coroutine function that calls `worker(p, websocket)` with each connection until it returns True."""

        async def run() -> None:
            while True:
                with suppress(OSError):  # nobody there, or lost: again, in a moment
                    async with connect(self.uri, auth_key=None) as connection:
                        if await worker(p, Socket(connection)) is True:
                            return
                        continue
                await asyncio.sleep(_RETRY_SECONDS)

        return run
