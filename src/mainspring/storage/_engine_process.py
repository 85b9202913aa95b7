"""The process in which an embedded ClickHouse engine lives, seen from the program that started it."""

import fcntl
import os
import selectors
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final, cast  # Any: what the child says

from mainspring.base import current_clock, decode_json, encode_json, make_private_folder, new_id
from mainspring.concurrency import open_program
from mainspring.errors import MissingExtraError, StoreOpenError

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_KILL_SECONDS: Final = 10.0
_CODE: Final = "from mainspring.storage.chdb_server import main; main()"


class EngineProcess:
    """An engine on one folder, behind a password on a port of 127.0.0.1. Calls block; starting takes about a second.

    It ends with `stop`, or with the process that started it, however that ends.

    Args:
        path: the folder; made if it is not there (0700).
        password: a random one unless given.
    """

    def __init__(self, path: str | Path, *, password: str | None = None) -> None:
        self.path = Path(path)
        self.password = new_id() if password is None else password
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process number, None before it was started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it answers; does nothing while it runs.

        Raises:
            StoreOpenError: the folder cannot be used, or another process has it.
            MissingExtraError: the engine is not installed.
            ChildStartError: the system has no process, memory or descriptor left.
        """
        if self.alive:
            return
        for module in ("chdb", "aiohttp"):  # which are for the child to import
            if find_spec(module) is None:
                raise MissingExtraError(feature="an embedded ClickHouse engine", module=module, extra="chdb")
        self.stop()
        make_private_folder(self.path)
        self._process = open_program(
            [sys.executable, "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C is for the program, which ends the engine in its turn
        )
        wanted = {"path": str(self.path.resolve()), "port": self.port, "password": self.password}
        said = _talk(self._process, encode_json(wanted) + b"\n")
        if "port" not in said:
            self.stop()
            reason = str(said.get("error", "the engine did not start"))
            reason = "another process uses it" if _is_locked(self.path) else reason
            raise StoreOpenError(store=str(self.path), reason=reason)
        self.port = int(said["port"])

    def stop(self) -> None:
        """End it and wait; it writes what it has."""
        process, self._process = self._process, None
        if process is None:
            return
        cast("IO[bytes]", process.stdin).close()  # cast: it is a pipe
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_KILL_SECONDS)
        cast("IO[bytes]", process.stdout).close()  # cast: it is a pipe

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; does nothing unless it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def __repr__(self) -> str:
        state = f"pid {self.pid} on port {self.port}" if self.alive else "stopped"
        return f"<EngineProcess {str(self.path)!r}, {state}>"


def _talk(process: subprocess.Popen[bytes], line: bytes) -> dict[str, Any]:
    """Say what is wanted, return the one line that the child says; nothing when it says none in time."""
    wanted, told = (cast("IO[bytes]", one).fileno() for one in (process.stdin, process.stdout))  # cast: both are pipes
    clock, said = current_clock(), b""
    end = clock.monotonic() + _START_SECONDS
    with suppress(BrokenPipeError):  # it died: there is nothing to read then
        os.write(wanted, line)
    with selectors.DefaultSelector() as selector:
        selector.register(told, selectors.EVENT_READ)
        while not said.endswith(b"\n") and selector.select(max(0.0, end - clock.monotonic())):
            part = os.read(told, 65536)
            if not part:
                break
            said += part
    return decode_json(said) if said.endswith(b"\n") else {}


def _is_locked(folder: Path) -> bool:
    """Tell whether an engine holds the lock on its folder: the error of the second one does not say so."""
    try:
        with (folder / "status").open("rb") as status:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
