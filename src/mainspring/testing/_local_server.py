"""A server program of one's own on 127.0.0.1: on a free port, killed, paused, started again on the same port."""

import os
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Self

from mainspring.base import current_random
from mainspring.concurrency import open_program
from mainspring.errors import ChildStartError

_START_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.01
_STOP_SECONDS: Final = 10.0
_PORTS_TRIED: Final = 5
_PORTS: Final = (20_000, 32_767)  # Linux gives those above to clients and for port 0, macOS those above 49151
_MOST_TRIES: Final = 100


class LocalServer(ABC):
    """What the servers of this room share. Subclasses say which program, with which options, and when it is ready.

    Args:
        options: further options of the server.

    Raises:
        ChildStartError: (from `start`) there is no such program, or it did not start.
    """

    _says_when_ready: bytes

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __repr__(self) -> str:
        state = "stopped" if self._process is None else f"pid {self._process.pid}"
        return f"<{type(self).__name__} port {self._port}, {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    @property
    def port(self) -> int:
        """Where it listens; the same after every start."""
        return self._port

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        program = self._find_program()
        chosen = self._port
        for _ in range(_PORTS_TRIED):
            self._port = chosen or unused_port()
            if self._starts(program):
                return
        raise ChildStartError(child=program, reason=f"it accepted no connections on port {self._port}")

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def pause(self) -> None:
        """Stop it in the middle of whatever it does, with its connections open."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    @abstractmethod
    def _find_program(self) -> str:
        """Return the path of the program."""

    @abstractmethod
    def _arguments(self) -> Sequence[str]:
        """Return what the program needs to listen on this port."""

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _starts(self, program: str) -> bool:
        with tempfile.TemporaryFile() as said:  # and no pipe: one that nobody reads is full some day, and blocks it
            self._process = process = open_program(
                [program, *self._arguments(), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
            if self._is_ready(process, said.fileno()):
                return True
        self.kill()
        return False

    def _is_ready(self, process: "subprocess.Popen[bytes]", said: int) -> bool:
        """Look into what it says until it is ready; False when it ends or takes too long."""
        for _ in range(round(_START_SECONDS / _LOOK_SECONDS)):
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
                return False
            if self._says_when_ready in os.pread(said, os.fstat(said).st_size, 0):
                return True
        return False


def unused_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses, and that no system gives to whoever asks for any port.

    Otherwise a client of another program may have it before it is bound, or while a server is started again.
    """
    for _ in range(_MOST_TRIES):
        port = current_random().randint(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ChildStartError(child="a server of a test", reason=f"no port is free of {_MOST_TRIES} that were tried")
