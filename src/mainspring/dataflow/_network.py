"""A network worker: clients on one side, the topology on the other."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from typing import Any, Final  # Any: callbacks of any form

from mainspring.base import Backoff
from mainspring.dataflow._handler import Handler
from mainspring.dataflow._topology import NetworkCxn, NetworkMode
from mainspring.errors import ConnectionClosedError, HandshakeError
from mainspring.transport import Broadcast, Connection, Server, TextPayload, connect, prepare, serve

log = logging.getLogger(__name__)

_RECONNECT: Final = Backoff(0.1, maximum=5.0)
_LOSSES: Final = (ConnectionClosedError, HandshakeError, OSError)


class Network:
    """Listens for clients, or connects to a server again and again.

    Those who are connected are the keys of the dict `p.state["clients"]`: Connections, or what `client_for` gives.
    """

    def __init__(self, network: NetworkCxn, handler: Handler) -> None:
        self._network = network
        self._handler = handler
        self._process = handler.process
        self._process.state["clients"] = {}
        self._broadcast = Broadcast()
        self._server: Server | None = None
        self._connecting: asyncio.Task[None] | None = None
        callback = network.forward_from_client
        self._takes_client = callback is not None and _counts_parameters(callback) > 2

    async def open(self) -> str:
        """Listen, or begin to connect; return the address that clients need, "" when there is none."""
        network = self._network
        if network.mode == NetworkMode.CONNECT:
            self._connecting = asyncio.create_task(self._connect(), name="dataflow-connect")
            return ""
        self._server = serve(
            f"{network.scheme}://{network.authority}",
            self._serve,
            auth_key=network.auth_key,
            allow_unauthenticated=network.allow_unauthenticated,
        )
        await self._server.start()
        host, _, port = self._server.address.partition("://")[2].rstrip("/").rpartition(":")
        self._process.address = (host.strip("[]"), int(port))
        return f"{host}:{port}"

    async def close(self) -> None:
        """Take nothing more, say goodbye to clients."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self._broadcast.close()
        if self._server is not None:
            await self._server.close()

    def forward(self, process: object, message: object) -> None:
        """Send a message to all clients as JSON: what a last stage does when no callback is given.

        A client that does not keep up misses messages and harms nobody.
        """
        self._broadcast.send(prepare(message))

    async def _serve(self, connection: Connection) -> None:
        with self._present(connection) as client:
            try:
                async for blob in connection:
                    await self._take(blob, client)
            except ConnectionClosedError as error:
                log.debug("a client was cut off: %s", error)

    async def _take(self, blob: bytes | memoryview, client: Any) -> None:
        callback = self._network.forward_from_client
        if callback is not None:
            message = bytes(blob).decode() if isinstance(blob, TextPayload) else bytes(blob)
            await self._handler.handle_client(callback, message, *((client,) if self._takes_client else ()))

    async def _connect(self) -> None:
        """Keep a connection; the callback owns it until it returns, and returns True to have no other."""
        network, delays = self._network, _RECONNECT.delays()
        while True:
            try:
                async with connect(network.url, auth_key=network.auth_key, allow_unauthenticated=True) as connection:
                    delays = _RECONNECT.delays()
                    if await self._own(connection):
                        return
            except _LOSSES as error:
                log.debug("%s: %s", network.url, error)
            await asyncio.sleep(next(delays))

    async def _own(self, connection: Connection) -> bool:
        callback = self._network.forward_from_client
        with self._present(connection) as client:
            if callback is None:
                await connection.wait_closed()
                return False
            result = callback(self._process, client)
            return (await result if isinstance(result, Awaitable) else result) is True

    @contextmanager
    def _present(self, connection: Connection) -> Generator[Any]:
        """Let a connection be one of the clients."""
        clients: dict[Any, None] = self._process.state["clients"]
        client = self._network.client_for(connection)
        clients[client] = None
        self._broadcast.add(connection)
        try:
            yield client
        finally:
            clients.pop(client, None)
            self._broadcast.remove(connection)


def _counts_parameters(callback: Any) -> int:
    try:
        return len(inspect.signature(callback).parameters)
    except (TypeError, ValueError):
        return 2
