"""`AIOHTTPService` and `AIOHTTPSSLService`: an aiohttp application as a service among others (extra `aiohttp`)."""

import ssl
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar  # Any: options of aiohttp's runner

from mainspring.base import load_extra
from mainspring.errors import MisuseError
from mainspring.runtime import Service
from mainspring.services._listening import Socket, check_place, given, open_listener, take_name
from mainspring.services._tls import PathOrStr
from mainspring.services._tls_settings import TLSSettings
from mainspring.transport import SocketOption

if TYPE_CHECKING:
    from aiohttp.web import Application, AppRunner, BaseSite


class AIOHTTPService(Service):
    """Serves an aiohttp application. Subclass it and write `create_application`.

    `start()` makes the application, starts it and then listens. On stop no new connection is taken, requests have
    `shutdown_timeout` seconds to end and are cancelled then; the application is cleaned up after them. Requests
    are logged by the logger `aiohttp.access`.

    Args:
        address: where to listen; after the start, where it listens.
        port: 0 for a free one; after the start, the real one. Needed unless `sock` is given.
        sock: a bound socket instead; closed with the service.

    Attributes:
        options: socket options, set before binding.
        reuse_port: share the port with other processes of this user that do the same.
        backlog: newcomers that the system keeps waiting.
        shutdown_timeout: seconds that requests may take to end at the stop.
        handler_cancellation: whether a handler is cancelled when its client goes away.
        runner_kwargs: more options of `aiohttp.web.AppRunner`, as `access_log_format`.

    Raises:
        MisuseError: neither a port nor a socket is given.
        MissingExtraError: (from the start) aiohttp is not installed.
        BindError: (from the start) the address cannot be listened on.

    Example:
        >>> class Greeter(AIOHTTPService):
        ...     async def create_application(self):
        ...         app = web.Application()
        ...         app.router.add_get("/", hello)
        ...         return app
    """

    __async_required__: ClassVar[Any] = ("create_application",)

    address: str | None = "localhost"
    port: int | None = None
    sock: Socket | None = None
    options: Iterable[SocketOption] = ()
    reuse_port: bool = False
    backlog: int = 1024
    shutdown_timeout: float = 5.0
    handler_cancellation: bool = True
    runner_kwargs: Mapping[str, Any] = MappingProxyType({})

    runner: "AppRunner | None" = None
    """What runs the application, from the start to the stop."""
    socket: Socket | None = None
    """The socket that listens, from the start to the stop."""
    _context: ssl.SSLContext | None = None

    def __init__(
        self, address: str | None = None, port: int | None = None, sock: Socket | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**given(address=address, port=port, sock=sock), **kwargs)
        check_place(self)

    @abstractmethod
    async def create_application(self) -> "Application":
        """Return the application to serve."""

    async def make_runner(self, application: "Application") -> "AppRunner":
        """Return what runs the application; override it to change more than `runner_kwargs` can."""
        web = _web()
        runner: AppRunner = web.AppRunner(
            application,
            shutdown_timeout=self.shutdown_timeout,
            handler_cancellation=self.handler_cancellation,
            **self.runner_kwargs,
        )
        return runner

    async def create_site(self) -> "BaseSite":
        """Return what listens on `socket` for `runner`; override it to listen otherwise."""
        site: BaseSite = _web().SockSite(self.runner, self.socket, ssl_context=self._context, backlog=self.backlog)
        return site

    async def make_context(self) -> ssl.SSLContext | None:
        """Return what the connections are encrypted with; None for nothing."""
        return None

    async def start(self) -> None:
        """Start the application, then listen."""
        if self.runner is not None:
            raise MisuseError(what=f"the service {type(self).__qualname__}", problem="is started already")
        self.runner = await self.make_runner(await self.create_application())
        try:
            self._context = await self.make_context()
            await self.runner.setup()
            self.socket = await open_listener(self, "http" if self._context is None else "https", backlog=self.backlog)
            site = await self.create_site()
            await site.start()
        except BaseException:
            await self.stop()
            raise
        take_name(self, self.socket)

    async def stop(self, exception: Any = None) -> None:
        """Let requests end, then clean the application up."""
        sock, self.socket = self.socket, None
        runner, self.runner = self.runner, None
        if runner is not None:
            await runner.cleanup()
        if sock is not None:
            sock.close()

    def healthy(self) -> bool:
        """Whether the server listens."""
        return self.runner is not None and bool(self.runner.addresses)


class AIOHTTPSSLService(TLSSettings, AIOHTTPService):
    """Serves an aiohttp application over TLS; see `AIOHTTPService`. The files are read at each start.

    Attributes:
        cert: file with the certificate, and its chain.
        key: file with the private key.
        ca: file with the authorities that sign certificates of clients.
        require_client_cert: refuse clients without a certificate that `ca` (or the system's authorities) signed.
        verify: check the certificates that clients send when `ca` is given.
        minimum_version: oldest protocol, at least TLS 1.2.
        maximum_version: newest protocol.
        ciphers: those of TLS 1.2, which needs `minimum_version`; one text in OpenSSL's form or several names.

    Raises:
        InvalidArgumentError: a version older than TLS 1.2, or an unknown cipher.
        FileNotFoundError: (from the start) a file is not there.
    """

    __required__ = ("cert", "key")

    def __init__(
        self,
        cert: PathOrStr | None = None,
        key: PathOrStr | None = None,
        ca: PathOrStr | None = None,
        address: str | None = None,
        port: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(address, port, **given(cert=cert, key=key, ca=ca), **kwargs)
        self.ssl_options()


def new_application() -> "Application":
    """Return an empty application."""
    application: Application = _web().Application()
    return application


def _web() -> Any:  # Any: a module that may be absent
    return load_extra("aiohttp.web", feature="an aiohttp service", extra="aiohttp")
