"""`aiomisc.io`: asynchronous files. An unknown attribute is an AttributeError, `loop` is not looked at."""

import os
import sys
from typing import Any  # Any: executors and loops of any kind

from mainspring.storage import AsyncBinaryIO, AsyncFileIO, AsyncTextIO, Compression
from mainspring.storage import async_open as _async_open

__all__ = (
    "AsyncBinaryIO",
    "AsyncBz2BinaryIO",
    "AsyncBz2TextIO",
    "AsyncFileIO",
    "AsyncGzipBinaryIO",
    "AsyncGzipTextIO",
    "AsyncLzmaBinaryIO",
    "AsyncLzmaTextIO",
    "AsyncTextIO",
    "Compression",
    "async_open",
)

_Name = str | os.PathLike[str] | int


class AsyncGzipBinaryIO(AsyncBinaryIO):
    """Bytes, compressed by gzip."""

    def __init__(self, fname: _Name, mode: str = "rb", executor: Any = None) -> None:
        super().__init__(fname, mode, compression=Compression.GZIP, executor=executor)


class AsyncGzipTextIO(AsyncTextIO):
    """Text, compressed by gzip."""

    def __init__(self, fname: _Name, mode: str = "rt", executor: Any = None, **options: Any) -> None:
        super().__init__(fname, mode, compression=Compression.GZIP, executor=executor, **options)


class AsyncBz2BinaryIO(AsyncBinaryIO):
    """Bytes, compressed by bzip2."""

    def __init__(self, fname: _Name, mode: str = "rb", executor: Any = None) -> None:
        super().__init__(fname, mode, compression=Compression.BZ2, executor=executor)


class AsyncBz2TextIO(AsyncTextIO):
    """Text, compressed by bzip2."""

    def __init__(self, fname: _Name, mode: str = "rt", executor: Any = None, **options: Any) -> None:
        super().__init__(fname, mode, compression=Compression.BZ2, executor=executor, **options)


class AsyncLzmaBinaryIO(AsyncBinaryIO):
    """Bytes, compressed by LZMA."""

    def __init__(self, fname: _Name, mode: str = "rb", executor: Any = None) -> None:
        super().__init__(fname, mode, compression=Compression.LZMA, executor=executor)


class AsyncLzmaTextIO(AsyncTextIO):
    """Text, compressed by LZMA."""

    def __init__(self, fname: _Name, mode: str = "rt", executor: Any = None, **options: Any) -> None:
        super().__init__(fname, mode, compression=Compression.LZMA, executor=executor, **options)


def async_open(
    fname: _Name,
    mode: str = "r",
    compression: Compression = Compression.NONE,
    encoding: str | None = sys.getdefaultencoding(),
    *,
    executor: Any = None,
    loop: object = None,
    errors: str | None = None,
    newline: str | None = None,
) -> Any:  # Any: the mode decides, and the seed tells the checker by an annotation
    """Return a file that `await` or `async with` opens."""
    del loop  # the running one is meant
    encoding = None if "b" in mode else encoding  # the older function takes one for bytes too
    return _async_open(
        fname, mode, compression=compression, encoding=encoding, errors=errors, newline=newline, executor=executor
    )
