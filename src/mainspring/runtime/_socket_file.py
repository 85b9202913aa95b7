"""A Unix socket in a file that only the user of this program may connect to, and who that is at the other end."""

import os
import socket
import stat
import struct
import sys
from contextlib import suppress
from typing import Final, NamedTuple

from mainspring.errors import BindError, MisuseError

_MODE: Final = 0o600
_CREDENTIALS: Final = struct.Struct("3i")  # of SO_PEERCRED: pid, uid, gid


class Peer(NamedTuple):
    """Who connected: the process and the user, as the kernel says; -1 where it does not."""

    pid: int
    uid: int


def bind_socket_file(path: str | os.PathLike[str]) -> socket.socket:
    """Return a socket that listens at `path`, of mode 0600 from its first moment; the caller closes and unlinks it.

    A file that a dead program left is replaced.

    Raises:
        MisuseError: another program answers there, or the path is no socket.
        BindError: the folder is not there, may not be written to, or the path is too long for a socket.
    """
    name = os.fspath(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(name)
        with suppress(OSError):  # Linux takes the mode from the socket itself, others only afterwards
            os.fchmod(sock.fileno(), _MODE)
        sock.bind(name)
        os.chmod(name, _MODE)
        sock.listen()  # at once: a file at which nobody listens is one that a dead program left
    except OSError as error:
        sock.close()
        raise BindError(where=f"unix://{name}", reason=error.strerror or str(error)) from error
    except MisuseError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end of a connected Unix socket."""
    if sys.platform != "linux":  # pragma: no cover
        return Peer(-1, -1)
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise MisuseError(what=f"the path {path}", problem="is not a socket", hint="choose another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            pass  # so many wait there already that there is no room for one more
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise MisuseError(what=f"the socket {path}", problem="belongs to a program that runs", hint="choose another path")
