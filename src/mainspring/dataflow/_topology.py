"""A topology as plain data: stages, the edges between them, and what is refused before anything runs. Pure."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias, get_args  # Any: messages are what a program makes them

from mainspring.base import is_loopback
from mainspring.dataflow._checks import accepts, check_callable, check_choice, check_int, check_pipes
from mainspring.dataflow._jetstream import JetStream
from mainspring.errors import InvalidArgumentError
from mainspring.sinks import Delivery, check_stream_sink, label_of
from mainspring.transport import Connection

Route: TypeAlias = Literal["round-robin", "least-loaded", "broadcast", "manual"]
"""Who gets a message: the next worker, the one with the least in flight, all, or whom the callback says."""

Overflow: TypeAlias = Literal["block", "drop-oldest", "drop-newest"]
"""What happens when a worker does not keep up: its senders wait, or messages are dropped and counted."""

Scheme: TypeAlias = Literal["ws", "tcp"]
"""What a network talks: WebSocket, or records over TCP (`mainspring.transport.connect`)."""

Callback: TypeAlias = Callable[..., Any]

LONGEST_QUEUE: Final = 1 << 20


class NetworkMode(StrEnum):
    """Which side of a connection a network worker is."""

    LISTEN = "listen"
    CONNECT = "connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """How messages reach a stage.

    Args:
        route: for what a callback returns, yields or gives to `Process.send`; None for the stage's default,
            which is "broadcast" before networks and "round-robin" otherwise. "manual": callbacks choose by
            `p.outbound[i].send(x)`, and what they return is not sent.
        key: messages whose `key(message)` is equal reach the same worker, in order; takes the place of `route`.
        overflow: what happens when `max_waiting` messages wait for one worker.
        max_in_flight: messages on their way to one worker and not acknowledged.
        max_waiting: messages that one sender keeps for one worker beyond those.
        via: the stream of a NATS server that carries the messages, in place of sockets between local processes.

    Raises:
        InvalidArgumentError: a value is not of that kind.
    """

    route: Route | None = None
    key: Callable[[Any], object] | None = None
    overflow: Overflow = "block"
    max_in_flight: int = 8192
    max_waiting: int = 8192
    via: JetStream | None = None

    def __post_init__(self) -> None:
        check_choice("route", self.route, (None, *get_args(Route)))
        check_choice("overflow", self.overflow, get_args(Overflow))
        check_callable("key", self.key, optional=True)
        if self.key is not None and self.route is not None:
            raise InvalidArgumentError(argument="route", value=self.route, expected="None beside key=")
        for name in ("max_in_flight", "max_waiting"):
            check_int(name, getattr(self, name), 1, LONGEST_QUEUE)


@dataclass(frozen=True, slots=True)
class Runner:
    """A stage of worker processes, each of which calls `target(p, message)` for one message after another.

    The first stage has nothing to receive: there `target(p)` is a source, a generator or an async generator
    of messages (or a function that sends them). With `read_pipes` there is one worker for each descriptor,
    which gets the messages of that pipe (frames of AsyncPipe); the dataflow owns the descriptors then.

    A second parameter annotated `bytes` gets the message as it travelled; annotated with another type, it
    gets the message checked and converted; without annotation, what the JSON says.

    Args:
        target: plain or async, function or generator; what it returns (None aside) or yields goes to the next
            stage along its edge.
        how_many: workers; None for one per CPU.
        filter: asked in the sender, before a message travels here: `filter(message)`.
        startup: `startup(p)`, plain or async, once in each worker before its first message.
        read_pipes: descriptors to read from; in the first stage only.
        edge: how messages get here.
        title: in descriptions, logs and statistics; the target's name by default.
        sink: takes what the target returns or yields, in batches, beside the next stage; a message is done when it is
            written. A SqlTable has a database of its own here, and a file `{run}` in its path: each batch is a file.
        sink_delivery: the terms on which the sink gets its batches; its retries have no end here.

    Raises:
        InvalidArgumentError: an argument cannot work; it says which.
    """

    target: Callback
    how_many: int | None = 1
    filter: Callable[[Any], object] | None = None
    startup: Callback | None = None
    read_pipes: Sequence[int] | None = None
    edge: Edge = field(default=Edge(), kw_only=True)
    title: str | None = field(default=None, kw_only=True)
    sink: object | None = field(default=None, kw_only=True)
    sink_delivery: Delivery | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_callable("target", self.target)
        check_callable("filter", self.filter, optional=True)
        check_callable("startup", self.startup, optional=True)
        if self.how_many is not None:
            check_int("how_many", self.how_many, 1, 4096)
        if self.read_pipes is not None:
            check_pipes(self.read_pipes)
        _check_sink(self.sink, self.sink_delivery)

    @property
    def width(self) -> int:
        """How many workers it has."""
        if self.read_pipes is not None:
            return len(self.read_pipes)
        return self.how_many if self.how_many is not None else os.cpu_count() or 1

    @property
    def label(self) -> str:
        """What to call it."""
        return self.title or name_of(self.target)

    @property
    def route(self) -> Route:
        """Its edge's route, or the default of runners."""
        return self.edge.route or "round-robin"


