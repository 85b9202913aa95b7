"""AIOHTTPService over real sockets: an application among the services of a program."""

import asyncio
import logging
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.services.support_asgi import fetch
from tests.unit.services.support_programs import program

from mainspring.errors import BindError, InvalidArgumentError, MissingExtraError, MisuseError
from mainspring.services import AIOHTTPService
from mainspring.transport import bind_socket

if TYPE_CHECKING:
    from aiohttp.web import Application, Request, Response

pytestmark = pytest.mark.extras


class Greeter(AIOHTTPService):
    """Says hello, notes what happens, and can be slow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.events: list[str] = []
        self.entered = asyncio.Event()
        self.may_end = asyncio.Event()

    async def create_application(self) -> "Application":
        from aiohttp import web

        app = web.Application()
        app.add_routes([web.get("/", self.hello), web.get("/slow", self.slow)])
        app.on_cleanup.append(self._note("cleaned up"))
        app.on_startup.append(self._note("started"))
        return app

    def _note(self, event: str) -> Any:
        async def note(_: "Application") -> None:
            self.events.append(event)

        return note

    async def hello(self, request: "Request") -> "Response":
        from aiohttp import web

        return web.Response(text=f"hello over {request.scheme}")

    async def slow(self, request: "Request") -> "Response":
        self.entered.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        return await self.hello(request)


def url(service: AIOHTTPService, path: str = "/") -> str:
    return f"http://127.0.0.1:{service.port}{path}"


async def test_requests_are_answered_and_the_application_is_cleaned_up() -> None:
    service = Greeter("127.0.0.1", 0)
    async with program(service) as running:
        assert "127.0.0.1" == service.address
        assert service.port
        assert "hello over http" == await fetch(url(service))
        assert running.health().services[0].healthy
    assert ["started", "cleaned up"] == service.events
    assert not service.healthy()
    assert service.socket is None


async def test_a_request_that_runs_ends_before_the_program_does() -> None:
    service = Greeter(port=0)
    async with program(service):
        answer = asyncio.create_task(fetch(url(service, "/slow")))
        await service.entered.wait()
        asyncio.get_running_loop().call_later(0.01, service.may_end.set)
    assert "hello over http" == await answer
    assert ["started", "cleaned up"] == service.events


async def test_a_request_that_does_not_end_is_cancelled_in_time() -> None:
    from aiohttp import ClientError

    service = Greeter(port=0, shutdown_timeout=0.05)
    async with program(service):
        answer = asyncio.create_task(fetch(url(service, "/slow")))
        await service.entered.wait()
    with pytest.raises(ClientError):
        await answer
    assert ["started", "cancelled", "cleaned up"] == service.events


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_handler_may_be_cancelled_when_its_client_leaves(cancelled: bool) -> None:
    service = Greeter(port=0, handler_cancellation=cancelled)
    async with program(service):
        answer = asyncio.create_task(fetch(url(service, "/slow")))
        await service.entered.wait()
        answer.cancel()
        await asyncio.wait([answer])
        if cancelled:
            while "cancelled" not in service.events:  # noqa: ASYNC110  # eventually() would add nothing
                await asyncio.sleep(0.001)
        service.may_end.set()
    assert cancelled is ("cancelled" in service.events)


async def test_requests_are_logged_in_the_format_of_the_user(caplog: pytest.LogCaptureFixture) -> None:
    service = Greeter(port=0, runner_kwargs={"access_log_format": "%r is %s"})
    with caplog.at_level(logging.INFO, logger="aiohttp.access"):
        async with program(service):
            await fetch(url(service))
    assert ["GET / HTTP/1.1 is 200"] == [one.getMessage() for one in caplog.records if "access" in one.name]


async def test_a_socket_that_may_not_listen_is_closed() -> None:
    with bind_socket(address="127.0.0.1") as faster:
        port = faster.getsockname()[1]
        service = Greeter(sock=bind_socket(address="127.0.0.1", port=port))
        faster.listen()
        with pytest.raises(BindError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            async with program(service):
                raise NotImplementedError
    assert service.sock is not None
    assert -1 == service.sock.fileno()
    assert ["started", "cleaned up"] == service.events


async def test_a_bound_socket_is_served_and_closed() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    service = Greeter(sock=sock)
    async with program(service):
        assert sock.getsockname() == (service.address, service.port)
        assert "hello over http" == await fetch(url(service))
    assert -1 == sock.fileno()


async def test_a_port_that_is_taken_is_an_error_and_the_application_is_cleaned_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        service = Greeter("127.0.0.1", other.getsockname()[1])
        with pytest.raises(BindError, match="cannot listen"):
            async with program(service):
                pass
    assert ["started", "cleaned up"] == service.events


def test_a_service_that_does_not_know_where_to_listen_is_refused() -> None:
    with pytest.raises(MisuseError, match="needs address= and port=, or sock="):
        Greeter()
    with pytest.raises(InvalidArgumentError, match="a socket"):
        Greeter(sock="http")
    assert 0 == Greeter("::1", 0).port


async def test_a_service_is_started_once_at_a_time_and_again_after_its_stop() -> None:
    service = Greeter("127.0.0.1", 0)
    for _ in range(2):
        async with program(service):
            with pytest.raises(MisuseError, match="started already"):
                await service.start()
            assert "hello over http" == await fetch(url(service))


async def test_without_aiohttp_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Greeter(port=0)
    app = await service.create_application()
    monkeypatch.setitem(sys.modules, "aiohttp.web", None)
    with pytest.raises(MissingExtraError) as caught:
        await service.make_runner(app)
    assert 'pip install "mainspring[aiohttp]"' == caught.value.hint
