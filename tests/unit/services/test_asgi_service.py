"""ASGIHTTPService over real sockets: an ASGI application behind aiohttp."""

import asyncio
import sys
from typing import Any

import pytest
from tests.unit.services.support_asgi import Recorder, fetch, without_lifespan
from tests.unit.services.support_programs import program

from mainspring.errors import ApplicationFailedError, MissingExtraError
from mainspring.services import (
    ASGIApplicationType,
    ASGIHTTPService,
    ASGIReceiveType,
    ASGIScopeType,
    ASGISendType,
)

pytestmark = pytest.mark.extras


class Web(ASGIHTTPService):
    app: ASGIApplicationType

    def __init__(self, app: ASGIApplicationType, **kwargs: Any) -> None:
        super().__init__("127.0.0.1", 0, app=app, **kwargs)

    async def create_asgi_app(self) -> ASGIApplicationType:
        return self.app


def url(service: ASGIHTTPService, path: str = "/") -> str:
    return f"http://127.0.0.1:{service.port}{path}"


async def test_requests_are_answered_with_the_state_of_the_lifespan() -> None:
    app = Recorder()
    service = Web(app)
    async with program(service):
        assert "/x open" == await fetch(url(service, "/x"))
    assert ["started", "stopped"] == app.events


async def test_an_application_without_lifespan_is_served() -> None:
    service = Web(without_lifespan())
    async with program(service):
        assert "plain" == await fetch(url(service))


async def test_an_application_that_fails_to_start_is_an_error_of_the_program() -> None:
    with pytest.raises(ApplicationFailedError, match="of Web did not start: KeyError"):
        async with program(Web(Recorder(fail_start=True))):
            pass


async def test_an_application_that_fails_to_stop_is_an_error_of_the_program() -> None:
    with pytest.raises(ApplicationFailedError, match="did not stop: it took longer than"):
        async with program(Web(Recorder(stop_forever=True), shutdown_timeout=0.05)):
            pass


async def test_receive_waits_for_the_end_of_the_connection_after_the_body() -> None:
    """Frameworks listen for it while they stream; an answer at once, for ever, would block the loop."""
    seen: list[str] = []

    async def app(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen.append(scope["asgi"]["version"])
        seen.append((await receive())["type"])
        listening = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        seen.append(str(listening.done()))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await send({"type": "http.response.body", "body": b"b"})
        finally:
            listening.cancel()

    service = Web(app)
    async with program(service):
        assert "ab" == await fetch(url(service))
    assert ["3.0", "http.request", "False"] == seen


async def test_a_web_socket_is_passed_on() -> None:
    from aiohttp import ClientSession

    async def app(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        assert "websocket.connect" == (await receive())["type"]
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})

    service = Web(app)
    async with program(service), ClientSession() as session, session.ws_connect(url(service)) as socket:
        await socket.send_str("hello")
        assert "HELLO" == await socket.receive_str()


async def test_without_aiohttp_asgi_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp_asgi", None)
    with pytest.raises(MissingExtraError) as caught:
        await Web(without_lifespan()).create_application()
    assert 'pip install "mainspring[asgi]"' == caught.value.hint
