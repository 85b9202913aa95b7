"""Who is at the other end of a socket: this process, or somebody that lives in real time."""

import os
import socket
import stat
import struct
import sys
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")  # of SO_PEERCRED: pid, uid, gid


def foreign_peer(fd: int) -> str | None:
    """Return the other end of the socket `fd` in words, or None when it is nobody outside this process.

    Listening and unconnected datagram sockets have no other end. Socketpairs belong to the process that
    made them, also when a child inherited one end: what the child does is counted as outside work. A stream
    socket that is still connecting counts as foreign: nobody knows yet who answers.
    """
    if not _is_socket(fd):
        return None
    with socket.socket(fileno=os.dup(fd)) as end:
        if end.family == socket.AF_UNIX:
            return _foreign_unix_peer(end)
        if end.family in (socket.AF_INET, socket.AF_INET6):
            return _foreign_ip_peer(end)
    return None


def _foreign_unix_peer(end: socket.socket) -> str | None:
    if sys.platform != "linux":  # pragma: no cover
        return None
    credentials = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid = _CREDENTIALS.unpack(credentials)[0]
    return f"a Unix socket to process {pid}" if pid not in (0, os.getpid()) else None


def _foreign_ip_peer(end: socket.socket) -> str | None:
    try:
        peer = end.getpeername()
    except OSError:
        connecting = end.type == socket.SOCK_STREAM and not _listens(end)
        return "a TCP connection that is being made" if connecting else None
    return None if _is_own_address(peer) else f"a connection to {peer[0]}:{peer[1]}"


def _listens(end: socket.socket) -> bool:
    return end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


def _is_own_address(address: object) -> bool:
    """Tell whether a socket of this process is bound to `address`."""
    for fd in filter(_is_socket, map(int, os.listdir("/dev/fd"))):
        with socket.socket(fileno=os.dup(fd)) as own:
            if own.getsockname() == address:
                return True
    return False


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False  # closed by now
