"""What a console and a program say to one another: lines of JSON over a Unix socket.

The program greets; then each line that the console sends gets one answer. A person with `nc -U` can do it, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeGuard  # Any: values of commands hold plain data

import msgspec

from mainspring.base import encode_json
from mainspring.errors import EncodeError, MainspringError
from mainspring.tools import DispatchResult, DispatchStatus

MAX_LINE: Final = 1 << 16
"""Bytes of what a console may ask."""

AnswerStatus: TypeAlias = Literal["done", "help", "ambiguous", "unknown", "invalid", "unimplemented", "failed"]


class ConsoleGreeting(msgspec.Struct, frozen=True):
    """What the program says first.

    Attributes:
        program: what it calls itself.
        pid: its process.
        commands: their names, and the first line of the help of each.
    """

    program: str
    pid: int
    commands: dict[str, str]


class ConsoleQuestion(msgspec.Struct, frozen=True):
    """One line that an operator typed."""

    line: str


class ConsoleAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a line.

    Attributes:
        status: `done`, `help`, or what was wrong; `failed` when the command ran and raised.
        text: what to tell; empty when the value says it.
        hint: what to do next, for a command that failed.
        value: a list of objects with the same keys, one object, or nothing.
        columns: which of the keys a table shows.
    """

    status: AnswerStatus
    text: str = ""
    hint: str | None = None
    value: Any = None  # Any: as above
    columns: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether the line did what it asked for."""
        return self.status in ("done", "help")


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows that a command returns, to be shown as a table.

    Args:
        rows: objects with plain values.
        columns: the keys that the table shows, the most important first.
        empty: what to say when there are no rows.
    """

    rows: Sequence[Mapping[str, Any]]  # Any: as above
    columns: Sequence[str]
    empty: str = "there is nothing to list"


def answer_of(result: DispatchResult) -> ConsoleAnswer:
    """Return what the console is told about a line that was run."""
    if result.status is not DispatchStatus.DONE:
        return ConsoleAnswer(status=result.status.value, text=result.text)
    value = result.value
    if isinstance(value, Listing):
        empty = "" if value.rows else value.empty
        return ConsoleAnswer(status="done", text=empty, value=list(value.rows), columns=tuple(value.columns))
    if value is None or isinstance(value, str):
        return ConsoleAnswer(status="done", text=value or "")
    return (
        ConsoleAnswer(status="done", value=value) if _is_table(value) else ConsoleAnswer(status="done", text=str(value))
    )


def answer_of_error(error: BaseException) -> ConsoleAnswer:
    """Return what the console is told about a command that raised."""
    if isinstance(error, MainspringError):
        return ConsoleAnswer(status="failed", text=str(error), hint=error.hint)
    return ConsoleAnswer(status="failed", text=f"{type(error).__name__}: {error}")


def encode_line(message: ConsoleGreeting | ConsoleQuestion | ConsoleAnswer) -> bytes:
    """Return one line of JSON; of an answer that has no JSON form, what is wrong with it."""
    try:
        return encode_json(message) + b"\n"
    except EncodeError as error:
        return encode_json(answer_of_error(error)) + b"\n"


def _is_table(value: object) -> TypeGuard[Mapping[str, Any]]:  # Any: as above
    return isinstance(value, Mapping)
