"""Large buffers in anonymous shared memory, instead of through a socket.

A block is a file without a name, which only its maker's descriptor keeps. The other process opens and reads it
through /proc, so nothing can be left behind: when its maker is gone, however it went, so is the block. The maker
keeps the descriptor until the other side has answered. Linux only.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HAVE_SHARED_BLOCKS: Final = sys.platform == "linux"

_AT_ONCE: Final = 1 << 30  # the kernel writes at most 2 GiB in one call


class SharedBlock:
    """A buffer that was copied into shared memory; `name` says where another process finds it."""

    __slots__ = ("descriptor", "name")

    def __init__(self, content: memoryview) -> None:
        self.descriptor = os.memfd_create("mainspring-block") if sys.platform == "linux" else -1
        try:
            written = 0
            while written < content.nbytes:
                written += os.write(self.descriptor, content[written : written + _AT_ONCE])
        except OSError:
            os.close(self.descriptor)
            raise
        self.name = memoryview(f"/proc/{os.getpid()}/fd/{self.descriptor}".encode())

    def close(self) -> None:
        """Let go of it; who has opened it keeps it."""
        os.close(self.descriptor)


def read_block(name: bytes) -> memoryview:
    """Return a copy of another process's block, which is writable.

    A copy, since a mapping would hold a descriptor for as long as somebody keeps the array (until Python 3.13).

    Raises:
        OSError: its maker has let go of it.
    """
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = memoryview(bytearray(os.fstat(descriptor).st_size))
        position = 0
        while position < content.nbytes:
            position += os.readv(descriptor, [content[position : position + _AT_ONCE]])
    finally:
        os.close(descriptor)
    return content


@dataclass(frozen=True, slots=True)
class Shared:
    """What a message is made of, when large parts of it are in shared memory."""

    pickled: bytes
    buffers: "list[memoryview | SharedBlock]"
    blocks: list[SharedBlock]
    pickle_in_first: bool


def share_message(pickled: bytes, buffers: list[memoryview], at_least: int | None) -> Shared:
    """Move what has `at_least` bytes into blocks, the pickle itself too."""
    if at_least is None or not HAVE_SHARED_BLOCKS:
        return Shared(pickled, [*buffers], [], pickle_in_first=False)
    mixed, blocks = share_buffers([memoryview(pickled), *buffers], at_least)
    if isinstance(mixed[0], SharedBlock):
        return Shared(b"", mixed, blocks, pickle_in_first=True)
    return Shared(pickled, mixed[1:], blocks, pickle_in_first=False)


def share_buffers(
    buffers: Iterable[memoryview], at_least: int | None
) -> "tuple[list[memoryview | SharedBlock], list[SharedBlock]]":
    """Return the buffers, those of `at_least` bytes as blocks, and the blocks once more.

    Without descriptors or memory for a block the buffer stays as it is.
    """
    mixed: list[memoryview | SharedBlock] = []
    blocks: list[SharedBlock] = []
    for buffer in buffers:
        if at_least is None or buffer.nbytes < at_least or not HAVE_SHARED_BLOCKS:
            mixed.append(buffer)
            continue
        try:
            block = SharedBlock(buffer)
        except OSError:
            mixed.append(buffer)
        else:
            mixed.append(block)
            blocks.append(block)
    return mixed, blocks
