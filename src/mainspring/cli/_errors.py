"""How a command ends: its exit code, and one sentence with a hint when something is wrong."""

import sys
from enum import IntEnum

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
)


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