@dataclass(frozen=True, slots=True)
class NetworkCxn:
    """What one network worker does. Use `WebSocketCxn`.

    Args:
        host: where to listen or connect to.
        port: 0 for any free one when listening.
        path: of the URL, when connecting.
        mode: listen for clients, or connect to a server (again and again).
        forward_from_client: `f(p, message)` or `f(p, message, client)` for each message of a client, a str or
            bytes as it came; when connecting, `f(p, client)`, which owns the connection until it returns.
        forward_from_internal: `f(p, message)` for each message of the stage before; by default it is sent to
            all clients as JSON.
        filter: asked in the sender, before a message travels here.
        startup: `startup(p)`, once, when the worker listens.
        uri: where to connect to, in place of host, port and path.
        allow_unauthenticated: listen beyond this machine although anybody may connect.
        scheme: "ws", or "tcp" for records over TCP.
        auth_key: what both ends of a connection must have; None for clients that know no key, as browsers.

    Raises:
        InvalidArgumentError: an argument cannot work; it says which.
    """

    host: str = "127.0.0.1"
    port: int = 0
    path: str = "/"
    mode: NetworkMode = NetworkMode.LISTEN
    forward_from_client: Callback | None = None
    forward_from_internal: Callback | None = None
    filter: Callable[[Any], object] | None = None
    startup: Callback | None = None
    uri: str | None = None
    allow_unauthenticated: bool = False
    scheme: Scheme = field(default="ws", kw_only=True)
    auth_key: str | bytes | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, tuple(NetworkMode))
        check_choice("scheme", self.scheme, get_args(Scheme))
        check_int("port", self.port, 0, 65535)
        for name in ("forward_from_client", "forward_from_internal", "filter", "startup"):
            check_callable(name, getattr(self, name), optional=True)
        if self.mode == NetworkMode.LISTEN:
            if self.auth_key is None and not self.allow_unauthenticated and not is_loopback(self.host):
                raise InvalidArgumentError(
                    argument="host",
                    value=self.host,
                    expected="a loopback address",
                    hint="allow_unauthenticated=True lets anybody who reaches the port send and read",
                )
        elif self.uri is None and not self.port:
            raise InvalidArgumentError(argument="port", value=self.port, expected="a port to connect to, or uri=")

    @property
    def url(self) -> str:
        """Where it connects to, or listens."""
        path = self.path if self.scheme == "ws" else ""
        return self.uri or f"{self.scheme}://{self.authority}{path}"

    @property
    def authority(self) -> str:
        """Host and port, as addresses have them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def client_for(self, connection: Connection) -> Any:
        """Return what callbacks get for a connection: the connection. Subclasses may give something else."""
        return connection


class WebSocketCxn(NetworkCxn):
    """One worker that talks WebSocket: it listens for clients, or connects to a server."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class NetworkRunner:
    """A stage at the border: one worker process for each network. The first or the last of a topology.

    `sink` and `sink_delivery` are as those of a Runner.
    """

    networks: Sequence[NetworkCxn]
    edge: Edge = field(default=Edge(), kw_only=True)
    title: str | None = field(default=None, kw_only=True)
    sink: object | None = field(default=None, kw_only=True)
    sink_delivery: Delivery | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_sink(self.sink, self.sink_delivery)
        if not self.networks or any(not isinstance(one, NetworkCxn) for one in _as_objects(self.networks)):
            raise InvalidArgumentError(
                argument="networks", value=self.networks, expected="at least one WebSocketCxn, and nothing else"
            )

    @property
    def width(self) -> int:
        """How many workers it has."""
        return len(self.networks)

    @property
    def label(self) -> str:
        """What to call it."""
        return self.title or "websocket"

    @property
    def route(self) -> Route:
        """Its edge's route, or the default of networks."""
        return self.edge.route or "broadcast"


