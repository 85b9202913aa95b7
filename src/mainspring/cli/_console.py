"""`mainspring console`: an operator's prompt on a running program.

The program is at a Unix socket; see `services/_console_protocol.py` for what is said there. A line that is typed is
sent as it is, so that names and help are those of the program. From a pipe, each line is a command.
"""

import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from mainspring.base import decode_json, encode_json
from mainspring.cli._errors import ExitCode
from mainspring.cli._operator import SOCKET
from mainspring.cli._options import State
from mainspring.cli._output import write_facts, write_json, write_rows
from mainspring.errors import EncodeError, MissingExtraError, UnreachableProgramError
from mainspring.jobs import JobApp
from mainspring.runtime import escape_controls
from mainspring.services import ConsoleAnswer, ConsoleGreeting, ConsoleQuestion
from mainspring.tools import Dispatch, Op, dispatch_completer

_GREETING_SECONDS: Final = 5.0
_LEAVE: Final = frozenset({"quit", "exit"})

SocketPath = Annotated[
    Path | None, typer.Option("--socket", metavar="FILE", help="the path of the socket itself, elsewhere")
]
Lines = Annotated[bool, typer.Option("--json", help="write each answer as one line of JSON")]


class Ask(Protocol):
    """Asks for the next line; raises EOFError when there is none."""

    def __call__(self) -> str:
        """Return it."""
        ...


def console(state: State = None, socket: SocketPath = None, as_json: Lines = False) -> None:
    """Operate a running program: type commands, `?` for help, `quit` to leave; or pipe them in.

    Ends with 1 when one of the piped commands failed.
    """
    path = socket or (state or JobApp("console").state_folder) / SOCKET
    with _connected(path) as talk:
        is_well = _operate(talk, as_json=as_json)
    if not is_well:
        raise typer.Exit(ExitCode.FAILED)


class Talk:
    """A connection to a program that has greeted."""

    def __init__(self, sock: socket.socket, path: Path) -> None:
        self._sock, self._path = sock, path
        self._lines = sock.makefile("rb")
        sock.settimeout(_GREETING_SECONDS)
        self.greeting = decode_json(self._next(), ConsoleGreeting)
        sock.settimeout(None)  # a command takes as long as the program lets it, and Ctrl-C ends the waiting

    def ask(self, line: str) -> ConsoleAnswer:
        """Send a line and return its answer."""
        try:
            self._sock.sendall(encode_json(ConsoleQuestion(line)) + b"\n")
        except EncodeError:
            return ConsoleAnswer(status="failed", text="this line is no UTF-8 text")
        except OSError as error:
            raise self._gone(error) from error
        return decode_json(self._next(), ConsoleAnswer)

    def close(self) -> None:
        """Leave."""
        self._lines.close()

    def _next(self) -> bytes:
        try:
            line = self._lines.readline()
        except OSError as error:
            raise self._gone(error) from error
        if not line:
            raise self._gone("it closed the connection")
        return line

    def _gone(self, why: OSError | str) -> UnreachableProgramError:
        return unreachable(self._path, why)


def unreachable(path: Path, why: OSError | str) -> UnreachableProgramError:
    """Return the error that names a program which cannot be operated."""
    reason = why if isinstance(why, str) else why.strerror or str(why)
    hint = "is `mainspring run` or a program with operator_console(app) running with this state directory?"
    return UnreachableProgramError(socket=os.fspath(path), reason=reason, hint=hint)


@contextmanager
def _connected(path: Path) -> Generator[Talk]:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(os.fspath(path))
        except OSError as error:
            raise unreachable(path, error) from error
        talk = Talk(sock, path)
        try:
            yield talk
        finally:
            talk.close()


def _operate(talk: Talk, *, as_json: bool) -> bool:
    """Pass lines on until there are no more; return whether all of them were well, which people see themselves."""
    is_person = sys.stdin.isatty()
    next_line = _prompt(talk.greeting) if is_person else _piped
    all_well = True
    while True:
        try:
            line = next_line().strip()
        except EOFError:
            return all_well
        except KeyboardInterrupt:
            if is_person:  # the line is thrown away, as a shell does
                continue
            raise
        if line in _LEAVE:
            return all_well
        if line and not line.startswith("#"):
            answer = talk.ask(line)
            write_answer(answer, as_json=as_json)
            all_well = all_well and (is_person or answer.is_well)


def write_answer(answer: ConsoleAnswer, *, as_json: bool) -> None:
    """Write what became of a line: what went wrong to standard error, the rest to standard output."""
    if as_json:
        write_json(answer)
        return
    if answer.text:
        text = escape_controls(answer.text, keep_lines=True)
        (sys.stdout if answer.is_well else sys.stderr).write(f"{text}\n")
    if answer.hint:
        sys.stderr.write(f"hint: {answer.hint}\n")
    if answer.columns and answer.value:
        write_rows(answer.value, columns=answer.columns, as_json=False, empty="")
    elif answer.value:
        write_facts(answer.value, as_json=False)
    sys.stdout.flush()


def _piped() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _prompt(greeting: ConsoleGreeting) -> Ask:
    """Return what asks a person: with completion when prompt_toolkit is installed, else as `input` does."""
    sys.stdout.write(f"{greeting.program} (process {greeting.pid}): ? for help, quit to leave\n")
    prompt = f"{greeting.program}> "
    try:
        completer = dispatch_completer(known_commands(greeting))
    except MissingExtraError:
        return lambda: input(prompt)
    from prompt_toolkit import PromptSession

    session: PromptSession[str] = PromptSession(prompt, completer=completer)
    return session.prompt


def known_commands(greeting: ConsoleGreeting) -> Dispatch:
    """Return the program's commands as far as completion needs them: names and first lines of help."""
    known = {"quit": "Leave the console; the program goes on."} | greeting.commands
    return Dispatch({name: type(name, (Op,), {"__doc__": about}) for name, about in known.items()})
