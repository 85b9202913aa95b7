"""Zstandard files, where the extra is installed."""

import sys
from pathlib import Path

import pytest

from mainspring.errors import MissingExtraError
from mainspring.storage import Compression, async_open
from mainspring.storage.zstd import open_zstd


@pytest.mark.extras
async def test_text_is_small_and_comes_back(tmp_path: Path) -> None:
    async with async_open(tmp_path / "a", "w", compression=Compression.ZSTD) as file:
        for _ in range(10_000):
            await file.write("Hello World\n")
    assert (tmp_path / "a").stat().st_size < 1000
    async with async_open(tmp_path / "a", "r", compression=Compression.ZSTD) as again:
        assert ["Hello World\n"] * 10_000 == [line async for line in again]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library has it")
def test_without_the_extra_the_line_to_install_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    with pytest.raises(MissingExtraError, match="zstd"):
        open_zstd(tmp_path / "a", "wb", encoding=None, errors=None, newline=None)
