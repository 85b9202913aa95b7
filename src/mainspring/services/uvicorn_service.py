"""`UvicornService`: an ASGI application behind uvicorn, as a service among others (extra `uvicorn`)."""

import asyncio
import inspect
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from socket import socket
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias  # Any: uvicorn takes applications of several kinds

from mainspring.base import load_extra
from mainspring.errors import ApplicationFailedError, MisuseError
from mainspring.runtime import Service
from mainspring.services._lifespan import Lifespan, LifespanMode
from mainspring.services._listening import open_listener, take_name
from mainspring.transport import OwnSocketFile, SocketOption

if TYPE_CHECKING:
    from uvicorn import Config, Server

UvicornApplication: TypeAlias = Callable[..., Any] | str
"""What uvicorn serves: an ASGI or WSGI application, the name of one ("package.module:app") or a factory."""

# Options of uvicorn.Config that are about processes of its own, or that the program decides.
_NOT_OURS: Final = frozenset({
    "app", "host", "port", "fd", "loop", "lifespan", "log_config", "workers", "env_file",
    "reload", "reload_dirs", "reload_delay", "reload_includes", "reload_excludes", "access_log",
    "limit_max_requests", "limit_max_requests_jitter", "callback_notify", "timeout_notify",
    "timeout_worker_healthcheck",
})  # fmt: skip
_TICK: Final = 0.1  # seconds; uvicorn counts in ticks of this length
_CANCEL_SECONDS: Final = 1.0  # how long a cancelled request may take to end


class UvicornService(Service):
    """Serves an ASGI application with uvicorn. Subclass it and write `create_application`.

    Options of `uvicorn.Config` may be keywords or attributes of the class (`root_path`, `ssl_certfile`,
    `headers`, ...), except those about processes of its own. Signals and logging stay with the program:
    uvicorn's loggers, `uvicorn.error` and `uvicorn.access`, write where it writes.

    `start()` starts the application and then listens. On stop no new connection is taken, requests have
    `timeout_graceful_shutdown` seconds to end and are cancelled then; the application's lifespan has as long again.

    Raises:
        MissingExtraError: (start) uvicorn is not installed.
        ApplicationFailedError: (start) the application did not start, or could not be loaded; (stop) it failed.
        BindError: (start) the address is taken, or not of this machine.

    Example:
        >>> class Web(UvicornService):
        ...     async def create_application(self) -> UvicornApplication:
        ...         return hello
    """

    __async_required__: ClassVar[Any] = ("create_application",)

    host: str = "127.0.0.1"
    port: int = 8080
    """0 for a free one; after the start, the real one, or 0 when a Unix socket was given."""
    sock: socket | None = None
    """A bound socket to serve in place of `host` and `port`; it is closed on stop."""
    fd: int | None = None
    """The descriptor of a bound socket to serve instead; it stays open for whoever gave it."""
    uds: str | None = None
    """The path of a Unix socket to make in place of `host` and `port`; it is removed on stop."""
    lifespan: LifespanMode = "auto"
    """Whether the application is told of start and stop: "on", "off", or "auto" if it listens."""
    access_log: bool = True
    """Whether each request is logged, by the logger `uvicorn.access`."""
    timeout_graceful_shutdown: float = 5.0

    _running: "_Running | None" = None

    @abstractmethod
    async def create_application(self) -> UvicornApplication:
        """Return what to serve."""

    async def start(self) -> None:
        """Start the application, then listen."""
        if self._running is not None:
            raise MisuseError(what=f"the service {type(self).__qualname__}", problem="is started already")
        app = await self.create_application()
        server = self._make_server(app)
        loaded: Any = vars(server.config)["loaded_app"]  # Any: whatever uvicorn wrapped it in
        lived = Lifespan(loaded, service=type(self).__qualname__, mode=self.lifespan)
        await lived.start()
        sockets: list[socket] | None = None
        given = self.sock if self.fd is None else socket(fileno=os.dup(self.fd))
        place = _Place(self.host, self.port if given is None else None, given)
        try:
            if self.uds is None:
                protocol = "https" if server.config.is_ssl else "http"
                sockets = [await open_listener(place, protocol, backlog=server.config.backlog)]
            server.lifespan = server.config.lifespan_class(server.config)
            server.lifespan.state = lived.state
            await server.on_tick(0)
            await server.startup(sockets=sockets)
        except BaseException:
            for one in sockets or ():
                one.close()
            with suppress(ApplicationFailedError):
                await lived.stop(timeout=self.timeout_graceful_shutdown)
            raise
        ticking = asyncio.create_task(_tick(server), name=f"seconds of {type(self).__qualname__}")
        self._running = _Running(server, lived, sockets, ticking, None if self.uds is None else OwnSocketFile(self.uds))
        if sockets is not None:
            take_name(place, sockets[0])
            self.port = place.port or 0

    async def stop(self, exception: BaseException | None = None) -> None:
        """Let requests end, then the application."""
        running, self._running = self._running, None
        if running is None:
            return
        running.ticking.cancel()
        if running.file is not None:
            running.file.remove()
        try:
            await running.server.shutdown(sockets=running.sockets)
            await _end_rest(running.server)
        finally:
            await running.lived.stop(timeout=self.timeout_graceful_shutdown)

    def healthy(self) -> bool:
        """Whether the server listens."""
        return self._running is not None and all(one.is_serving() for one in self._running.server.servers)

    def _make_server(self, app: UvicornApplication) -> "Server":
        uvicorn = load_extra("uvicorn", feature="UvicornService", extra="uvicorn")
        accepted = inspect.signature(uvicorn.Config).parameters.keys() - _NOT_OURS
        options = {name: getattr(self, name) for name in accepted if hasattr(self, name)}
        config: Config = uvicorn.Config(app, log_config=None, lifespan="off", workers=1, **options)
        try:
            config.load()
        except SystemExit:
            reason = "uvicorn could not load it, its log says why"
            raise ApplicationFailedError(service=type(self).__qualname__, action="start", reason=reason) from None
        if not self.access_log:
            config.http_protocol_class = _without_access_log(config.http_protocol_class)
        server: Server = uvicorn.Server(config)
        return server


@dataclass(slots=True)
class _Place:
    address: str | None
    port: int | None
    sock: socket | None
    options: Iterable[SocketOption] = ()
    reuse_port: bool = False


@dataclass(frozen=True, slots=True)
class _Running:
    server: "Server"
    lived: Lifespan
    sockets: list[socket] | None
    ticking: "asyncio.Task[None]"
    file: OwnSocketFile | None


def _without_access_log(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """Return the protocol of a server that logs no requests; the option of uvicorn silences all servers."""

    def quiet(self: Any, *args: Any, **kwargs: Any) -> None:
        protocol.__init__(self, *args, **kwargs)
        self.access_log = False

    return type(protocol.__name__, (protocol,), {"__init__": quiet})


async def _tick(server: "Server") -> None:
    """Let the server do what it does each second, as writing the date into its answers."""
    for counter in count(1):
        await asyncio.sleep(_TICK)
        await server.on_tick(counter)


async def _end_rest(server: "Server") -> None:
    """After the time of grace: wait for the requests that were cancelled, and drop the connections."""
    rest = list(server.server_state.tasks)
    if rest:
        await asyncio.wait(rest, timeout=_CANCEL_SECONDS)
    for connection in list(server.server_state.connections):
        connection.transport.abort()
