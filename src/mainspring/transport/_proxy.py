"""WebSocketProxy: one upstream feed, many subscribers.

The upstream is connected once, and again whenever it is lost; then it is told all keys that are wanted. Each
client says which keys it wants, or that it wants everything, and gets it through a `Broadcast`, so that none
waits for another.
"""

import asyncio
import hmac
import logging
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias  # Any: what upstreams and clients send

from mainspring.base import Backoff, decode_json
from mainspring.errors import (
    ClosedError,
    ConnectionClosedError,
    DecodeError,
    FrameTooLargeError,
    InvalidArgumentError,
    MisuseError,
)
from mainspring.resilience import timeout
from mainspring.transport._address import check_safety, parse_address
from mainspring.transport._broadcast import Broadcast, BroadcastStats, SlowPolicy, Subscriber
from mainspring.transport._commands import CommandReader
from mainspring.transport._connect import OnConnect, connect
from mainspring.transport._connection import Connection
from mainspring.transport._prepared import Prepared, prepare
from mainspring.transport._reconnect import ReconnectingConnection
from mainspring.transport._records import TextPayload
from mainspring.transport._router_keys import RouterKeys, in_order
from mainspring.transport._serve import Server, serve
from mainspring.transport._subscriptions import Changes, Key, Subscriptions

log = logging.getLogger(__name__)

UpdateSubscribe: TypeAlias = Callable[[Connection, frozenset[Key], frozenset[Key], frozenset[Key]], Awaitable[object]]
"""Tells the upstream what is wanted: its connection, all keys, those that came, those that went."""

_MIN_TOKEN: Final = 16
_TOKEN_SECONDS: Final = 5.0
_COMMAND_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ProxyStats:
    """What a proxy has done so far.

    Attributes:
        upstream_count: connections to the upstream that were made.
        received_count: messages from the upstream.
        unroutable_count: of these, those that could not be routed by key.
        key_count: keys that are wanted now.
        clients: what the clients got.
    """

    upstream_count: int
    received_count: int
    unroutable_count: int
    key_count: int
    clients: BroadcastStats


