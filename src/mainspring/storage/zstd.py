"""Zstandard: of the standard library from Python 3.14 on, of an extra before."""

import sys
from typing import Any  # Any: two modules of the same shape

from mainspring.base import load_extra


def open_zstd(file: Any, mode: str, *, encoding: str | None, errors: str | None, newline: str | None) -> Any:
    """Open a file that is compressed with Zstandard.

    Raises:
        MissingExtraError: Python is older than 3.14 and the extra is not installed.
    """
    return zstd_module().open(file, mode, encoding=encoding, errors=errors, newline=newline)


def zstd_module() -> Any:
    """Return the module, with `open`, `compress` and `decompress`.

    Raises:
        MissingExtraError: Python is older than 3.14 and the extra is not installed.
    """
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return load_extra(name, feature="compression by Zstandard", extra="zstd")
