"""The HTTP API of one app: `/healthz`, `/readyz`, `/metrics` and, read-only, `/api/v1`."""

import asyncio
from typing import Any, Final  # Any: OpenAPI documents

from fastapi import Depends, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from mainspring.base import current_clock
from mainspring.jobs import JobApp
from mainspring.web._asked import HeadAsGet, only_known_parameters
from mainspring.web._metrics import CONTENT_TYPE, metrics_page
from mainspring.web._problems import MEDIA_TYPE, PROBLEM_SCHEMA, answer_problems
from mainspring.web._program import Health, is_ready, package_version, readiness
from mainspring.web._routes_jobs import JobRoutes
from mainspring.web._routes_program import ProgramRoutes
from mainspring.web._routes_runs import RunRoutes

PREFIX: Final = "/api/v1"
OPENAPI: Final = f"{PREFIX}/openapi.json"
_METRICS_SECONDS: Final = 1.0  # for which a metrics page is good: many scrapers cost no more than one

_PROBLEM: Final[dict[str, Any]] = {"content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}


def _header(name: str, what: str) -> dict[str, Any]:  # Any: as above
    return {"headers": {name: {"description": what, "required": True, "schema": {"type": "string"}}}}


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "the request is no HTTP, or a parameter of its query is unknown or unreadable", **_PROBLEM},
    401: {"description": "the token is missing or wrong", **_PROBLEM, **_header("WWW-Authenticate", "how to send it")},
    404: {"description": "there is nothing of that name", **_PROBLEM},
    413: {"description": "the request is too long", **_PROBLEM},
    421: {"description": "this server does not answer for that host", **_PROBLEM},
    422: {"description": "the request cannot be used", **_PROBLEM},
    429: {"description": "too many requests, or wrong tokens", **_PROBLEM, **_header("Retry-After", "seconds to wait")},
    503: {"description": "the store is out of reach", **_PROBLEM},
}


def make_api(app: JobApp, health: Health) -> FastAPI:
    """Return the ASGI application; who may reach it is for the guard before it.

    Args:
        health: tells how the services of the program are, None outside of one.
    """
    api = FastAPI(
        title=f"mainspring: {app.label}",
        summary="See the jobs of an app, their runs, and how the program is.",
        version=package_version(),
        openapi_url=OPENAPI,
        docs_url=None,  # they load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # an address means one thing
    )
    bearer = Security(HTTPBearer(auto_error=False, description="the token of this program"))  # checked by the guard
    known = Depends(only_known_parameters)
    for routes in (JobRoutes(app), RunRoutes(app), ProgramRoutes(app, health)):
        api.include_router(routes.router, prefix=PREFIX, responses=_ANSWERS, dependencies=[bearer, known])
    pages = _Pages(app, health)
    add: Any = api.add_api_route  # Any: FastAPI's signature has a hundred keywords
    for path, page in {
        "/": pages.index,
        "/healthz": pages.alive,
        "/readyz": pages.ready,
        "/metrics": pages.metrics,
    }.items():
        add(path, page, include_in_schema=False)
    answer_problems(api)
    api.add_middleware(HeadAsGet)
    return api


class _Pages:
    """What is not of the API: for people and machines that only want to know how it goes."""

    def __init__(self, app: JobApp, health: Health) -> None:
        self._app = app
        self._health = health
        self._one_at_a_time = asyncio.Lock()
        self._metrics: tuple[float, bytes] | None = None

    async def index(self) -> Response:
        """Say what there is."""
        links = {"api": PREFIX, "openapi": OPENAPI, "metrics": "/metrics", "health": "/healthz", "ready": "/readyz"}
        return JSONResponse({"app": self._app.label, "version": package_version(), **links})

    async def alive(self) -> Response:
        """Say that the program answers."""
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        """Say whether the program can do its work, check by check; 503 when it cannot."""
        checks = await readiness(self._app, self._health)
        ready = is_ready(checks)
        return JSONResponse({"ready": ready, "checks": dict(checks)}, status_code=200 if ready else 503)

    async def metrics(self) -> Response:
        """Return the numbers for Prometheus."""
        async with self._one_at_a_time:
            now = current_clock().monotonic()
            if self._metrics is None or now - self._metrics[0] > _METRICS_SECONDS:
                self._metrics = (now, await metrics_page(self._app))
            return Response(self._metrics[1], media_type=CONTENT_TYPE)
