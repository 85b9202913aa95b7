"""bind_socket: a socket that listens where it should, ready for a loop."""

import errno
import logging
import socket
from collections.abc import Iterable
from typing import Final, TypeAlias

from mainspring.errors import BindError, InvalidArgumentError

log = logging.getLogger(__name__)

SocketOption: TypeAlias = tuple[int, int, int]
"""A level, an option and its value, as `socket.setsockopt` takes them."""

BIND_HINTS: Final = {
    errno.EADDRINUSE: "another program listens there; end it, choose another port, or port 0 for a free one",
    errno.EACCES: "ports below 1024 and foreign directories need a privilege",
    errno.EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 and :: mean all that it has",
}


def bind_socket(
    *args: int,
    address: str,
    port: int = 0,
    options: Iterable[SocketOption] = (),
    reuse_addr: bool = True,
    reuse_port: bool = False,
    proto_name: str = "tcp",
) -> socket.socket:
    """Return a socket that is bound to an address and does not block; the caller closes it.

    The family follows from the address: one with a colon is IPv6, others are IPv4. The wildcard `::` takes IPv4
    too. The name of a host is looked up, which blocks.

    Args:
        args: family, type and protocol of the socket instead, as `socket.socket` takes them; `address` is the
            path of a socket of the family AF_UNIX.
        address: where to listen.
        port: 0 for a free one.
        options: set before binding.
        reuse_addr: take a port whose last connections are still being forgotten.
        reuse_port: share the port with other sockets of this user that do the same.
        proto_name: for the log; without `args`, "udp" means datagrams.

    Raises:
        BindError: the address is taken, not of this machine, not allowed, or unknown.
        InvalidArgumentError: `port` is no port.

    Example:
        >>> with bind_socket(address="127.0.0.1", port=0) as sock:
        ...     sock.getsockname()[0]
        '127.0.0.1'
    """
    if not isinstance(port, int) or not 0 <= port <= 0xFFFF:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(argument="port", value=port, expected="an int from 0 to 65535")
    kind = socket.SOCK_DGRAM if proto_name == "udp" else socket.SOCK_STREAM
    sock = socket.socket(*(args or (socket.AF_INET6 if ":" in address else socket.AF_INET, kind)))
    try:
        _prepare(sock, address, reuse_addr=reuse_addr, reuse_port=reuse_port)
        for level, option, value in options:
            sock.setsockopt(level, option, value)
        sock.bind(address if sock.family == socket.AF_UNIX else (address, port))
    except OSError as error:
        sock.close()
        where = _text(sock, proto_name, address, port)
        reason = error.strerror or str(error)
        raise BindError(where=where, reason=reason, hint=BIND_HINTS.get(error.errno or 0)) from error
    except BaseException:
        sock.close()
        raise
    if sock.family != socket.AF_UNIX:
        address, port = sock.getsockname()[:2]
    log.info("Listening %s", _text(sock, proto_name, address, port))
    return sock


def _prepare(sock: socket.socket, address: str, *, reuse_addr: bool, reuse_port: bool) -> None:
    sock.setblocking(False)
    if sock.family == socket.AF_UNIX:
        return
    if reuse_addr:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6 and address == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _text(sock: socket.socket, protocol: str, address: str, port: int) -> str:
    if sock.family == socket.AF_UNIX:
        return f"{protocol}://{address}"
    return f"{protocol}://[{address}]:{port}" if ":" in address else f"{protocol}://{address}:{port}"
