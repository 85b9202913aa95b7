"""Who may come in: the host that was asked for, the pace and the size of requests, the token, the origin of changes.

In this order, before anything of the application runs. What is public says little; everything else needs the token as
`Authorization: Bearer`, or its cookie. Those who bring it have a pace of their own: at one address, as on a machine
that many use, nobody without it can keep them out.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import RateLimit
from mainspring.web._bounded_body import BoundedBody, too_large
from mainspring.web._paces import Paces
from mainspring.web._problems import problem
from mainspring.web._token import WebToken

COOKIE: Final = "mainspring"
LOGIN: Final = "/login"
PUBLIC: Final = frozenset({"/healthz", "/readyz"})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE_SECONDS: Final = 30 * 86_400
_WRONG_LIMIT: Final = 20  # wrong tokens in a minute that are answered as such
_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of one server.

    Args:
        hosts: names in the `Host` header that are answered, without port.
        secure: the browser reaches it by https, so the cookie is never sent otherwise.
        max_body: bytes of a request.
        rate: requests a second that a client may send, with the token and without it.
        burst: how many of them may come at once after a pause.
    """

    token: WebToken
    hosts: Collection[str] = LOOPBACK
    secure: bool = False
    max_body: int = 1 << 20
    rate: float = 20.0
    burst: int = 200
    wrong: RateLimit = field(default_factory=lambda: RateLimit(_WRONG_LIMIT, 60.0))

    def __post_init__(self) -> None:
        if not self.hosts:
            raise InvalidArgumentError(argument="hosts", value=self.hosts, expected="at least one name")

    def is_known(self, request: Request) -> bool:
        """Tell whether a request brings the token, or its cookie."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if given:
            return kind.lower() == "bearer" and self.token.opens(given.strip())
        return self.has_cookie(request)

    def has_cookie(self, request: Request) -> bool:
        """Tell whether a request brings the cookie."""
        return self.token.opens_by_cookie(request.cookies.get(COOKIE, ""))


class Guard:
    """Lets requests through to an ASGI application, or answers them itself."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._holders = Paces(access.rate, access.burst)
        self._others = Paces(access.rate, access.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self._answer(Request(scope))
            if answer is None:
                await self._pass(scope, receive, _with_headers(send))
            else:
                await answer(scope, receive, _with_headers(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = BoundedBody(scope, receive, send, max_body=self._access.max_body)
        try:
            await self._app(scope, body.receive, body.send)
        except ClientDisconnect:
            if not body.cut_off:
                raise

    def _answer(self, request: Request) -> Response | None:
        """Return what a request is told that may not pass; None lets it through."""
        access = self._access
        host = host_name(request.headers.get("host", ""))
        if host not in access.hosts:
            return problem(421, f"this server does not answer for the host {host!r}", hint="give it to hosts=")
        known = access.is_known(request)
        if pause := (self._holders if known else self._others).take(
            "" if request.client is None else request.client.host
        ):
            return _too_fast(
                pause, f"more than {access.rate:g} requests a second", hint="come back after `Retry-After`"
            )
        length = request.headers.get("content-length", "0")
        if not length.isdecimal():
            return problem(400, f"{length!r} is no length of a request")
        if int(length) > access.max_body:
            return too_large(access.max_body)
        if request.url.path == LOGIN:
            return self._login(request)
        if request.url.path in PUBLIC and request.method in _HARMLESS:
            return None
        if not known:
            return self._unknown(request)
        if request.method not in _HARMLESS and not self._is_same_origin(request):
            return problem(403, "a change has to come from a page of this server")
        return None

    def _unknown(self, request: Request) -> Response:
        tried = "authorization" in request.headers or COOKIE in request.cookies
        if tried and (pause := self._wrong_once_more()):
            return _too_fast(pause, "too many wrong tokens")
        return problem(
            401,
            "this needs the token",
            hint="send it as `Authorization: Bearer`, or open the link that the program printed at its start",
            headers={"WWW-Authenticate": 'Bearer realm="mainspring"'},
        )

    def _wrong_once_more(self) -> float:
        """Note a wrong token; return the seconds until one more would be answered as such, 0 for now."""
        return self._access.wrong.try_acquire() or 0.0

    def _login(self, request: Request) -> Response:
        """Exchange the token of the printed link for a cookie, and leave the address that shows it."""
        access = self._access
        if request.method != "GET":
            return problem(405, "open it in a browser", headers={"Allow": "GET"})
        given = request.query_params.get("token", "")
        if not access.token.opens(given):
            if pause := self._wrong_once_more():
                return _too_fast(pause, "too many wrong tokens")
            return problem(
                401, "this link is not valid any more", hint="the program prints the present one at its start"
            )
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            COOKIE,
            access.token.cookie,
            max_age=_COOKIE_SECONDS,
            path="/",
            secure=access.secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _is_same_origin(self, request: Request) -> bool:
        """Tell whether a change comes from a page of ours, or from a program that brings the token itself."""
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site is not None and site != "same-origin":
            return False
        if origin is not None:
            return urlsplit(origin).netloc == request.headers.get("host")
        return site is not None or "authorization" in request.headers


def _too_fast(pause: float, detail: str, *, hint: str | None = None) -> Response:
    return problem(429, detail, hint=hint, headers={"Retry-After": str(math.ceil(pause))})


def host_name(host: str) -> str:
    """Return the name in a Host header, in lower case and without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
