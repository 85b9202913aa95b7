"""ConsoleService: an operator's prompt on the running program, over a Unix socket of its user."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any  # Any: the state is the user's

from mainspring.base import decode_json, make_private_folder
from mainspring.errors import BindError, InvalidArgumentError, MainspringError
from mainspring.resilience import timeout as time_limit
from mainspring.runtime import Peer, bind_socket_file, peer_of
from mainspring.services._console_commands import add_program_commands
from mainspring.services._console_protocol import (
    MAX_LINE,
    ConsoleAnswer,
    ConsoleGreeting,
    ConsoleQuestion,
    answer_of,
    answer_of_error,
    encode_line,
)
from mainspring.services._tcp_server import TCPServer
from mainspring.tools import Dispatch, documentation
from mainspring.transport import OwnSocketFile

log = logging.getLogger(__name__)

_ROOT = 0


class ConsoleService(TCPServer):
    """Runs commands for those who operate the program: `mainspring console` is the other side.

    The socket's file has mode 0600, and the kernel tells who connects: only the user of the program, and root, are
    served. Beside the commands that are given there are `services`, `statistics`, `tasks`, `log-level` and `help`. A
    command runs on the program's loop, one at a time for each console.

    Args:
        path: of the socket; its folder is made when it is not there.

    Attributes:
        commands: what can be done beside that.
        program: what the console calls the program.
        state: passed to the commands.
        max_connections: consoles at a time; others wait.
        command_timeout: seconds that a command may take; > 0.

    Raises:
        MisuseError: (from the start) another program answers there, or the path is no socket.
        BindError: (from the start) there can be no socket of that path.

    Example:
        >>> commands = Dispatch()
        >>> @commands.command()
        ... async def drain(queue: str) -> str:
        ...     "Take no more work from a queue."
        ...     return f"{queue} is drained"
        >>> console = ConsoleService("run/console.sock", commands=commands)
    """

    commands: Dispatch | None = None
    program: str = "program"
    state: Any = None  # Any: as above
    max_connections: int = 8
    command_timeout: float = 60.0
    limit: int = MAX_LINE

    _dispatch: Dispatch
    _file: OwnSocketFile | None = None

    def __init__(self, path: str | os.PathLike[str], **kwargs: Any) -> None:
        super().__init__(os.fspath(path), 0, **kwargs)
        if self.command_timeout <= 0:
            raise InvalidArgumentError(argument="command_timeout", value=self.command_timeout, expected="seconds > 0")

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.path} consoles={self.connection_count}>"

    @property
    def path(self) -> str:
        """Where the socket is."""
        return self.address or ""

    def bind(self) -> None:
        """Take the socket before the start, so that whoever starts the program can do without if it is taken.

        Raises:
            MisuseError: another program answers there, or the path is no socket.
            BindError: there can be no socket of that path.
        """
        try:
            make_private_folder(Path(self.path).parent)
        except OSError as error:
            raise BindError(where=f"unix://{self.path}", reason=error.strerror or str(error)) from error
        self.sock = bind_socket_file(self.path)
        self._file = OwnSocketFile(self.path)

    async def start(self) -> None:
        """Listen, and return."""
        self._dispatch = self.commands or Dispatch()
        add_program_commands(self._dispatch)
        if self.sock is None:
            self.bind()
        self._file = self._file or OwnSocketFile(self.path)
        await super().start()

    async def stop(self, exception: Any = None) -> None:
        """End all consoles and remove the socket."""
        self.sock, file, self._file = None, self._file, None
        if file is not None:
            file.remove()
        await super().stop(exception)

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one console until it leaves."""
        peer = peer_of(writer.get_extra_info("socket"))
        if not self.is_operator(peer.uid):
            log.warning("%r refused user %d (process %d)", self, peer.uid, peer.pid)
            return
        log.info("%r serves user %d (process %d)", self, peer.uid, peer.pid)
        writer.write(encode_line(self._greeting()))
        while question := await _next_line(reader):
            answer = await self._answer(question, peer)
            writer.write(encode_line(answer))
            await writer.drain()

    def is_operator(self, uid: int) -> bool:
        """Say whether a user may operate the program; override it to let others in, or fewer."""
        return uid in (os.geteuid(), _ROOT)

    def _greeting(self) -> ConsoleGreeting:
        dispatch = self._dispatch
        about = {name: dispatch.operation(name) for name in dispatch.commands}
        first = {name: documentation(op).partition("\n")[0] if op is not None else "" for name, op in about.items()}
        return ConsoleGreeting(program=self.program, pid=os.getpid(), commands=first)

    async def _answer(self, question: bytes, peer: Peer) -> ConsoleAnswer:
        try:
            line = decode_json(question, ConsoleQuestion).line
            async with time_limit(self.command_timeout):
                result = await self._dispatch.run_line(line, state=self.state)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return ConsoleAnswer(status="failed", text="what the command waited for was cancelled")
        except SystemExit:  # an argparse of the command's own, say: it must not end the program that is operated
            return ConsoleAnswer(status="failed", text="the command tried to end the program")
        except Exception as error:  # supervisor: a command that fails is told, and does not end the console
            if not isinstance(error, MainspringError):
                log.error("%r: a command failed", self, exc_info=error)
            return answer_of_error(error)
        # The name only: arguments may be secrets.
        log.info("user %d (process %d) ran %s: %s", peer.uid, peer.pid, result.command or "?", result.status.value)
        return answer_of(result)


async def _next_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line; nothing at the end, or when it is longer than any command."""
    try:
        return await reader.readline()
    except ValueError:
        return b""
