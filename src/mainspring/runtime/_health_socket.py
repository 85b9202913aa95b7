"""The health of a program, for those outside: a Unix socket that answers each connection with one report."""

import asyncio
import os
from typing import Final

from mainspring.base import decode_json, encode_json
from mainspring.errors import UnreachableProgramError
from mainspring.resilience import timeout as time_limit
from mainspring.runtime._entrypoint import Entrypoint
from mainspring.runtime._health import HealthReport
from mainspring.runtime._service import Service
from mainspring.runtime._socket_file import bind_socket_file
from mainspring.transport import OwnSocketFile

_MAX_BYTES: Final = 1 << 24


class HealthSocket(Service):
    """Answers every connection to a Unix socket with the program's health as one JSON object.

    `mainspring services PATH` and `read_health` ask it. The file is readable for its owner only; one that a dead
    program left is replaced.

    Attributes:
        path: of the socket.

    Raises:
        MisuseError: (from the start) another program answers there, or the path is no socket.
        BindError: (from the start) there can be no socket of that path.
    """

    __required__ = ("path",)
    path: str | os.PathLike[str]

    _server: asyncio.Server | None = None
    _file: OwnSocketFile | None = None

    async def start(self) -> None:
        """Listen."""
        program = Entrypoint.get_current()

        def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(encode_json(program.health()))
            writer.close()

        sock = bind_socket_file(self.path)
        self._file = OwnSocketFile(self.path)
        self._server = await asyncio.start_unix_server(answer, sock=sock)

    async def stop(self, exception: BaseException | None = None) -> None:
        """Remove the socket."""
        if self._file is not None:
            self._file.remove()
        if self._server is not None:
            self._server.close()


async def read_health(path: str | os.PathLike[str], *, timeout: float = 5.0) -> HealthReport:
    """Ask the program that listens at `path` for its health; wait at most `timeout` seconds.

    Raises:
        UnreachableProgramError: nobody answers there.
    """
    try:
        async with time_limit(timeout):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                answer = bytearray()
                while part := await reader.read(_MAX_BYTES - len(answer)):
                    answer += part
            finally:
                writer.close()
    except OSError as error:  # a TimeoutError is one
        reason = f"no answer within {timeout:g} s" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise UnreachableProgramError(socket=os.fspath(path), reason=reason) from error
    return decode_json(bytes(answer), HealthReport)
