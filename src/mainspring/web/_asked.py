"""How requests are read: HEAD as GET without the body, and no query parameter that a path does not know."""

from typing import Any  # Any: FastAPI's own records are not typed as far as they are used

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Answers HEAD as GET is answered, headers included, and leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def bare(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, bare)


async def only_known_parameters(request: Request) -> None:
    """Refuse a parameter that the path does not have: a misspelt filter would show everything."""
    route: Any = request.scope["route"]
    known = {str(one.alias) for one in route.dependant.query_params}
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        there = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise HTTPException(400, f"{request.url.path} has no parameter {unknown!r}: {there}")
