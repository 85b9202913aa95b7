"""How a file is compressed, and how such a file is opened."""

import bz2
import codecs
import gzip
import lzma
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Final  # Any: the files of the standard library's modules

from mainspring.errors import InvalidArgumentError

_MODE: Final = re.compile(r"[bt+]*[rwax][bt+]*")
_NEWLINES: Final = (None, "", "\n", "\r", "\r\n")


class Compression(Enum):
    """How `async_open` compresses what it writes and decompresses what it reads; ZSTD needs Python 3.14 or an extra."""

    NONE = "none"
    GZIP = "gzip"
    BZ2 = "bz2"
    LZMA = "lzma"
    ZSTD = "zstd"


def check_how(
    mode: object, *, compression: object, encoding: str | None, errors: str | None, newline: str | None
) -> None:
    """Refuse what no file can be opened with, without opening one.

    Raises:
        InvalidArgumentError: an argument is outside its range.
    """
    if not isinstance(mode, str) or not _MODE.fullmatch(mode) or len(set(mode)) < len(mode) or {*"bt"} <= {*mode}:
        raise InvalidArgumentError(argument="mode", value=mode, expected="one of r, w, a and x, with b or t, and +")
    if not isinstance(compression, Compression):
        raise InvalidArgumentError(argument="compression", value=compression, expected="a Compression")
    if "b" in mode:
        for argument, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
            if value is not None:
                raise InvalidArgumentError(argument=argument, value=value, expected="None for a file of bytes")
        return
    if newline not in _NEWLINES:
        raise InvalidArgumentError(argument="newline", value=newline, expected=r"None, '', '\n', '\r' or '\r\n'")
    for argument, value, look_up in (("encoding", encoding, codecs.lookup), ("errors", errors, codecs.lookup_error)):
        try:
            if value is not None and (argument, value) != ("encoding", "locale"):
                look_up(value)
        except (LookupError, TypeError, ValueError):
            expected = f"the name of {'an' if argument == 'encoding' else 'a way to treat'} {argument}"
            raise InvalidArgumentError(argument=argument, value=value, expected=expected) from None


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
