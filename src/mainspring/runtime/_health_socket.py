"""The health of a program, for those outside: a Unix socket that answers each connection with one report."""

import asyncio
import os
import socket
import stat
from contextlib import suppress
from typing import Final

from mainspring.base import decode_json, encode_json
from mainspring.errors import MisuseError, UnreachableProgramError
from mainspring.resilience import timeout as time_limit
from mainspring.runtime._entrypoint import Entrypoint
from mainspring.runtime._health import HealthReport
from mainspring.runtime._service import Service

_MODE: Final = 0o600
_MAX_BYTES: Final = 1 << 24


class HealthSocket(Service):
    """Answers every connection to a Unix socket with the program's health as one JSON object.

    `mainspring services PATH` and `read_health` ask it. The file is readable for its owner only; one that a dead
    program left is replaced.

    Attributes:
        path: of the socket.

    Raises:
        MisuseError: (from the start) another program answers there, or the path is no socket.
    """

    __required__ = ("path",)
    path: str | os.PathLike[str]

    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        program = Entrypoint.get_current()

        def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(encode_json(program.health()))
            writer.close()

        path = os.fspath(self.path)
        _remove_stale(path)
        self._server = await asyncio.start_unix_server(answer, path)
        os.chmod(path, _MODE)

    async def stop(self, exception: BaseException | None = None) -> None:
        """Remove the socket."""
        if self._server is not None:
            self._server.close()
            with suppress(FileNotFoundError):
                os.unlink(self.path)


async def read_health(path: str | os.PathLike[str], *, timeout: float = 5.0) -> HealthReport:
    """Ask the program that listens at `path` for its health; wait at most `timeout` seconds.

    Raises:
        UnreachableProgramError: nobody answers there.
    """
    try:
        async with time_limit(timeout):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                answer = await reader.read(_MAX_BYTES)
            finally:
                writer.close()
    except OSError as error:  # a TimeoutError is one
        reason = f"no answer within {timeout:g} s" if isinstance(error, TimeoutError) else str(error)
        raise UnreachableProgramError(socket=os.fspath(path), reason=reason) from error
    return decode_json(answer, HealthReport)


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise MisuseError(what=f"the path {path}", problem="is not a socket", hint="choose another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise MisuseError(what=f"the socket {path}", problem="belongs to a program that runs", hint="choose another path")
