"""`mutil.wproxy`: one WebSocket for many clients, over `mainspring.transport.WebSocketProxy`."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.base import Backoff
from mainspring.compat.mutil._places import place
from mainspring.compat.mutil._sockets import Socket
from mainspring.errors import MisuseError
from mainspring.transport import Connection, WebSocketProxy

__all__ = ("DEFAULT_WS_PARAMS", "Client", "Server", "WProxy", "tplatKeys")

DEFAULT_WS_PARAMS: dict[str, Any] = {
    "ping_interval": 300,
    "ping_timeout": 300,
    "close_timeout": 1,
    "max_queue": 256,
    "read_limit": 1 << 20,
}
"""The older library's settings; heartbeats and bounds are the proxy's own here."""


def tplatKeys(rows: Sequence[Mapping[str, Any]]) -> dict[Any, int]:
    """Return the index of each row by its "sym"."""
    return {row["sym"]: index for index, row in enumerate(rows)}


@dataclass(eq=False)
class Client:
    """A client and what it wants. The proxy keeps its own; this is for programs that route by themselves."""

    ws: Any
    keys: set[Any] = field(default_factory=set[Any])
    all: bool = False

    def wants(self, routerKeys: Mapping[Any, int]) -> list[int]:  # noqa: N803
        """Return the indexes of the elements that it wants."""
        return [index for key, index in routerKeys.items() if self.all or key in self.keys]


@dataclass
class Server:
    """The upstream. Subclass it and write `updateSubscribe`; `ws` is its socket while it is connected.

    The proxy connects it, and reads it from the return of `onConnect` on.
    """

    uri: str
    ws: Socket | None = field(default=None, init=False)

    async def updateSubscribe(self, currentKeys: set[Any], newKeys: set[Any], removedKeys: set[Any]) -> None:  # noqa: N803
        """Tell the upstream what is wanted; nothing is told here."""

    async def recv(self) -> str | bytes:
        """Return its next message: in `onConnect`, for answers to a login."""
        return await self._connected().recv()

    async def close(self) -> None:
        """Close the connection; the proxy makes the next one."""
        await self._connected().close()

    def _connected(self) -> Socket:
        if self.ws is None:
            raise MisuseError(what="the upstream", problem="is not connected yet")
        return self.ws


@dataclass
class WProxy:
    """A proxy: `await setup()`, then `await proxy()`."""

    listen: tuple[str, int]
    server: Server
    onConnect: Callable[[Server], Awaitable[Any]] | None = None  # noqa: N815
    routerKeys: Callable[[Any], Mapping[Any, int]] | None = None  # noqa: N815
    updateSubscribe: Callable[[set[Any], set[Any], set[Any]], Awaitable[Any]] | None = None  # noqa: N815
    _proxy: WebSocketProxy | None = field(default=None, init=False, repr=False)

    @property
    def address(self) -> str | None:
        """Where clients connect; None before `setup()`."""
        return None if self._proxy is None else self._proxy.address

    async def setup(self) -> None:
        """Listen, and connect to the upstream."""
        self._proxy = WebSocketProxy(
            place("ws", *self.listen),
            self.server.uri,
            on_connect=self._connected,
            router_keys=self.routerKeys,
            update_subscribe=self._update,
            reconnect=Backoff(0.1, maximum=3.0),
        )
        await self._proxy.start()

    async def proxy(self) -> None:
        """Pump until cancelled, then close."""
        if self._proxy is None:
            raise MisuseError(what="the proxy", problem="needs setup() first")
        try:
            await self._proxy.wait_ended()
        finally:
            await self._proxy.close()

    async def _connected(self, connection: Connection) -> None:
        self.server.ws = Socket(connection)
        if self.onConnect is not None:
            await self.onConnect(self.server)

    async def _update(
        self, connection: Connection, current: frozenset[Any], added: frozenset[Any], removed: frozenset[Any]
    ) -> None:
        update = self.updateSubscribe or self.server.updateSubscribe
        await update(set(current), set(added), set(removed))


async def _run(host: str, port: int, upstream: str) -> None:
    proxy = WProxy((host, port), Server(upstream))
    await proxy.setup()
    pumping = asyncio.ensure_future(proxy.proxy())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, pumping.cancel)
    sys.stdout.write(f"{proxy.address} rebroadcasts {upstream}\n")
    sys.stdout.flush()
    await asyncio.wait({pumping})


if __name__ == "__main__":
    _host, _port, _upstream = [*sys.argv[1:], *("127.0.0.1", "6222", "ws://127.0.0.1:4442")[len(sys.argv) - 1 :]]
    asyncio.run(_run(_host, int(_port), _upstream))
