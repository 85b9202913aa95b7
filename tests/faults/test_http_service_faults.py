"""Servers of HTTP and clients that misbehave: silent, slow, many, gone; and applications that raise."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.services.support_asgi import fetch, send_text
from tests.unit.services.support_programs import program

from mainspring.services import (
    AIOHTTPService,
    ASGIApplicationType,
    ASGIHTTPService,
    ASGIReceiveType,
    ASGIScopeType,
    ASGISendType,
    UvicornApplication,
    UvicornService,
)
from mainspring.testing import eventually

pytestmark = [pytest.mark.extras, pytest.mark.timeout(600)]


async def app(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
    """Answer, or raise when it is asked to."""
    if scope["type"] != "http" or scope["path"] == "/bad":
        raise NotImplementedError(scope["type"])
    await send_text(send, "well")


class Plain(AIOHTTPService):
    shutdown_timeout = 0.1

    async def create_application(self) -> Any:
        from aiohttp import web

        async def answer(request: web.Request) -> web.Response:
            if request.path == "/bad":
                raise NotImplementedError
            return web.Response(text="well")

        made = web.Application()
        made.router.add_get("/{path:.*}", answer)
        return made


class ASGI(ASGIHTTPService):
    shutdown_timeout = 0.1

    async def create_asgi_app(self) -> ASGIApplicationType:
        return app


class Uvicorn(UvicornService):
    timeout_graceful_shutdown = 0.1

    async def create_application(self) -> UvicornApplication:
        return app


def make(kind: str) -> Any:
    if kind == "uvicorn":
        return Uvicorn(host="127.0.0.1", port=0)
    return (Plain if kind == "aiohttp" else ASGI)("127.0.0.1", 0)


@pytest.fixture(params=["aiohttp", "asgi", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Any:
    return make(request.param)


async def ask(server: Any, path: str = "/") -> str:
    return await fetch(f"http://127.0.0.1:{server.port}{path}")


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_a_client_that_stops_talking_holds_neither_others_nor_the_stop(server: Any, said: bytes) -> None:
    async with program(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(said)
        await writer.drain()
        assert "well" == await ask(server)
    while await reader.read(1 << 16):  # whatever was answered; the end is what counts
        pass
    writer.close()


async def test_many_connections_that_are_opened_and_dropped_leave_nothing(
    server: Any, mainspring_count: Callable[[int, int], int]
) -> None:
    async with program(server):
        before = len(asyncio.all_tasks())
        for number in range(mainspring_count(100, 10_000)):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            if number % 2:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            writer.transport.abort()
        assert "well" == await ask(server)
        await eventually(lambda: len(asyncio.all_tasks()) <= before, within=20)


async def test_an_application_that_raises_answers_500_and_goes_on(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from aiohttp import ClientSession

    with caplog.at_level(logging.ERROR):
        async with program(server), ClientSession() as session:
            for _ in range(3):
                async with session.get(f"http://127.0.0.1:{server.port}/bad") as response:
                    assert 500 == response.status
            assert "well" == await ask(server)
    assert 3 == sum("NotImplementedError" in str(record.exc_info) for record in caplog.records)
