"""Chapters 2.10 and 2.11 of the aiomisc seed, through compat: a web service whose calls go through a breaker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mainspring.compat import aiomisc

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore:It is recommended to use web.AppKey instances"),  # the example's own
]


class Gists:
    """Stands in for the host that lists public gists; it can be told to hang up."""

    def __init__(self) -> None:
        self.works = True
        self.asked = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.works:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def public_gists_host() -> AsyncGenerator[Gists]:
    host = Gists()
    server = await asyncio.start_server(host.answer, "127.0.0.1", 0)
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/gists/public"
    async with server:
        yield host


def test_2_10_a_breaker_around_a_block() -> None:
    import aiohttp
    from aiohttp import ClientSession, web

    from mainspring.compat.aiomisc.service.aiohttp import AIOHTTPService

    host = Gists()

    async def public_gists(request):
        async with aiohttp.ClientSession() as session:
            with request.app["github_cb"].context():
                url = host.url
                async with session.get(url) as response:
                    data = await response.text()

        return web.Response(text=data, headers={"Content-Type": "application/json"})

    class API(AIOHTTPService):
        async def create_application(self):
            app = web.Application()
            app.add_routes([web.get("/", public_gists)])

            app["github_cb"] = aiomisc.CircuitBreaker(
                error_ratio=0.2,
                response_time=20,
                exceptions=[aiohttp.ClientError],
                broken_time=5,
            )

            return app

    service = API(port=0)

    async def main():
        nonlocal host
        async with public_gists_host() as host, ClientSession() as session:
            async with session.get(f"http://localhost:{service.port}/") as response:
                assert response.headers
                assert response.content_type == "application/json"
                assert await response.json() == []
            assert host.asked == 1

    with aiomisc.entrypoint(service) as loop:
        loop.run_until_complete(main())


def test_2_11_cutout() -> None:
    import aiohttp
    from aiohttp import ClientSession, web

    from mainspring.compat.aiomisc.service.aiohttp import AIOHTTPService

    host = Gists()

    @aiomisc.cutout(0.2, 30, aiohttp.ClientError)
    async def fetch(session, url):
        async with session.get(url) as response:
            return await response.text()

    async def public_gists(request):
        async with aiohttp.ClientSession() as session:
            data = await fetch(session, host.url)

        return web.Response(text=data, headers={"Content-Type": "application/json"})

    class API(AIOHTTPService):
        async def create_application(self):
            app = web.Application()
            app.add_routes([web.get("/", public_gists)])
            return app

    service = API(port=0)

    async def ask(session: Any) -> int:
        async with session.get(f"http://localhost:{service.port}/") as response:
            assert response.headers
            return int(response.status)

    async def main():
        nonlocal host
        async with public_gists_host() as host, ClientSession() as session:
            assert await ask(session) == 200
            host.works = False
            assert await ask(session) == 500
            assert host.asked >= 2  # the client of aiohttp asks again by itself

    with aiomisc.entrypoint(service) as loop:
        loop.run_until_complete(main())
