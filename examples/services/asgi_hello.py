"""An ASGI application behind aiohttp's server; FastAPI, Starlette or Litestar fit as well.

pip install "mainspring[asgi]"
python examples/services/asgi_hello.py
"""

from aiohttp import ClientSession

from mainspring.runtime import run
from mainspring.services import ASGIApplicationType, ASGIHTTPService, ASGIReceiveType, ASGIScopeType, ASGISendType


async def hello(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
    """Greet whom the path names; there is nothing to do when the server starts or stops."""
    if scope["type"] != "http":
        raise NotImplementedError
    text = f"hello, {scope['path'].strip('/')}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


class Hello(ASGIHTTPService):
    """Greets."""

    async def create_asgi_app(self) -> ASGIApplicationType:
        """Return the application."""
        return hello


server = Hello(address="127.0.0.1", port=0)


async def main() -> None:
    """Ask for one page."""
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/reader") as response:
        print(await response.text())


if __name__ == "__main__":
    run(main(), server, log_level="warning")
