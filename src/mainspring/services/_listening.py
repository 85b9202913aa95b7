"""Where servers listen: an address and a port that are checked at once and bound at the start."""

import socket
from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol, TypeAlias

from mainspring.concurrency import threaded
from mainspring.errors import BindError, InvalidArgumentError, MisuseError
from mainspring.runtime import Service, given_params
from mainspring.transport import SocketOption, bind_socket

Socket: TypeAlias = socket.socket
Address: TypeAlias = tuple[Any, ...] | str


class Listens(Protocol):
    """What a server says about where it listens."""

    address: str | None
    port: int | None
    sock: Socket | None
    options: Iterable[SocketOption]
    reuse_port: bool


def given(**arguments: object) -> dict[str, Any]:
    """Return the arguments that are not None: the others are left to the class."""
    return {name: value for name, value in arguments.items() if value is not None}


def check_place(server: Listens) -> None:
    """Refuse a server that does not know where to listen.

    Raises:
        MisuseError: it has neither a socket nor both address and port.
        InvalidArgumentError: the socket is none.
    """
    sock = server.sock
    if sock is not None:
        if not isinstance(sock, socket.socket):  # pyright: ignore[reportUnnecessaryIsInstance]  # anything gets here
            raise InvalidArgumentError(argument="sock", value=sock, expected="a socket")
        return
    if server.address is None or server.port is None:
        raise MisuseError(
            what=type(server).__qualname__,
            problem="needs address= and port=, or sock=",
            hint=_misspelt(server) or "port 0 takes a free one",
        )


def _misspelt(server: object) -> str | None:
    """Return a hint when an option was given that the class does not know."""
    if not isinstance(server, Service):
        return None
    strange = [name for name in given_params(server) if not hasattr(type(server), name)]
    return f"it has no option {strange[0]}=" if strange else None


async def open_socket(server: Listens, protocol: str) -> Socket:
    """Return the socket that the server was given, or bind one; the name of a host is looked up in a thread."""
    if server.sock is not None:
        server.sock.setblocking(False)
        return server.sock
    bind = partial(
        bind_socket,
        address=server.address or "",
        port=server.port or 0,
        options=server.options,
        reuse_port=server.reuse_port,
        proto_name=protocol,
    )
    return bind() if _is_number(server.address or "") else await threaded(bind)()


async def open_listener(server: Listens, protocol: str, *, backlog: int) -> Socket:
    """Return such a socket once it listens, which only one of all that are bound to an address can do.

    Raises:
        BindError: another one was faster; this one is closed.
    """
    sock = await open_socket(server, protocol)
    try:
        sock.listen(backlog)
    except OSError as error:
        where = sock.getsockname()
        sock.close()
        reason = error.strerror or str(error)
        raise BindError(where=where if isinstance(where, str) else f"{where[0]}:{where[1]}", reason=reason) from error
    except BaseException:
        sock.close()
        raise
    return sock


def take_name(server: Listens, sock: Socket) -> None:
    """Tell the server the address and the port that it got."""
    name: Address = sock.getsockname()
    if isinstance(name, tuple):
        server.address, server.port = name[:2]
    else:
        server.address = name


def _is_number(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.inet_pton(family, address.partition("%")[0])
    except OSError:
        return address == ""
    return True
