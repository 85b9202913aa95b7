"""How a file is compressed, and how such a file is opened."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any  # Any: the files of the standard library's modules


class Compression(Enum):
    """How `async_open` compresses what it writes and decompresses what it reads; ZSTD needs Python 3.14 or an extra."""

    NONE = "none"
    GZIP = "gzip"
    BZ2 = "bz2"
    LZMA = "lzma"
    ZSTD = "zstd"


def open_file(
    file: str | Path | int,
    mode: str,
    *,
    compression: Compression,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> Any:
    """Open a file; blocks.

    A compressed stream goes in one direction, so a `+` in its mode is dropped: what it cannot do then raises
    UnsupportedOperation when it is asked for.
    """
    if compression is Compression.NONE:
        return open(file, mode, encoding=encoding, errors=errors, newline=newline)
    one_way = mode.replace("+", "")
    if "b" not in one_way and "t" not in one_way:
        one_way += "t"
    return _opener(compression)(file, one_way, encoding=encoding, errors=errors, newline=newline)


def _opener(compression: Compression) -> Callable[..., Any]:
    if compression is Compression.ZSTD:
        from mainspring.storage.zstd import open_zstd

        return open_zstd
    openers: dict[Compression, Callable[..., Any]] = {
        Compression.GZIP: gzip.open,
        Compression.BZ2: bz2.open,
        Compression.LZMA: lzma.open,
    }
    return openers[compression]
