"""Errors as they leave: `application/problem+json` (RFC 9457), one sentence and a hint, never a traceback."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final  # Any: what FastAPI hands to its handlers

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    MainspringError,
    StorageError,
    StoreMissingError,
    UnknownBackfillError,
    UnknownJobError,
    UnknownRunError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_STATUSES: Final[Mapping[type[MainspringError], int]] = {
    UnknownJobError: 404,
    UnknownBackfillError: 404,
    UnknownRunError: 404,
    InvalidArgumentError: 422,
    StoreMissingError: 503,
    StorageError: 503,
    ClosedError: 503,
}
PROBLEM_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def problem(
    status: int, detail: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """Return an error answer."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if hint is not None:
        body["hint"] = hint
    return JSONResponse({**body, **more}, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def problem_of(error: MainspringError) -> Response:
    """Return what an error of the house means for a caller."""
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
    if status == 500:
        log.error("a request failed", exc_info=error)
    return problem(status, str(error).partition("\nhint: ")[0], hint=error.hint)


async def _on_http(request: Request, error: Any) -> Response:
    found: HTTPException = error
    return problem(found.status_code, str(found.detail), headers=found.headers)


async def _on_invalid(request: Request, error: Any) -> Response:
    found: RequestValidationError = error
    said = [{"where": ".".join(map(str, one["loc"])), "problem": str(one["msg"])} for one in found.errors()]
    where = ", ".join(one["where"] for one in said)
    status = 400 if all(one["loc"][0] == "query" for one in found.errors()) else 422
    return problem(status, f"the request cannot be used: {where}", errors=said)


async def _on_house(request: Request, error: Any) -> Response:
    return problem_of(error)


async def _on_anything(request: Request, error: Any) -> Response:
    return problem(500, "an error of the program, its log says which")


def answer_problems(api: FastAPI) -> None:
    """Have every error of an application answered as a problem."""
    api.add_exception_handler(HTTPException, _on_http)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(MainspringError, _on_house)
    api.add_exception_handler(Exception, _on_anything)
