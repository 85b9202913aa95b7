"""How a command ends: its exit code, and one sentence with a hint when something is wrong."""

import errno
import io
import os
import sys
from enum import IntEnum
from typing import Final

from mainspring.errors import (
    ConfigError,
    InsecureTransportError,
    InvalidArgumentError,
    JobDefinitionError,
    MainspringError,
    MissingExtraError,
    NeedsError,
    StorageError,
    UnknownBackfillError,
    UnknownJobError,
    UnknownRunError,
)

_WRONG = (
    ConfigError,
    InsecureTransportError,
    InvalidArgumentError,
    JobDefinitionError,
    MissingExtraError,
    NeedsError,
    UnknownBackfillError,
    UnknownJobError,
    UnknownRunError,
)


_UNWRITTEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE)
_WRITERS: Final = frozenset({"click", "rich", "typer"})


class ExitCode(IntEnum):
    """What every command ends with."""

    DONE = 0
    FAILED = 1
    WRONG_INPUT = 2
    STORE_TROUBLE = 3
    INTERRUPTED = 130


def say_error(error: MainspringError) -> ExitCode:
    """Write an error's sentence and hint to standard error and return the exit code it means."""
    sys.stderr.write(f"error: {error}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
    if isinstance(error, StorageError):
        return ExitCode.STORE_TROUBLE
    return ExitCode.WRONG_INPUT if isinstance(error, _WRONG) else ExitCode.FAILED


def say_unwritten(error: OSError) -> ExitCode:
    """Say that standard output took no more; a reader that left, as `head` does, needs no word.

    Raises:
        OSError: it is about something else.
    """
    if error.errno not in _UNWRITTEN or error.filename is not None or (_is_writable() and not _is_of_output(error)):
        raise error
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # what is still buffered would be tried again at the exit
    os.close(nowhere)
    if error.errno != errno.EPIPE:
        sys.stderr.write(f"error: the output cannot be written: {error.strerror}\n")
    return ExitCode.FAILED


def _is_of_output(error: OSError) -> bool:
    """Whether what writes for the commands raised it: an unbuffered output keeps nothing that could be tried again."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    module = "" if place is None else str(place.tb_frame.f_globals.get("__name__"))
    return module.partition(".")[0] in _WRITERS or module.startswith(f"{__package__}.")


def prepare_streams() -> None:
    """Give a process that was started without standard streams some that lead nowhere; let outputs take any text.

    Without, the next files that it opens, as its store, would get their numbers, and all that anybody writes there.
    What the encoding of an output has no letters for is written escaped.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, mode, closefd=False))  # for the rest of the process's life
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_writable() -> bool:
    """Try what is still buffered once more: a full disk may be that of a job's own file."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True
