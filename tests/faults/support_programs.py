"""Programs of a user in processes of their own; over their standard output they say where they are."""

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager


@contextmanager
def started(command: Sequence[str], **environment: str) -> Generator["subprocess.Popen[str]"]:
    """Start a program with these variables beside those of the tests; it is gone after the block."""
    pipe = subprocess.PIPE
    variables = {**os.environ, "MAINSPRING_LOG_FORMAT": "plain", **environment}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=variables) as child:
        try:
            yield child
        finally:
            child.kill()


def lines_until(child: "subprocess.Popen[str]", last: str) -> list[str]:
    """Read lines until `last` is there."""
    found: list[str] = []
    for line in child.stdout or ():
        found.append(line.rstrip("\n"))
        if found[-1] == last:
            return found
    _, errors = child.communicate()
    raise AssertionError(f"{found} without {last!r}: {errors}")
