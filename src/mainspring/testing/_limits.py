"""Resources that run out: descriptors and room in files, by the limits that the kernel keeps."""

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager

from mainspring.errors import InvalidArgumentError


@contextmanager
def limit_descriptors(spare: int = 0) -> Generator[None]:
    """Let this process open only `spare` more descriptors inside the block.

    One more fails with OSError (EMFILE), whoever opens it: a file, a socket, a pipe, a child process. What is
    open stays open; what is closed inside the block may be opened again.

    Raises:
        InvalidArgumentError: `spare` is below 0.
    """
    if spare < 0:
        raise InvalidArgumentError(argument="spare", value=spare, expected="an int >= 0")
    with _limited(resource.RLIMIT_NOFILE, _first_limit_with(spare)):
        yield


@contextmanager
def limit_file_size(max_bytes: int) -> Generator[None]:
    """Let no file of this process grow beyond `max_bytes` inside the block: a disk that fills up.

    A write across the limit writes what fits, the next one fails with OSError (EFBIG). Pipes and sockets are
    not limited.

    Raises:
        InvalidArgumentError: `max_bytes` is below 0.
    """
    if max_bytes < 0:
        raise InvalidArgumentError(argument="max_bytes", value=max_bytes, expected="an int >= 0")
    with _limited(resource.RLIMIT_FSIZE, max_bytes):
        yield


@contextmanager
def _limited(kind: int, soft: int) -> Generator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def _first_limit_with(spare: int) -> int:
    """Return the limit below which exactly `spare` numbers are free; the kernel limits numbers."""
    taken = {number for number in map(int, os.listdir("/dev/fd")) if _is_open(number)}
    number = 0
    while spare > 0 or number in taken:
        spare -= number not in taken
        number += 1
    return number


def _is_open(number: int) -> bool:
    # The listing has a descriptor of its own, which is closed by now.
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
