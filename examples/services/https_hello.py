"""HTTPS by aiohttp, for an aiohttp and an ASGI application, with a certificate that OpenSSL's command makes.

pip install "mainspring[aiohttp,asgi]"
python examples/services/https_hello.py
"""

import asyncio
import ssl
import subprocess

from aiohttp import ClientSession, web

from mainspring.runtime import entrypoint
from mainspring.services import (
    AIOHTTPSSLService,
    ASGIApplicationType,
    ASGIHTTPSSLService,
    ASGIReceiveType,
    ASGIScopeType,
    ASGISendType,
)


class Hello(AIOHTTPSSLService):
    """Says hello, with aiohttp."""

    async def create_application(self) -> web.Application:
        """Return the application."""

        async def hello(request: web.Request) -> web.Response:
            return web.Response(text=f"hello over {request.scheme}")

        app = web.Application()
        app.router.add_get("/", hello)
        return app


class ASGIHello(ASGIHTTPSSLService):
    """Says hello, with ASGI."""

    async def create_asgi_app(self) -> ASGIApplicationType:
        """Return the application."""

        async def hello(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
            if scope["type"] != "http":
                raise NotImplementedError
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": f"hello over {scope['scheme']}, by ASGI".encode()})

        return hello


def make_certificate() -> None:
    """Make a certificate that signs itself, for localhost, in this folder."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout key.pem"
    words = [*command.split(), "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(words, check=True, capture_output=True)


async def main() -> None:
    """Ask both servers for a page, over connections that are checked."""
    await asyncio.to_thread(make_certificate)
    servers = [kind("cert.pem", "key.pem", address="127.0.0.1", port=0) for kind in (Hello, ASGIHello)]
    trusted = ssl.create_default_context(cafile="cert.pem")
    async with entrypoint(*servers, log_level="warning"), ClientSession() as session:
        for server in servers:
            async with session.get(f"https://localhost:{server.port}/", ssl=trusted) as response:
                print(await response.text())


if __name__ == "__main__":
    asyncio.run(main())
