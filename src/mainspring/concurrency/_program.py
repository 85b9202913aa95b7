"""Programs that are started by their command line. Functions and modules of ours are started by `_child`."""

import asyncio
import subprocess
from collections.abc import Sequence
from typing import Any  # Any: the options of subprocess.Popen, which decide between bytes and text

from mainspring.concurrency._child_start import not_started


def open_program(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a program as `subprocess.Popen` does; who calls it watches it and waits for its end.

    Raises:
        ChildStartError: there is no such program, or no process, memory or descriptor left.
    """
    try:
        return subprocess.Popen(command, **options)
    except OSError as error:
        raise not_started(command[0], error) from error


async def start_program(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """Start a program as `asyncio.create_subprocess_exec` does.

    Raises: as `open_program`.
    """
    try:
        return await asyncio.create_subprocess_exec(*command, **options)
    except OSError as error:
        raise not_started(command[0], error) from error
