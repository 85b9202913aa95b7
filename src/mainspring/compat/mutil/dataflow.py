"""`mutil.dataflow`: the older spellings of `mainspring.dataflow`.

Callbacks send by themselves (`p.outbound[i].sendWithFilter(x)`); what they return is not sent. A worker that dies
is restarted, and what it was not done with is given to the next one. Wrong arguments are refused at once.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from mainspring.compat.mutil._sockets import Socket
from mainspring.dataflow import Dataflow, Edge, NetworkRunner, Outbound, Scheme
from mainspring.dataflow import NetworkCxn as _NetworkCxn
from mainspring.dataflow import NetworkMode as _NetworkMode
from mainspring.dataflow import Process as _Process
from mainspring.dataflow import Runner as _Runner
from mainspring.transport import Connection

__all__ = (
    "Dataflow",
    "NetworkCxn",
    "NetworkMode",
    "NetworkRunner",
    "Pipe",
    "Process",
    "PythonCxn",
    "Runner",
    "WebSocketCxn",
)

_KEY = "mutil.dataflow.Process"


class NetworkMode(StrEnum):
    """As `mainspring.dataflow.NetworkMode`."""

    Listen = "listen"
    Connect = "connect"
    Worker = "worker"


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
    """What callbacks get as `p`."""

    def __init__(self, p: _Process) -> None:
        self.id = p.id
        self.mode = NetworkMode.Worker
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
    """One network of a level at the border."""

    __slots__ = ()

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "/",
        mode: NetworkMode = NetworkMode.Listen,
        auth: str | bytes | None = None,
        filter: Callable[[Any], Any] | None = None,
        forwardFromClient: Callable[..., Any] | None = None,  # noqa: N803  # the older spelling
        forwardFromInternal: Callable[..., Any] | None = None,  # noqa: N803  # the older spelling
        startup: Callable[..., Any] | None = None,
        uri: str | None = None,
        scheme: Scheme = "ws",
    ) -> None:
        super().__init__(
            host,
            port,
            path,
            _NetworkMode(mode),
            None if forwardFromClient is None else _with_process(forwardFromClient),
            None if forwardFromInternal is None else _with_process(forwardFromInternal),
            filter,
            None if startup is None else _with_process(startup),
            uri,
            scheme=scheme,
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
        super().__init__(*args, **{"scheme": "tcp"} | kwargs)


def _process_of(p: _Process) -> Process:
    process: Process | list[Any] = p.state[_KEY]  # one for each worker, made at its first use
    if not isinstance(process, Process):
        process = p.state[_KEY] = Process(p)
    return process


def _with_process(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def call(p: _Process, *arguments: Any) -> Any:
        return _ignored(callback(_process_of(p), *arguments))

    return call


def _ignored(result: Any) -> Any:
    """Let a coroutine be awaited; anything else that was returned means nothing here."""
    return result if inspect.isawaitable(result) else None
