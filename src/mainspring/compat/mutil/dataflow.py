"""`mutil.dataflow`: the older spellings of `mainspring.dataflow`.

Callbacks send by themselves (`p.outbound[i].sendWithFilter(x)`); what they return is not sent. A worker that dies
is restarted, and what it was not done with is given to the next one. Wrong arguments are refused at once.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from enum import Enum, StrEnum, auto
from typing import Any

from mainspring.compat.mutil._sockets import Socket
from mainspring.dataflow import Dataflow, Edge, NetworkRunner, Outbound
from mainspring.dataflow import NetworkCxn as _NetworkCxn
from mainspring.dataflow import NetworkMode as _NetworkMode
from mainspring.dataflow import Process as _Process
from mainspring.dataflow import Runner as _Runner
from mainspring.errors import InvalidArgumentError
from mainspring.transport import Connection

__all__ = (
    "Dataflow",
    "Forward",
    "NetworkCxn",
    "NetworkMode",
    "NetworkRunner",
    "Pipe",
    "Process",
    "PythonCxn",
    "Runner",
    "Server",
    "WebSocketCxn",
)

_KEY = "mutil.dataflow.Process"


class NetworkMode(StrEnum):
    """As `mainspring.dataflow.NetworkMode`."""

    Listen = "listen"
    Connect = "connect"
    Worker = "worker"


class Server(Enum):
    """What a network talks: WebSocket, records over TCP, or WebSocket with a key."""

    WebSocket = auto()
    Python = auto()
    PythonWebSocket = auto()


class Forward(Enum):
    """Two ways to route. Nothing takes them, now as before: callbacks choose among `p.outbound`."""

    Hash = auto()
    Broadcast = auto()


class Pipe:
    """The way to one worker of the next level, under its older names."""

    def __init__(self, p: _Process, outbound: Outbound) -> None:
        self._process = p
        self._outbound = outbound

    def send(self, obj: Any) -> None:
        """Send if the receiver's filter accepts it."""
        self._outbound.send(obj)

    def sendWithFilter(self, obj: Any) -> None:
        """Send if the receiver's filter accepts it."""
        self._outbound.send(obj)

    def sendAlways(self, obj: Any) -> None:
        """Send without asking the filter."""
        self._outbound.send_always(obj)

    async def asyncSendWithFilter(self, obj: Any) -> None:
        """Send if the receiver's filter accepts it; wait while it does not keep up."""
        self._outbound.send(obj)
        await self._process.drain()

    async def asyncSendAlways(self, obj: Any) -> None:
        """Send without asking the filter; wait while the receiver does not keep up."""
        self._outbound.send_always(obj)
        await self._process.drain()

    async def asyncSendJSONStringAlways(self, encoded: bytes) -> None:
        """Send what is JSON already."""
        self._outbound.send_encoded(encoded)
        await self._process.drain()


class Process:
    """What callbacks get as `p`.

    Attributes:
        id: level and place, as "1.3".
        mode: of its network; Worker for a Runner's.
        server: what its network talks; None for a Runner's.
        outbound: a Pipe to each worker of the next level.
        state: for the program; a network's clients are under "clients".
    """

    def __init__(self, p: _Process, mode: NetworkMode, server: Server | None) -> None:
        self.id = p.id
        self.mode = mode
        self.server = server
        self.outbound = [Pipe(p, one) for one in p.outbound]
        self.state = p.state

    def __repr__(self) -> str:
        return f"<Process {self.id}>"


class Runner(_Runner):
    """A level of worker processes."""

    __slots__ = ()

    def __init__(
        self,
        target: Callable[..., Any],
        howMany: int | None = 1,  # noqa: N803  # the older spelling
        filter: Callable[[Any], Any] | None = None,
        startup: Callable[..., Any] | None = None,
        readPipes: Sequence[int] | None = None,  # noqa: N803  # the older spelling
        *,
        how_many: int | None = None,
    ) -> None:
        super().__init__(
            _with_process(target),
            howMany if how_many is None else how_many,
            filter,
            None if startup is None else _with_process(startup),
            readPipes,
            edge=Edge(route="manual"),
        )


class NetworkCxn(_NetworkCxn):
    """One network of a level at the border. `pipes` and `cxn` were the older module's own: None."""

    __slots__ = ()

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "/",
        proto: Server = Server.WebSocket,
        mode: NetworkMode = NetworkMode.Listen,
        auth: str | bytes | None = None,
        pipes: None = None,
        filter: Callable[[Any], Any] | None = None,
        forwardFromClient: Callable[..., Any] | None = None,  # noqa: N803  # the older spelling
        forwardFromInternal: Callable[..., Any] | None = None,  # noqa: N803  # the older spelling
        startup: Callable[..., Any] | None = None,
        cxn: None = None,
        uri: str | None = None,
    ) -> None:
        _check(proto, mode, pipes, cxn)

        def adapted(callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
            return None if callback is None else _with_process(callback, mode, proto)

        super().__init__(
            host,
            port,
            path,
            _NetworkMode(mode),
            adapted(forwardFromClient),
            adapted(forwardFromInternal),
            filter,
            adapted(startup),
            uri,
            scheme="tcp" if proto is Server.Python else "ws",
            auth_key=auth,
        )

    def client_for(self, connection: Connection) -> Any:
        """Return what callbacks get for a connection: an object with `send`, `recv` and `async for`."""
        return Socket(connection)


class WebSocketCxn(NetworkCxn):
    """A network that talks WebSocket."""

    __slots__ = ()


class PythonCxn(NetworkCxn):
    """A network that talks records over TCP, to the clients of `aioserver`."""

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({} if len(args) > 3 else {"proto": Server.Python}) | kwargs)


def _check(proto: object, mode: object, pipes: object, cxn: object) -> None:
    for argument, value in (("pipes", pipes), ("cxn", cxn)):
        if value is not None:
            raise InvalidArgumentError(argument=argument, value=value, expected="None: the dataflow makes its own")
    if not isinstance(proto, Server):
        raise InvalidArgumentError(argument="proto", value=proto, expected="a Server")
    if mode not in tuple(_NetworkMode):
        raise InvalidArgumentError(argument="mode", value=mode, expected="NetworkMode.Listen or NetworkMode.Connect")


def _with_process(
    callback: Callable[..., Any], mode: NetworkMode = NetworkMode.Worker, server: Server | None = None
) -> Callable[..., Any]:
    @functools.wraps(callback)
    def call(p: _Process, *arguments: Any) -> Any:
        process: Process | list[Any] = p.state[_KEY]  # one for each worker, made at its first use
        if not isinstance(process, Process):
            process = p.state[_KEY] = Process(p, mode, server)
        return _ignored(callback(process, *arguments))

    return call


def _ignored(result: Any) -> Any:
    """Let a coroutine be awaited; anything else that was returned means nothing here."""
    return result if inspect.isawaitable(result) else None
