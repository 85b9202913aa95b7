"""`ASGIHTTPService` and `ASGIHTTPSSLService`: an ASGI application behind aiohttp (extra `asgi`)."""

import asyncio
from abc import abstractmethod
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar  # Any: the values of ASGI's dicts

from mainspring.base import load_extra
from mainspring.services._lifespan import ASGIApplicationType, ASGIReceiveType, ASGIScopeType, ASGISendType, Lifespan
from mainspring.services.aiohttp_service import AIOHTTPService, AIOHTTPSSLService, new_application

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp.web import Application


class ASGIHTTPService(AIOHTTPService):
    """Serves an ASGI application through aiohttp. Subclass it and write `create_asgi_app`.

    The application's lifespan starts before the service listens and stops after the last request; a start that
    fails is an error of the service. The arguments are those of `AIOHTTPService`, whose `shutdown_timeout` also
    bounds the end of the lifespan.

    Raises:
        MissingExtraError: (from the start) aiohttp-asgi is not installed.
        ApplicationFailedError: (from the start, or the stop) the application failed to start, or to stop.

    Example:
        >>> class Web(ASGIHTTPService):
        ...     async def create_asgi_app(self) -> ASGIApplicationType:
        ...         return hello
    """

    __async_required__: ClassVar[Any] = ("create_application", "create_asgi_app")

    @abstractmethod
    async def create_asgi_app(self) -> ASGIApplicationType:
        """Return the application to serve."""

    async def create_application(self) -> "Application":
        """Return an aiohttp application that passes every request on."""
        return mount(self, await self.create_asgi_app())


class ASGIHTTPSSLService(ASGIHTTPService, AIOHTTPSSLService):
    """Serves an ASGI application over TLS; see `ASGIHTTPService`, and `AIOHTTPSSLService` for the arguments."""


def mount(service: AIOHTTPService, app: ASGIApplicationType) -> "Application":
    """Return an aiohttp application around an ASGI application, its lifespan included."""
    asgi = load_extra("aiohttp_asgi", feature="an ASGI service", extra="asgi")
    lifespan = Lifespan(app, service=type(service).__qualname__)

    async def alive(_: "Application") -> "AsyncGenerator[None]":
        await lifespan.start()
        yield
        await lifespan.stop(timeout=service.shutdown_timeout)

    application = new_application()
    application.router.register_resource(asgi.ASGIResource(_completed(app, lifespan.state)))
    application.cleanup_ctx.append(alive)
    return application


def _completed(app: ASGIApplicationType, state: MutableMapping[str, Any]) -> ASGIApplicationType:
    """Return the application with what aiohttp-asgi leaves out of its requests.

    That is the version of the protocol and the state of the lifespan; and after the last part of a body,
    `receive` waits for the end of the connection, where the library answers at once, again and again.
    """

    async def served(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        scope["asgi"] = {"version": "3.0", "spec_version": "2.3"}
        scope["state"] = dict(state)
        if scope["type"] == "http":
            receive = _until_disconnected(receive)
        await app(scope, receive, send)

    return served


def _until_disconnected(receive: ASGIReceiveType) -> ASGIReceiveType:
    is_complete = False

    async def received() -> MutableMapping[str, Any]:
        nonlocal is_complete
        if is_complete:
            await asyncio.get_running_loop().create_future()  # the handler is cancelled when its client leaves
        message = await receive()
        is_complete = not message.get("more_body")
        return message

    return received
