"""What the tests of connections share."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # Any: the choices of `serve` and `connect`

import pytest

from mainspring.transport import Connection, Handler, Server, connect, serve

MakeLink = Callable[..., AbstractAsyncContextManager[tuple[Connection, Connection]]]
KEY = b"a key of thirty-two random bytes"


async def echo(connection: Connection) -> None:
    """Send back what comes."""
    async for message in connection:
        await connection.write_bytes(message)


@asynccontextmanager
async def linked(address: str, **options: Any) -> AsyncGenerator[tuple[Connection, Connection]]:
    """Give both ends of one connection: the client's and the server's."""
    arrived: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def handler(connection: Connection) -> None:
        arrived.set_result(connection)
        await done.wait()

    server_ssl, client_ssl = options.pop("server_ssl", None), options.pop("client_ssl", None)
    options.setdefault("auth_key", KEY)
    server = serve(address, handler, ssl=server_ssl, **options)
    async with server:
        dial: Any = connect  # Any: the choices are the caller's
        connection: Connection
        async with dial(server.address, ssl=client_ssl, **options) as connection:
            yield connection, await arrived
        done.set()


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server and of a client that trusts it. Needs the peers of the tests."""
    import trustme

    authority: Any = trustme.CA()  # Any: it speaks of another TLS library as well
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


@dataclass(frozen=True)
class Kind:
    """A kind of link: where to serve, and the contexts of both ends."""

    address: str
    server_ssl: ssl.SSLContext | None = None
    client_ssl: ssl.SSLContext | None = None

    def serve(self, handler: Handler, **options: Any) -> Server:
        """Return a server of this kind."""
        return serve(self.address, handler, ssl=self.server_ssl, **options)

    async def connect(self, server: Server, **options: Any) -> Connection:
        """Return a connection to such a server."""
        dial: Any = connect  # Any: the choices are the caller's
        connection: Connection = await dial(server.address, ssl=self.client_ssl, **options)
        return connection


KINDS = ("tcp", "unix", *(pytest.param(name, marks=pytest.mark.extras) for name in ("tls", "ws", "wss")))


def kind_of(name: str, folder: Path) -> Kind:
    """Return a kind by its name."""
    addresses = {"unix": f"unix://{folder}/s", "ws": "ws://127.0.0.1:0", "wss": "wss://127.0.0.1:0"}
    address = addresses.get(name, "tcp://127.0.0.1:0")
    return Kind(address, *contexts(folder)) if name in ("tls", "wss") else Kind(address)
