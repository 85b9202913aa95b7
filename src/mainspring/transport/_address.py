"""Where to listen or connect, and what may not be listened on or connected to."""

import ssl as ssl_module
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from mainspring.base import is_loopback
from mainspring.errors import InsecureTransportError, InvalidArgumentError

Scheme: TypeAlias = Literal["tcp", "unix", "ws", "wss"]

_SCHEMES: Final[dict[str, Scheme]] = {"tcp": "tcp", "ws": "ws", "wss": "wss"}
_PORTS: Final = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address.

    Attributes:
        host: for TCP and WebSocket.
        port: likewise; 0 for a free one.
        path: of the socket, or of the WebSocket's resource.
    """

    scheme: Scheme
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def is_websocket(self) -> bool:
        """Whether it speaks WebSocket."""
        return self.scheme in ("ws", "wss")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.scheme == "unix" or is_loopback(self.host)


def parse_address(address: str) -> Address:
    """Return the parts of `tcp://host:port`, `unix:///path`, `ws://host:port/path` or `wss://...`.

    Raises:
        InvalidArgumentError: it is none of these.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise _not_an_address(address) from None
    if parts.scheme == "unix":
        path = parts.netloc + parts.path
        if not path:
            raise _not_an_address(address)
        return Address("unix", "", 0, path)
    port = _PORTS.get(parts.scheme) if port is None else port
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or port is None or parts.username is not None:
        raise _not_an_address(address)
    resource = parts.path + (f"?{parts.query}" if parts.query else "")
    if scheme == "tcp" and resource:
        raise _not_an_address(address)
    return Address(scheme, parts.hostname, port, resource)


def check_safety(
    address: Address,
    *,
    ssl: ssl_module.SSLContext | None,
    is_authenticated: bool,
    allow_unauthenticated: bool,
    is_server: bool,
) -> None:
    """Refuse what could be read, taken over or used by others.

    Raises:
        InsecureTransportError: the link leaves the machine unencrypted, or everybody may use it.
        InvalidArgumentError: `ssl` does not fit the address.
    """
    if ssl is not None and address.scheme == "unix":
        raise InvalidArgumentError(argument="ssl", value=ssl, expected="None for unix://")
    if address.scheme == "wss" and ssl is None and is_server:
        raise InvalidArgumentError(argument="ssl", value=None, expected="a context with a certificate, for wss://")
    if address.is_local:
        return
    is_encrypted = ssl is not None or address.scheme == "wss"
    is_public = address.is_websocket and not is_authenticated and allow_unauthenticated
    if not is_encrypted and not is_public:
        raise InsecureTransportError(
            address=str(address),
            problem="it leaves this machine unencrypted, where others can read it and take it over",
            hint="pass ssl= (wss:// for WebSocket), or stay on a loopback address or a Unix socket",
        )
    if not is_authenticated and not allow_unauthenticated and (is_server or not is_encrypted):
        raise InsecureTransportError(
            address=str(address),
            problem="it would be open to everybody who reaches it",
            hint="pass auth_key=, or say allow_unauthenticated=True",
        )


def _not_an_address(address: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        argument="address",
        value=address,
        expected="tcp://host:port, unix:///path, ws://host:port/path or wss://host:port/path",
    )
