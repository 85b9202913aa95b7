"""Opening compressed files."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any  # Any: files of several modules

import pytest

from mainspring.storage import Compression
from mainspring.storage._compression import open_file

OPENERS: list[tuple[Compression, Callable[..., Any]]] = [
    (Compression.NONE, open),
    (Compression.GZIP, gzip.open),
    (Compression.BZ2, bz2.open),
    (Compression.LZMA, lzma.open),
]


@pytest.mark.parametrize(("compression", "opener"), OPENERS)
@pytest.mark.parametrize("mode", ["w", "wt", "w+", "wb"])
def test_files_are_those_of_the_standard_library(
    tmp_path: Path, compression: Compression, opener: Callable[..., Any], mode: str
) -> None:
    text = None if "b" in mode else "latin-1"
    newline = None if "b" in mode else "\r\n"
    with open_file(tmp_path / "a", mode, compression=compression, encoding=text, errors=None, newline=newline) as file:
        file.write(b"a\n" if text is None else "ä\n")
    with opener(tmp_path / "a", "rb") as again:
        assert (b"a\n" if text is None else "ä\r\n".encode("latin-1")) == again.read()
