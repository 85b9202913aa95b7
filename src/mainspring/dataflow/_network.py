"""A network worker: clients on one side, the topology on the other."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable
from typing import Any, Final  # Any: callbacks of any form

from mainspring.base import Backoff
from mainspring.dataflow._handler import Handler
from mainspring.dataflow._topology import NetworkCxn, NetworkMode
from mainspring.errors import ConnectionClosedError, HandshakeError
from mainspring.transport import Connection, Server, connect, prepare, serve

log = logging.getLogger(__name__)

_RECONNECT: Final = Backoff(0.1, maximum=5.0)
_LOSSES: Final = (ConnectionClosedError, HandshakeError, OSError)


class Network:
    """Listens for clients, or connects to a server again and again.

    The clients that are connected lie in `p.state["clients"]`, a dict whose keys are Connections.
    """

    def __init__(self, network: NetworkCxn, handler: Handler) -> None:
        self._network = network
        self._handler = handler
        self._process = handler.process
        self._process.state["clients"] = {}
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
            f"ws://{network.host}:{network.port}",
            self._serve,
            auth_key=None,
            allow_unauthenticated=network.allow_unauthenticated,
        )
        await self._server.start()
        host, _, port = self._server.address.removeprefix("ws://").rstrip("/").rpartition(":")
        self._process.address = (host, int(port))
        return f"{host}:{port}"

    async def close(self) -> None:
        """Take nothing more, say goodbye to clients."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._server is not None:
            await self._server.close()

    def forward(self, process: object, message: object) -> None:
        """Send a message to all clients as JSON: what a last stage does when no callback is given."""
        prepared = prepare(message)
        for client in self._clients:
            client.try_write_bytes(prepared)

    @property
    def _clients(self) -> dict[Connection, None]:
        clients: dict[Connection, None] = self._process.state["clients"]
        return clients

    async def _serve(self, client: Connection) -> None:
        self._clients[client] = None
        try:
            async for blob in client:
                await self._take(blob, client)
        except ConnectionClosedError as error:
            log.debug("a client was cut off: %s", error)
        finally:
            self._clients.pop(client, None)

    async def _take(self, blob: bytes | memoryview, client: Connection) -> None:
        callback = self._network.forward_from_client
        if callback is not None:
            message = _text_if_it_is(bytes(blob))
            await self._handler.handle_client(callback, message, *((client,) if self._takes_client else ()))

    async def _connect(self) -> None:
        """Keep a connection; the callback owns it until it returns, and returns True to have no other."""
        delays = _RECONNECT.delays()
        while True:
            try:
                async with connect(self._network.url, auth_key=None, allow_unauthenticated=True) as client:
                    delays = _RECONNECT.delays()
                    if await self._own(client):
                        return
            except _LOSSES as error:
                log.debug("%s: %s", self._network.url, error)
            await asyncio.sleep(next(delays))

    async def _own(self, client: Connection) -> bool:
        self._clients[client] = None
        callback = self._network.forward_from_client
        try:
            if callback is None:
                await client.wait_closed()
                return False
            result = callback(self._process, client)
            return (await result if isinstance(result, Awaitable) else result) is True
        finally:
            self._clients.pop(client, None)


def _counts_parameters(callback: Any) -> int:
    try:
        return len(inspect.signature(callback).parameters)
    except (TypeError, ValueError):
        return 2


def _text_if_it_is(blob: bytes) -> str | bytes:
    """Return a client's message as text; one that is no UTF-8 is bytes."""
    try:
        return blob.decode()
    except UnicodeDecodeError:
        return blob
