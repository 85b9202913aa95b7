"""Values of a sharded store: JSON, compressed when that pays.

The first bytes tell what a value is: compressed data begins with a mark that no JSON text begins with. So values
of both kinds may lie side by side, and files of mutil's SQLShard, all compressed by zlib, are read as they are.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args  # Any: a value is whatever JSON can say

from mainspring.base import decode_json, decode_json_each, encode_json
from mainspring.errors import DecodeError, InvalidArgumentError
from mainspring.storage.zstd import zstd_module

ValueCompression = Literal["zlib", "zstd"]

COMPRESS_FROM = 200  # bytes; below, compression saves little and costs more than SQLite itself
LEVEL = 1
_ZLIB_MARK = b"\x78"
_ZSTD_MARK = b"\x28\xb5\x2f\xfd"
_MARKS = frozenset({_ZLIB_MARK, _ZSTD_MARK[:1]})


def value_encoder(compression: str) -> Callable[[object], bytes]:
    """Return what makes a value into bytes for the disk.

    Raises:
        InvalidArgumentError: there is no such compression.
        MissingExtraError: it needs an extra that is not installed.
    """
    if compression not in get_args(ValueCompression):
        raise InvalidArgumentError(argument="compression", value=compression, expected="zlib or zstd")
    compress: Callable[[bytes, int], bytes] = zlib.compress if compression == "zlib" else zstd_module().compress

    def encode_value(value: object) -> bytes:
        data = encode_json(value)
        if len(data) < COMPRESS_FROM:
            return data
        packed = compress(data, LEVEL)
        return packed if len(packed) < len(data) else data

    return encode_value


def are_plain(many: Sequence[bytes]) -> bool:
    """Tell whether none of the values that lie on disk as `many` is compressed."""
    return _MARKS.isdisjoint([data[:1] for data in many])


def decode_values(many: Sequence[bytes]) -> list[Any]:
    """Return the values that lie on disk as `many`.

    Raises what `decode_value` raises.
    """
    if are_plain(many):
        return decode_json_each(many)
    return [decode_value(data) for data in many]


def decode_value(data: bytes) -> Any:
    """Return the value that lies on disk as `data`.

    Raises:
        DecodeError: it is no value of this store.
        MissingExtraError: it needs an extra that is not installed.
    """
    if data[:1] == _ZLIB_MARK:
        try:
            data = zlib.decompress(data)
        except zlib.error as error:
            raise DecodeError(format="compressed JSON", reason=str(error)) from error
    elif data[:4] == _ZSTD_MARK:
        module = zstd_module()
        try:
            data = module.decompress(data)
        except module.ZstdError as error:
            raise DecodeError(format="compressed JSON", reason=str(error)) from error
    return decode_json(data)
