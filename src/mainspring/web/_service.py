"""WebService: the HTTP API of an app, as one service of its program."""

import logging
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar, Final  # Any: keywords become attributes

from mainspring.base import is_loopback, load_extra
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp
from mainspring.services import UvicornApplication, UvicornService

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 8787
_BURST_SECONDS: Final = 10


class WebService(UvicornService):
    """Serves `/healthz`, `/readyz`, `/metrics` and the read-only API of an app (extra `web`).

    Everything but the first two needs the token of `MAINSPRING_WEB_TOKEN`, else the one in the file `web-token` of the
    app's state directory, which is made at the first start: as `Authorization: Bearer`, or as the cookie that `link`
    sets. Options of uvicorn (`ssl_certfile`, `root_path`, ...) may be keywords, too.

    Args:
        app: the app to show.
        host: the address to listen on: of this machine only, unless it is served by TLS or a proxy stands before it.
        port: 0 for a free one; the real one after the start.
        hosts: further names in the `Host` header that are answered; others are refused, which keeps out web pages
            that rebind their name to this address.
        behind_proxy: a proxy with TLS stands before it; the addresses of clients are then those that it tells, if it
            is one of uvicorn's `forwarded_allow_ips`, which by default are those of this machine.
        rate: requests a second that each client may send; more are refused until it has slowed down.
        burst: requests that may come at once after a pause; ten seconds of the rate unless given.
        max_body: bytes of the body of a request; longer ones are refused.

    Raises:
        InvalidArgumentError: the host is not of this machine only, and neither TLS nor a proxy protects it; or a limit
            lets nobody in.
        MissingExtraError: (start) the extra `web` is not installed.
        UnsafeFileError: (start) others may read the file of the token.
    """

    __required__: ClassVar[Any] = ("app",)

    app: JobApp
    port: int = DEFAULT_PORT
    hosts: Collection[str] = ()
    behind_proxy: bool = False
    rate: float = 20.0
    burst: int | None = None
    max_body: int = 1 << 20
    access_log: bool = False
    server_header: bool = False

    _link: str | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        outside = self.uds is None and not is_loopback(self.host)
        if outside and not (self.behind_proxy or self._has_tls):
            raise InvalidArgumentError(
                argument="host",
                value=self.host,
                expected="an address of this machine only, as 127.0.0.1",
                hint="to be reached from outside, give ssl_certfile= and ssl_keyfile=, or behind_proxy=True",
            )

        if not hasattr(self, "proxy_headers"):
            self.proxy_headers = self.behind_proxy  # else any program of this machine names itself as it likes
        if not 0 < self.rate < math.inf:
            raise InvalidArgumentError(argument="rate", value=self.rate, expected="a finite number > 0")
        for name, value in (("burst", self.burst), ("max_body", self.max_body)):
            if value is not None and value < 1:
                raise InvalidArgumentError(argument=name, value=value, expected="an int >= 1")

    @property
    def _has_tls(self) -> bool:
        return getattr(self, "ssl_certfile", None) is not None

    @property
    def address(self) -> str:
        """Where it listens, as a URL; once it is started, with the real port."""
        scheme = "https" if self._has_tls else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def link(self) -> str | None:
        """What lets a browser in when it is opened: a secret; None before the start."""
        return None if self._link is None else f"{self.address}{self._link}"

    @staticmethod
    def check_extra() -> None:
        """Look whether what it needs is installed.

        Raises:
            MissingExtraError: the extra `web` is missing; says how to install it.
        """
        for module in ("fastapi", "prometheus_client", "uvicorn"):
            load_extra(module, feature="WebService", extra="web")

    async def create_application(self) -> UvicornApplication:
        """Return the API behind its guard."""
        self.check_extra()
        from mainspring.web._api import make_api
        from mainspring.web._guard import LOGIN, LOOPBACK, Access, Guard
        from mainspring.web._program import health_of_program
        from mainspring.web._token import load_token

        token = load_token(Path(self.app.state_folder))
        names = {*LOOPBACK, self.host.lower(), *(one.lower() for one in self.hosts)}
        access = Access(
            token=token,
            hosts=frozenset(names),
            secure=self.behind_proxy or self._has_tls,
            max_body=self.max_body,
            rate=self.rate,
            burst=self.burst or max(1, round(self.rate * _BURST_SECONDS)),
        )
        self._link = f"{LOGIN}?token={token.secret}"
        return Guard(make_api(self.app, health_of_program()), access)

    async def start(self) -> None:
        """Listen; the log says where, not the token."""
        await super().start()
        log.info("the app %r is shown on %s", self.app.label, self.address)
