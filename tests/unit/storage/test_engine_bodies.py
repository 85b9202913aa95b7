"""Compressed request bodies."""

import gzip
import zlib
from importlib import import_module
from typing import Any

import pytest

from mainspring.storage._engine_bodies import body_decoder

pytestmark = pytest.mark.extras


def _frames(encoding: str | None, parts: list[bytes]) -> bytes:
    compress: dict[str | None, Any] = {
        None: bytes,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "lz4": import_module("lz4.frame").compress,
        "zstd": import_module("backports.zstd").compress,
    }
    return b"".join(compress[encoding](part) for part in parts)


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate", "lz4", "zstd"])
@pytest.mark.parametrize("piece", [1, 7, 10_000_000])
def test_frames_in_a_row_are_read_whole_whatever_the_pieces(encoding: str | None, piece: int) -> None:
    parts = [b"one" * 100, b"", b"two" * 1000]
    body, decode = _frames(encoding, parts), body_decoder(encoding)
    assert b"".join(parts) == b"".join(decode(body[at : at + piece]) for at in range(0, len(body), piece))


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="'br'"):
        body_decoder("br")
