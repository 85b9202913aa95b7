"""Clients: connect once, or again and again."""

import asyncio
import contextlib
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias, overload  # Any: what a coroutine that waits is given meanwhile

from mainspring.base import Backoff
from mainspring.resilience import timeout
from mainspring.transport._address import Address, check_safety, parse_address
from mainspring.transport._authenticate import prove_to_server
from mainspring.transport._connection import DEFAULT_MAX_BYTES, Connection
from mainspring.transport._link import Link
from mainspring.transport._options import LinkOptions
from mainspring.transport._reconnect import ReconnectingConnection

OnConnect: TypeAlias = Callable[[Connection], Awaitable[object]]
"""What a client does with each new connection, before anybody else uses it: subscribe again."""


@overload
def connect(
    address: str,
    *,
    auth_key: str | bytes | None,
    reconnect: None = None,
    on_connect: OnConnect | None = None,
    ssl: ssl_module.SSLContext | None = None,
    allow_unauthenticated: bool = False,
    header_bytes: int = 4,
    max_bytes: int = DEFAULT_MAX_BYTES,
    heartbeat: float | None = 15.0,
    idle_timeout: float | None = None,
    handshake_timeout: float = 5.0,
) -> "Dialling": ...
@overload
def connect(
    address: str,
    *,
    auth_key: str | bytes | None,
    reconnect: Backoff,
    on_connect: OnConnect | None = None,
    ssl: ssl_module.SSLContext | None = None,
    allow_unauthenticated: bool = False,
    header_bytes: int = 4,
    max_bytes: int = DEFAULT_MAX_BYTES,
    heartbeat: float | None = 15.0,
    idle_timeout: float | None = None,
    handshake_timeout: float = 5.0,
) -> ReconnectingConnection: ...
def connect(
    address: str,
    *,
    auth_key: str | bytes | None,
    reconnect: Backoff | None = None,
    on_connect: OnConnect | None = None,
    ssl: ssl_module.SSLContext | None = None,
    allow_unauthenticated: bool = False,
    header_bytes: int = 4,
    max_bytes: int = DEFAULT_MAX_BYTES,
    heartbeat: float | None = 15.0,
    idle_timeout: float | None = None,
    handshake_timeout: float = 5.0,
) -> "Dialling | ReconnectingConnection":
    """Return what connects: await it for a Connection, or use `async with` to have it closed as well.

    Args:
        address: `tcp://host:port`, `unix:///path`, `ws://host:port/path` or `wss://...`.
        auth_key: the key that the server has; None means no handshake.
        reconnect: connect again when the connection is lost, after these delays, and give a
            ReconnectingConnection; None: one connection, once.
        on_connect: called with each new connection before it is used.
        ssl: a context that trusts the server's certificate. Off loopback TCP needs it; `wss://` takes the
            system's authorities when it is None.
        allow_unauthenticated: connect off loopback to `ws://` without `auth_key`.
        header_bytes, max_bytes, heartbeat, idle_timeout, handshake_timeout: see `serve`. The last one is also
            the limit for the connecting itself.

    Raises:
        InsecureTransportError: others could read the link or take it over.
        InvalidArgumentError: an argument is outside of its range.
        HandshakeError: when awaited: the server does not speak this protocol, or not in time.
        AuthenticationError: when awaited: one of the two does not know the key.
        OSError: when awaited: nobody is there.
    """
    parsed = parse_address(address)
    if parsed.scheme == "wss" and ssl is None:
        ssl = ssl_module.create_default_context()
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
        is_server=False,
    )
    dialling = Dialling(parsed, options, on_connect)
    return dialling if reconnect is None else ReconnectingConnection(dialling.dial, str(parsed), reconnect)


class Dialling:
    """One connection to be made: `await` it, or `async with` it. Made by `connect`."""

    def __init__(self, address: Address, options: LinkOptions, on_connect: OnConnect | None) -> None:
        self._address = address
        self._options = options
        self._on_connect = on_connect
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<Dialling {self._address}>"

    async def dial(self) -> Connection:
        """Connect, prove both ends, call `on_connect`; return the connection."""
        link = await timeout(self._options.handshake_timeout)(self._open)()
        try:
            if self._options.key is not None:
                await prove_to_server(link, self._options.key, timeout=self._options.handshake_timeout)
            connection = Connection(link, max_bytes=self._options.max_bytes)
            if self._on_connect is not None:
                await self._on_connect(connection)
        except BaseException:
            link.abort()
            with contextlib.suppress(asyncio.CancelledError):  # it is on its way up already
                await link.closed
            raise
        return connection

    def __await__(self) -> Generator[Any, None, Connection]:
        return self.dial().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self.dial()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _open(self) -> Link:
        address, options = self._address, self._options
        if address.is_websocket:
            from mainspring.transport.websocket import dial

            return await dial(address, options)
        loop, link = asyncio.get_running_loop(), options.stream_link(address)
        if address.scheme == "unix":
            await loop.create_unix_connection(lambda: link, address.path)
        else:
            await loop.create_connection(lambda: link, address.host, address.port, ssl=options.ssl)
        if address.scheme == "tcp":
            link.peer = str(address)
        return link
