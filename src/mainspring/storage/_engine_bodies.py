"""Compressed request bodies, piece by piece; a body may consist of several frames, one after another."""

import zlib
from collections.abc import Callable
from typing import Any, Final  # Any: three libraries' decompressors of one shape

from mainspring.base import load_extra
from mainspring.storage.zstd import zstd_module

Decode = Callable[[bytes], bytes]

_GZIP: Final = 31
_ZLIB: Final = 15


def body_decoder(encoding: str | None) -> Decode:
    """Return what turns the next piece of a body into plain bytes.

    Raises:
        ValueError: the encoding is not known.
        MissingExtraError: it needs a library that is not installed.
    """
    if encoding in (None, "", "identity"):
        return bytes
    if encoding == "lz4":
        lz4 = load_extra("lz4.frame", feature="a request compressed with lz4", extra="clickhouse")
        return _Frames(lz4.LZ4FrameDecompressor)
    if encoding == "zstd":
        return _Frames(zstd_module().ZstdDecompressor)
    if encoding in ("gzip", "deflate"):
        bits = _GZIP if encoding == "gzip" else _ZLIB
        return _Frames(lambda: zlib.decompressobj(bits))
    raise ValueError(f"content encoding {encoding!r} is not supported")


class _Frames:
    """Decompresses frames in a row: what is behind the end of one begins the next."""

    def __init__(self, new: Callable[[], Any]) -> None:
        self._new = new
        self._frame = new()

    def __call__(self, piece: bytes) -> bytes:
        plain: list[bytes] = []
        while piece:
            if self._frame.eof:
                self._frame = self._new()
            plain.append(self._frame.decompress(piece))
            piece = (self._frame.unused_data or b"") if self._frame.eof else b""
        return b"".join(plain)
