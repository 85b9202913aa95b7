"""An aiohttp application as a service: requests that run end before the program does.

pip install "mainspring[aiohttp]"
python examples/services/aiohttp_hello.py
"""

from aiohttp import ClientSession, web

from mainspring.runtime import run
from mainspring.services import AIOHTTPService


async def hello(request: web.Request) -> web.Response:
    """Greet whom the path names."""
    return web.Response(text=f"hello, {request.match_info['name']}")


class Hello(AIOHTTPService):
    """Greets."""

    async def create_application(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.add_routes([web.get("/{name}", hello)])
        return app


server = Hello(address="127.0.0.1", port=0)


async def main() -> None:
    """Ask for one page."""
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/reader") as response:
        print(await response.text())


if __name__ == "__main__":
    run(main(), server, log_level="warning")
