"""Servers: whoever connects and knows the key gets the handler."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl as ssl_module
import stat
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Self, TypeAlias

from mainspring.base import Statistic
from mainspring.errors import (
    BindError,
    ClosedError,
    ConnectionClosedError,
    HandshakeError,
    InvalidArgumentError,
    MisuseError,
)
from mainspring.resilience import timeout
from mainspring.transport._address import Address, check_safety, parse_address
from mainspring.transport._authenticate import admit_client
from mainspring.transport._bind_socket import BIND_HINTS, bind_socket
from mainspring.transport._connection import DEFAULT_MAX_BYTES, Connection
from mainspring.transport._link import Link
from mainspring.transport._options import LinkOptions
from mainspring.transport._own_socket_file import OwnSocketFile

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Connection], Awaitable[object]]
"""What a server does with a connection; when it returns, the connection is closed."""

_BACKLOG: Final = 1024
_WAIT_SECONDS: Final = 5.0


def serve(
    address: str,
    handler: Handler,
    *,
    auth_key: str | bytes | None,
    ssl: ssl_module.SSLContext | None = None,
    allow_unauthenticated: bool = False,
    origins: Collection[str] = (),
    max_connections: int = 1000,
    header_bytes: int = 4,
    max_bytes: int = DEFAULT_MAX_BYTES,
    heartbeat: float | None = 15.0,
    idle_timeout: float | None = None,
    handshake_timeout: float = 5.0,
) -> "Server":
    """Return a server that calls `handler` with each connection that knows the key.

    `async with serve(...) as server:` listens inside of the block, and drains and closes at its end.

    Args:
        address: `tcp://host:port`, `unix:///path`, `ws://host:port/path` or `wss://...`; port 0 is a free one.
        handler: a coroutine function; each connection has its own task. What it raises is logged and ends that
            connection alone.
        auth_key: at least 16 random bytes that clients have as well. None means no handshake: whoever
            reaches the address is served.
        ssl: a context with a certificate. Off loopback TCP needs it.
        allow_unauthenticated: serve off loopback without `auth_key`.
        origins: what browsers may say in a WebSocket request's `Origin`; others are refused.
        max_connections: at a time, those in the handshake included; more are cut at once.
        header_bytes: the width of a record's length on byte streams, the same on both sides.
        max_bytes: the longest record that `read_bytes` takes; streaming reads take any length.
        heartbeat: seconds of silence after which a client is asked for a sign of life, and after as many again
            is cut; None to wait for ever. To take more of a file, or of a long record (not over TLS), is a sign too.
        idle_timeout: seconds without a record after which a connection is closed; None for no limit. One that is
            still being sent, or of which pieces come, counts.
        handshake_timeout: seconds for the whole handshake.

    Raises:
        InsecureTransportError: others could read the link, take it over, or use it unasked.
        InvalidArgumentError: an argument is outside of its range.

    Example:
        >>> async def echo(connection: Connection) -> None:
        ...     async for message in connection:
        ...         await connection.write_bytes(message)
        >>> async def main() -> None:
        ...     async with serve("tcp://127.0.0.1:0", echo, auth_key="a secret of 16 bytes") as server:
        ...         async with connect(server.address, auth_key="a secret of 16 bytes") as connection:
        ...             await connection.write_json({"a": 1})
        ...             print(await connection.read_json())
        >>> from mainspring.transport import connect
        >>> asyncio.run(main())
        {'a': 1}
    """
    parsed = parse_address(address)
    options = LinkOptions.checked(
        auth_key=auth_key,
        ssl=ssl,
        header_bytes=header_bytes,
        max_bytes=max_bytes,
        heartbeat=heartbeat,
        idle_timeout=idle_timeout,
        handshake_timeout=handshake_timeout,
    )
    check_safety(
        parsed,
        ssl=ssl,
        is_authenticated=auth_key is not None,
        allow_unauthenticated=allow_unauthenticated,
        is_server=True,
    )
    if max_connections < 1:
        raise InvalidArgumentError(argument="max_connections", value=max_connections, expected="1 or more")
    return Server(parsed, handler, options, max_connections=max_connections, origins=origins)


class ServerStatistic(Statistic):
    """Counters of one server: connections open now, those that were served, those that were refused."""

    connections: int
    served: int
    refused: int


class Server:
    """Listens, and calls a handler with each connection. Made by `serve`; used from one loop."""

    def __init__(
        self,
        address: Address,
        handler: Handler,
        options: LinkOptions,
        *,
        max_connections: int,
        origins: Collection[str],
    ) -> None:
        self._address = address
        self._handler = handler
        self._options = options
        self._max_connections = max_connections
        self._origins = frozenset(origins)
        self._server: asyncio.Server | None = None
        self._file: OwnSocketFile | None = None
        self._is_closing = False
        self._serving: dict[asyncio.Task[None], Link] = {}
        self._statistic = ServerStatistic(str(address))

    def __repr__(self) -> str:
        state = "closed" if self._is_closing else "new" if self._server is None else "listening"
        return f"<Server {self.address} {state} connections={self.connection_count} refused={self.refused_count}>"

    @property
    def address(self) -> str:
        """Where clients connect; once started, with the port that was given."""
        if self._server is not None and self._address.scheme != "unix" and self._server.sockets:
            port = self._server.sockets[0].getsockname()[1]
            scheme = "wss" if self._address.is_websocket and self._options.ssl else self._address.scheme
            return str(Address(scheme, self._address.host, port, self._address.path))
        return str(self._address)

    @property
    def refused_count(self) -> int:
        """The connections that were cut because there were too many, or whose handshake failed."""
        return self._statistic.refused

    @property
    def connection_count(self) -> int:
        """The connections that are open, those in the handshake included."""
        return len(self._serving)

    async def start(self) -> None:
        """Listen.

        Raises:
            BindError: the address is taken, not of this machine, or not allowed.
            MisuseError: it was started before.
            MissingExtraError: WebSocket needs the extra `ws`.
        """
        if self._server is not None or self._is_closing:
            raise MisuseError(what="the server", problem="is started once")
        try:
            self._server = await self._listen()
        except OSError as error:
            if isinstance(error, BindError):
                raise
            number = error.errno or 0
            # asyncio puts a sentence of its own, with its own punctuation, into the place of the system's words
            reason = os.strerror(number) if number in errno.errorcode else error.strerror or str(error)
            raise BindError(where=str(self._address), reason=reason, hint=BIND_HINTS.get(number)) from error

    async def close(self, *, grace: float = 5.0) -> None:
        """Listen no more, let handlers end, close.

        Handlers that read hear that their connection has ended; they may still write. Those that are not done
        after `grace` seconds are cancelled, and all of them at once when this is cancelled.
        """
        self._is_closing = True
        if self._server is None:
            return
        if self._file is not None:
            self._file.remove()
        self._server.close()
        for link in self._serving.values():
            is_callback = link.deliver != link.inbox.put_many
            link.inbox.end(ConnectionClosedError(what="the server", reason="it is closing", is_clean=True))
            if is_callback:
                link.close()
        try:
            await self._until_served(grace)
        finally:
            await self._end_handlers()
            await _until_closed(self._server)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _end_handlers(self) -> None:
        for task in list(self._serving):
            task.cancel()
        await self._until_served(_WAIT_SECONDS)

    async def _until_served(self, seconds: float) -> None:
        if self._serving:
            await asyncio.wait(list(self._serving), timeout=seconds)

    async def _listen(self) -> asyncio.Server:
        loop, address, options = asyncio.get_running_loop(), self._address, self._options
        if address.is_websocket:
            from mainspring.transport.websocket import listen

            return await listen(address, options, self._on_connected, origins=self._origins)
        timeout = options.handshake_timeout if options.ssl is not None else None
        if address.scheme == "unix":
            sock = _bind_unix(address.path)
            self._file = OwnSocketFile(address.path)
            return await loop.create_unix_server(self._new_link, sock=sock, backlog=_BACKLOG)
        return await loop.create_server(
            self._new_link,
            address.host,
            address.port,
            backlog=_BACKLOG,
            ssl=options.ssl,
            ssl_handshake_timeout=timeout,
        )

    def _new_link(self) -> asyncio.BaseProtocol:
        link = self._options.stream_link(self._address)
        link.on_connected = self._on_connected
        return link

    def _on_connected(self, link: Link) -> None:
        if self._is_closing or len(self._serving) >= self._max_connections:
            self._statistic.refused += 1
            link.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve_one(link), name=f"serve {link.peer}")
        self._serving[task] = link
        self._statistic.connections += 1
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        del self._serving[task]
        self._statistic.connections -= 1

    async def _serve_one(self, link: Link) -> None:
        connection = Connection(link, max_bytes=self._options.max_bytes)
        try:
            if self._options.key is not None:
                await admit_client(link, self._options.key, timeout=self._options.handshake_timeout)
            self._statistic.served += 1
            await self._handler(connection)
        except asyncio.CancelledError:
            link.abort()
            raise
        except HandshakeError as error:
            self._statistic.refused += 1
            log.warning("%s", error)
        except (ConnectionClosedError, ClosedError) as error:
            log.debug("%s: %s", link.peer, error)
        except Exception:  # supervisor: one connection's handler ends that connection alone
            log.exception("the handler of %s failed", link.peer)
        finally:
            await connection.close()


async def _until_closed(server: asyncio.Server) -> None:
    with contextlib.suppress(TimeoutError):  # before 3.12.1 it may wait for what is gone
        async with timeout(_WAIT_SECONDS):
            await server.wait_closed()


def _bind_unix(path: str) -> socket.socket:
    """Return a socket that listens at `path`; one that a dead server left there is replaced, nothing else is."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        is_socket = False
    if is_socket:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            is_dead = probe.connect_ex(path) == errno.ECONNREFUSED
        if is_dead:
            os.unlink(path)
    return bind_socket(socket.AF_UNIX, socket.SOCK_STREAM, address=path, proto_name="unix")
