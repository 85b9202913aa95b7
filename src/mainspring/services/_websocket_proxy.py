"""WebSocketProxyService: a WebSocketProxy beside the other services of a program."""

import ssl as ssl_module
from collections.abc import Collection
from typing import Any

from mainspring.base import Backoff
from mainspring.errors import MisuseError
from mainspring.runtime import Service
from mainspring.transport import OnConnect, ProxyStats, RouterKeys, SlowPolicy, UpdateSubscribe, WebSocketProxy


class WebSocketProxyService(Service):
    """Rebroadcasts one upstream WebSocket to many clients; see `mainspring.transport.WebSocketProxy`.

    It is ready when it listens, and healthy while the upstream is connected. It fails when the upstream is
    given up. Override the methods, or pass functions, to speak to a certain upstream.

    Attributes:
        listen: where clients connect.
        upstream: the feed.
        router_keys, update_subscribe, on_connect: functions; see the proxy for these and all that follow.

    Raises:
        MisuseError: `upstream` is missing.
    """

    listen: str = "ws://127.0.0.1:6222"
    upstream: str = ""
    on_connect: OnConnect | None = None
    router_keys: RouterKeys | None = None
    update_subscribe: UpdateSubscribe | None = None
    auth_key: str | bytes | None = None
    upstream_auth_key: str | bytes | None = None
    tokens: Collection[str] = ()
    ssl: ssl_module.SSLContext | None = None
    upstream_ssl: ssl_module.SSLContext | None = None
    allow_unauthenticated: bool = False
    origins: Collection[str] = ()
    policy: SlowPolicy = "drop-oldest"
    max_waiting: int = 1000
    max_clients: int = 1000
    max_keys: int = 10_000
    max_bytes: int = 16 << 20
    reconnect: Backoff | None = None
    heartbeat: float | None = 15.0

    _proxy: WebSocketProxy | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.upstream:
            raise MisuseError(what="a WebSocketProxyService", problem="needs upstream=")
        self._make()  # refuses what is unsafe, now

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.address} of {self.upstream}>"

    @property
    def address(self) -> str:
        """Where clients connect; once started, with the port that was given."""
        return self.listen if self._proxy is None else self._proxy.address

    def stats(self) -> ProxyStats | None:
        """Return what was done so far; None before the start."""
        return None if self._proxy is None else self._proxy.stats()

    def healthy(self) -> bool:
        """Say whether the upstream is connected."""
        return self._proxy is not None and self._proxy.is_connected

    async def start(self) -> None:
        """Listen, and rebroadcast until the upstream is given up."""
        self._proxy = self._make()
        await self._proxy.start()
        self.start_event.set()
        await self._proxy.wait_ended()

    async def stop(self, exception: Any = None) -> None:
        """Close the upstream and all clients."""
        if self._proxy is not None:
            await self._proxy.close()

    def _make(self) -> WebSocketProxy:
        return WebSocketProxy(
            self.listen,
            self.upstream,
            on_connect=self.on_connect,
            router_keys=self.router_keys,
            update_subscribe=self.update_subscribe,
            auth_key=self.auth_key,
            upstream_auth_key=self.upstream_auth_key,
            tokens=self.tokens,
            ssl=self.ssl,
            upstream_ssl=self.upstream_ssl,
            allow_unauthenticated=self.allow_unauthenticated,
            origins=self.origins,
            policy=self.policy,
            max_waiting=self.max_waiting,
            max_clients=self.max_clients,
            max_keys=self.max_keys,
            max_bytes=self.max_bytes,
            reconnect=self.reconnect,
            heartbeat=self.heartbeat,
        )
