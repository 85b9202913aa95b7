"""The socket on which systemd hears of a service: one datagram of `NAME=value` lines each."""

import logging
import os
import socket

log = logging.getLogger(__name__)


class NotifySocket:
    """Sends to the socket named by `NOTIFY_SOCKET`; nothing happens where there is none. Never waits or raises.

    Source: sd_notify(3).
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def __bool__(self) -> bool:
        return self._socket is not None

    def open(self) -> None:
        """Read the environment, and connect; once."""
        path = os.environ.get("NOTIFY_SOCKET")
        if self._socket is not None or not path:
            return
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.setblocking(False)
        try:
            sock.connect(f"\0{path[1:]}" if path[0] == "@" else path)
        except OSError as error:
            sock.close()
            log.warning("systemd does not listen at %s: %s", path, error)
            return
        self._socket = sock

    def send(self, *lines: str) -> None:
        """Send the lines; they are lost when nobody takes them."""
        if self._socket is None:
            return
        try:
            self._socket.send("\n".join(lines).encode())
        except OSError as error:
            log.warning("systemd was not told %s: %s", lines, error)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watchdog_seconds() -> float | None:
    """Return how often systemd wants to hear from this process, in seconds; None when it does not.

    Source: sd_watchdog_enabled(3).
    """
    wanted = os.environ.get("WATCHDOG_USEC", "")
    process = os.environ.get("WATCHDOG_PID", "")
    if not (wanted.isdigit() and int(wanted)) or (process and process != str(os.getpid())):
        return None
    return int(wanted) / 1_000_000
