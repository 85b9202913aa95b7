"""A webhook on this machine, as chats offer them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

OK = {"text": "ok"}
LARK_OK = {"text": '{"code": 0}'}


@asynccontextmanager
async def served(*answers: Any) -> AsyncGenerator[tuple[str, list[dict[str, Any]]]]:
    """A webhook that gives these answers in turn, the last one for ever, and the bodies that it was sent."""
    from aiohttp import web

    bodies: list[dict[str, Any]] = []
    left = list(answers)

    async def hook(request: web.Request) -> web.Response:
        assert "application/json" == request.content_type
        bodies.append({**await request.json(), "KEY": request.headers["Idempotency-Key"], "PATH": request.path})
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return web.Response()
        return web.Response(**answer)

    app = web.Application()
    app.router.add_post("/{path:.*}", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook/secret-part", bodies
    finally:
        await runner.cleanup()
