"""A page of shared memory where each worker notes the task that it begins: what was begun survives a crash."""

import mmap
import os
import sys
import tempfile
from struct import Struct
from typing import Final, Self

from mainspring.concurrency._child_main import Descriptor

_ENTRY: Final = Struct("=Q")


class Ledger:
    """One number per worker. The parent makes it and closes it; a worker gets it as an argument.

    Writing a number costs some nanoseconds; a message before each task would cost a system call and wake the
    parent.
    """

    def __init__(self, workers: int) -> None:
        descriptor = _anonymous_file()
        try:
            os.ftruncate(descriptor, workers * _ENTRY.size)
            self._open(descriptor)
        except OSError:
            os.close(descriptor)
            raise

    def __getstate__(self) -> object:
        return Descriptor(self._descriptor)

    def __setstate__(self, descriptor: Descriptor) -> None:
        self._open(descriptor.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def note(self, slot: int, number: int) -> None:
        """Say that the worker in `slot` begins task `number`."""
        _ENTRY.pack_into(self._memory, slot * _ENTRY.size, number)

    def last(self, slot: int) -> int:
        """Return the task that the worker in `slot` began last."""
        return int(_ENTRY.unpack_from(self._memory, slot * _ENTRY.size)[0])

    def close(self) -> None:
        """Give the memory back, here."""
        self._memory.close()
        os.close(self._descriptor)

    def _open(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, 0)


def _anonymous_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("mainspring-workers")
    else:  # noqa: RET505  # mypy calls the rest unreachable otherwise
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