Stage: TypeAlias = Runner | NetworkRunner


@dataclass(frozen=True, slots=True)
class Topology:
    """Stages in the order in which messages pass them, checked as a whole.

    Raises:
        InvalidArgumentError: they cannot work together; it says which stage, and why.
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise InvalidArgumentError(argument="topology", value=self.stages, expected="at least one stage")
        for level, stage in enumerate(_as_objects(self.stages)):
            if isinstance(stage, Runner):
                self._check_runner(level, stage)
            elif isinstance(stage, NetworkRunner):
                self._check_networks(level, stage)
            else:
                raise _refusal(level, stage, "a Runner or a NetworkRunner")
        self._check_streams()

    def is_last(self, level: int) -> bool:
        """Whether nothing comes after this stage."""
        return level == len(self.stages) - 1

    def _check_streams(self) -> None:
        seen: set[str] = set()
        for level, stage in enumerate(self.stages):
            via = stage.edge.via
            if via is None:
                continue
            if level == 0:
                raise _refusal(level, via, "no via= in the first stage: nothing comes to it")
            if via.stream in seen:
                raise _refusal(level, via, "a stream for each edge")
            seen.add(via.stream)

    def _check_runner(self, level: int, stage: Runner) -> None:
        if level and stage.read_pipes is not None:
            raise _refusal(level, stage.read_pipes, "read_pipes in the first stage only")
        takes = 1 if level == 0 and stage.read_pipes is None else 2
        if not accepts(stage.target, takes):
            form = "target(p): a first stage is a source" if takes == 1 else "target(p, message)"
            raise _refusal(level, stage.target, form)

    def _check_networks(self, level: int, stage: NetworkRunner) -> None:
        is_first, is_last = level == 0, self.is_last(level)
        if not is_first and not is_last:
            raise _refusal(level, stage, "networks in the first or the last stage")
        for network in stage.networks:
            if is_first and network.forward_from_client is None:
                raise _refusal(level, network, "forward_from_client= in the first stage")
            if is_first and network.forward_from_internal is not None:
                raise _refusal(level, network, "no forward_from_internal= in the first stage: nothing comes to it")


def name_of(function: object) -> str:
    """Return what to call a callable."""
    return str(getattr(function, "__name__", type(function).__name__))


def sink_name(stage: Stage) -> str | None:
    """Return what a stage's sink is called; None when it has none."""
    return None if stage.sink is None else label_of(stage.sink)


def _check_sink(sink: object | None, delivery: Delivery | None) -> None:
    if sink is not None:
        check_stream_sink(sink, delivery)
    elif delivery is not None:
        raise InvalidArgumentError(argument="sink_delivery", value=delivery, expected="a sink= beside it")


def _as_objects(items: Sequence[object]) -> Sequence[object]:
    return items  # what a program without a type checker may pass


def _refusal(level: int, value: object, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(argument=f"topology[{level}]", value=value, expected=expected)