class WebSocketProxy:
    """Rebroadcasts one upstream WebSocket to many clients, each with its own subscriptions.

    Clients send JSON objects, several commands in one if they like: `{"subscribe": [keys]}`,
    `{"unsubscribe": [keys]}`, `{"subscribe:all": true}`, `{"unsubscribe:all": true}`; each is answered with its
    first 200 characters. Who wants everything gets the upstream's messages as they are; who wants keys gets the
    elements of these keys, one message each.

    Args:
        listen: `ws://host:port` or `wss://...`, where clients connect.
        upstream: `ws://...` or `wss://...`, the feed.
        on_connect: called with each new connection to the upstream, before it is told the keys.
        router_keys: from a decoded message to the index of each key's element, or the indexes if there are
            several; None: only "subscribe:all" brings anything.
        update_subscribe: tells the upstream which keys are wanted; None: it sends everything anyway.
        auth_key: the key for the handshake of `serve`, which plain WebSocket clients do not know.
        upstream_auth_key: likewise for the upstream.
        tokens: if any, a client's first message must be `{"token": "..."}` with one of them; at least 16
            characters each.
        ssl: a context with a certificate, for `wss://`.
        upstream_ssl: a context for the upstream.
        allow_unauthenticated: listen, and connect, off loopback without key and tokens.
        origins: what browsers may say in their `Origin`.
        policy: what becomes of clients that do not keep up.
        max_waiting: messages that wait for a slow client.
        max_clients: at a time; more are cut.
        max_keys: keys of one client.
        max_bytes: the longest message of the upstream.
        reconnect: the pauses before the upstream is connected again.
        heartbeat: see `serve`.

    Raises:
        InsecureTransportError: others could read or use it unasked.
        InvalidArgumentError: an argument is outside of its range.
    """

    def __init__(
        self,
        listen: str,
        upstream: str,
        *,
        on_connect: OnConnect | None = None,
        router_keys: RouterKeys | None = None,
        update_subscribe: UpdateSubscribe | None = None,
        auth_key: str | bytes | None = None,
        upstream_auth_key: str | bytes | None = None,
        tokens: Collection[str] = (),
        ssl: ssl_module.SSLContext | None = None,
        upstream_ssl: ssl_module.SSLContext | None = None,
        allow_unauthenticated: bool = False,
        origins: Collection[str] = (),
        policy: SlowPolicy = "drop-oldest",
        max_waiting: int = 1000,
        max_clients: int = 1000,
        max_keys: int = 10_000,
        max_bytes: int = 16 << 20,
        reconnect: Backoff | None = None,
        heartbeat: float | None = 15.0,
    ) -> None:
        self._on_connect = on_connect
        self._router_keys = router_keys
        self._update_subscribe = update_subscribe
        self._tokens = _check_tokens(tokens)
        if tokens:
            check_safety(
                parse_address(listen), ssl=ssl, is_authenticated=True, allow_unauthenticated=False, is_server=True
            )
        self._server: Server = serve(
            listen,
            self._serve_client,
            auth_key=auth_key,
            ssl=ssl,
            allow_unauthenticated=allow_unauthenticated or bool(tokens),
            origins=origins,
            max_connections=max_clients,
            max_bytes=_COMMAND_BYTES,
            heartbeat=heartbeat,
        )
        self._upstream: ReconnectingConnection = connect(
            upstream,
            auth_key=upstream_auth_key,
            reconnect=reconnect or Backoff(0.5, maximum=10.0, jitter="full"),
            on_connect=self._greet_upstream,
            ssl=upstream_ssl,
            allow_unauthenticated=allow_unauthenticated,
            max_bytes=max_bytes,
            heartbeat=heartbeat,
        )
        self._broadcast = Broadcast(policy=policy, max_waiting=max_waiting)
        self._subscriptions: Subscriptions[Subscriber] = Subscriptions()
        self._commands = CommandReader(self._subscriptions, max_keys=max_keys)
        self._pump: asyncio.Task[None] | None = None
        self._teller: asyncio.Task[None] | None = None
        self._received_count = 0
        self._unroutable_count = 0

    def __repr__(self) -> str:
        return f"<WebSocketProxy {self.address} of {self._upstream.address} clients={len(self._broadcast)}>"

    @property
    def address(self) -> str:
        """Where clients connect; once started, with the port that was given."""
        return self._server.address

    @property
    def is_connected(self) -> bool:
        """Whether the upstream is connected now."""
        return self._upstream.is_connected

    async def start(self) -> None:
        """Listen, and connect to the upstream in the background.

        Raises:
            BindError: the address cannot be listened on.
            MisuseError: it was started before.
        """
        if self._pump is not None:
            raise MisuseError(what="the proxy", problem="is started once")
        await self._server.start()
        loop = asyncio.get_running_loop()
        self._pump = loop.create_task(self._pump_upstream(), name="proxy upstream")

    async def close(self) -> None:
        """Close the upstream and all clients; to the end, also when this is cancelled."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._server.close)
            stack.push_async_callback(self._broadcast.close)
            stack.push_async_callback(self._end_tasks)
            await self._upstream.close()

    async def wait_ended(self) -> None:
        """Wait until the upstream was given up; forever with a `reconnect` that has no end.

        Raises:
            OSError: the last error of the upstream.
        """
        if self._pump is not None:
            await asyncio.shield(self._pump)  # shielded: it belongs to the proxy

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def stats(self) -> ProxyStats:
        """Return what was done so far."""
        return ProxyStats(
            upstream_count=self._upstream.connect_count,
            received_count=self._received_count,
            unroutable_count=self._unroutable_count,
            key_count=self._subscriptions.key_count,
            clients=self._broadcast.stats(),
        )

    async def _end_tasks(self) -> None:
        tasks = [task for task in (self._pump, self._teller) if task is not None]
        for task in tasks:  # all of them first: the waiting may be cancelled
            task.cancel()
        for task in tasks:
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("the upstream was given up: %s", error)

    # From the upstream to the clients

    async def _greet_upstream(self, connection: Connection) -> None:
        if self._on_connect is not None:
            await self._on_connect(connection)
        await self._tell(connection, self._subscriptions.take_all())

    async def _pump_upstream(self) -> None:
        while True:
            try:
                async for message in self._upstream:
                    self._received_count += 1
                    self._fan_out(message if isinstance(message, bytes) else bytes(message))
                return  # it was closed
            except FrameTooLargeError as error:
                log.error("the upstream is connected again: %s", error)

    def _fan_out(self, message: bytes) -> None:
        # Who was cut has left the broadcast already: with it, there would be as many, and not the same.
        everything = [one for one in self._subscriptions.everything if one.outbox.error is None]
        if everything:
            to = None if len(everything) == len(self._broadcast) else everything  # all of them is the faster way
            self._broadcast.send(Prepared(message, is_text=isinstance(message, TextPayload)), to=to)
        if self._router_keys is None or not self._subscriptions.key_count:
            return
        try:
            self._route(message, self._router_keys)
        except Exception:  # supervisor: a message that cannot be routed is one message
            self._unroutable_count += 1
            level = logging.ERROR if self._unroutable_count == 1 else logging.DEBUG  # a feed may have many
            log.log(level, "a message of the upstream cannot be routed; the next ones are counted", exc_info=True)

    def _route(self, message: bytes, router_keys: RouterKeys) -> None:
        decoded = decode_json(message)
        for index, key in in_order(router_keys(decoded)):
            wants_everything = self._subscriptions.wants_everything
            clients = [one for one in self._subscriptions.clients_of(key) if not wants_everything(one)]
            if clients:
                self._broadcast.send(prepare(decoded[index]), key=key, to=clients)

    # From the clients to the upstream

    async def _serve_client(self, connection: Connection) -> None:
        if self._tokens and not await self._knows_token(connection):
            return
        subscriber = self._broadcast.add(connection)
        try:
            async for message in connection:
                reply = self._commands.take(subscriber, bytes(message))
                await connection.write_text(reply)
                self._tell_soon()
        finally:
            self._broadcast.remove(connection)
            self._subscriptions.drop(subscriber)
            self._tell_soon()

    async def _knows_token(self, connection: Connection) -> bool:
        try:
            async with timeout(_TOKEN_SECONDS):
                said = await connection.read_json(dict[str, Any])
        except (TimeoutError, DecodeError):
            said = {}
        token = str(said.get("token", "")).encode()
        if any([hmac.compare_digest(token, one) for one in self._tokens]):  # noqa: C419  # all, whatever the first says
            await connection.write_json({"token": "accepted"})
            return True
        log.warning("%s does not know a token", connection.peer)
        await connection.write_json({"error": "The first message must be a token that is known"})
        return False

    def _tell_soon(self) -> None:
        """Tell the upstream what changed, once for all that changes meanwhile."""
        if self._update_subscribe is not None and self._teller is None:
            loop = asyncio.get_running_loop()
            teller = loop.create_task(self._tell_upstream(), name="proxy subscriptions")
            self._teller = None if teller.done() else teller  # it may be, where tasks start eagerly

    async def _tell_upstream(self) -> None:
        try:
            while self._subscriptions.has_changes:
                connection = await self._upstream.connection()  # a new one has been told everything
                await self._tell(connection, self._subscriptions.take_changes())
        except (OSError, ClosedError) as error:
            log.debug("the upstream is told everything when it is back: %s", error)
        finally:
            self._teller = None

    async def _tell(self, connection: Connection, changes: Changes | None) -> None:
        if changes is None or self._update_subscribe is None:
            return
        try:
            await self._update_subscribe(connection, *changes)
        except (ConnectionClosedError, ClosedError):
            raise
        except Exception:  # supervisor: what the user's function raises must not end the feed
            log.exception("update_subscribe failed")


def _check_tokens(tokens: Collection[str]) -> tuple[bytes, ...]:
    for token in tokens:
        if len(token) < _MIN_TOKEN:
            raise InvalidArgumentError(
                argument="tokens", value=f"one of {len(token)} characters", expected=f"{_MIN_TOKEN} or more"
            )
    return tuple(token.encode() for token in tokens)
