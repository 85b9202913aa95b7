"""ASGI applications for the tests of servers."""

import asyncio
from typing import Any

from mainspring.services import ASGIApplicationType, ASGIReceiveType, ASGIScopeType, ASGISendType


class Recorder:
    """An application that notes its lifespan, answers requests with what it saw, and can be told to go wrong."""

    def __init__(self, *, fail_start: bool = False, fail_stop: bool = False, stop_forever: bool = False) -> None:
        self.events: list[str] = []
        self.entered = asyncio.Event()
        self.may_end = asyncio.Event()
        self._fail_start = fail_start
        self._fail_stop = fail_stop
        self._stop_forever = stop_forever

    async def __call__(self, scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _live(self, scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        assert "lifespan.startup" == (await receive())["type"]
        if self._fail_start:
            await send({"type": "lifespan.startup.failed", "message": "Traceback ...\nKeyError: 'no database'"})
            raise KeyError("no database")
        scope["state"]["database"] = "open"
        self.events.append("started")
        await send({"type": "lifespan.startup.complete"})
        assert "lifespan.shutdown" == (await receive())["type"]
        if self._stop_forever:
            await asyncio.Event().wait()
        if self._fail_stop:
            await send({"type": "lifespan.shutdown.failed", "message": ""})
            return
        self.events.append("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        body = (await receive()).get("body", b"")
        self.entered.set()
        if scope["path"] == "/slow":
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.events.append("cancelled")
                raise
        state = scope.get("state", {}).get("database", "no state")
        await send_text(send, f"{scope['path']} {state} {body.decode()}".rstrip())


async def send_text(send: ASGISendType, text: str) -> None:
    """Answer with one piece of text."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def without_lifespan(answer: str = "plain") -> ASGIApplicationType:
    """Return an application that knows requests only."""

    async def app(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        await send_text(send, answer)

    return app


named_app = without_lifespan("by its name")


async def fetch(url: str, **options: Any) -> str:
    """GET a page on a connection of its own."""
    from aiohttp import ClientSession

    async with ClientSession() as session, session.get(url, **options) as response:
        assert 200 == response.status
        return await response.text()
