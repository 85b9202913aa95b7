"""The older names of storage: aiomisc.io and mutil's dcache."""

import locale
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mainspring.compat.aiomisc import io
from mainspring.compat.mutil.dcache import FetchCache

TEXT = [io.AsyncGzipTextIO, io.AsyncBz2TextIO, io.AsyncLzmaTextIO]
BINARY = [io.AsyncGzipBinaryIO, io.AsyncBz2BinaryIO, io.AsyncLzmaBinaryIO]


@pytest.mark.parametrize("kind", TEXT)
async def test_classes_of_compressed_text(kind: Any, tmp_path: Path) -> None:
    async with kind(tmp_path / "a", "w", encoding="utf-8") as file:
        await file.write("text")
    assert b"text" != (tmp_path / "a").read_bytes()
    async with kind(tmp_path / "a") as again:
        assert "text" == await again.read()


@pytest.mark.parametrize("kind", BINARY)
async def test_classes_of_compressed_bytes(kind: Any, tmp_path: Path) -> None:
    async with kind(tmp_path / "a", "wb") as file:
        await file.write(b"bytes")
    async with kind(tmp_path / "a") as again:
        assert b"bytes" == await again.read()


async def test_arguments_may_stand_in_their_old_places(tmp_path: Path) -> None:
    async with io.async_open(tmp_path / "a", "w", io.Compression.NONE, "utf-16", loop=None) as file:
        await file.write("a")
    assert "a".encode("utf-16") == (tmp_path / "a").read_bytes()
    async with io.async_open(tmp_path / "a", "rb", encoding="utf-8") as file:
        assert "a" == (await file.read()).decode("utf-16")


@pytest.mark.parametrize("compression", [io.Compression.NONE, io.Compression.GZIP])
async def test_text_is_utf_8_whatever_the_locale_says(
    compression: io.Compression, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(locale.setlocale, locale.LC_CTYPE, locale.setlocale(locale.LC_CTYPE)))
    locale.setlocale(locale.LC_CTYPE, "C")  # says ASCII, unless Python was told to take no notice
    async with io.async_open(tmp_path / "a", "w", compression=compression) as file:
        await file.write("\N{SNOWMAN}")
    async with io.async_open(tmp_path / "a", compression=compression) as file:
        assert "\N{SNOWMAN}" == await file.read()
        assert "utf-8" == file.encoding


async def test_the_older_cache_asks_any_session(tmp_path: Path) -> None:
    asked: list[tuple[str, object, object]] = []

    class Response:
        async def text(self) -> str:
            return "text"

    class Session:
        async def get(self, url: str, headers: object, params: object) -> Response:
            asked.append((url, headers, params))
            return Response()

    folder = tmp_path / "cache"
    cache = FetchCache(Session(), "url", "name", refreshMinutes=5, params={"a": "b"}, cacheDir=folder)
    assert folder.is_dir()
    assert "text" == await cache.get() == await cache.get()
    assert [("url", None, [("a", "b")])] == asked
    assert cache.filepath is not None
    assert folder == cache.filepath.parent
