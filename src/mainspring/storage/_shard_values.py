"""Values of a sharded store: JSON, compressed when that pays.

The first byte tells what a value is: compressed data begins with 0x78, which no JSON text does. So files of
mutil's SQLShard, all compressed, are read as they are.
"""

import zlib
from typing import Any  # Any: a value is whatever JSON can say

from mainspring.base import decode_json, encode_json
from mainspring.errors import DecodeError

COMPRESS_FROM = 200  # bytes; below, zlib saves little and costs more than SQLite itself
LEVEL = 1
_ZLIB_MARK = b"\x78"


def encode_value(value: object) -> bytes:
    """Return a value as it lies on disk.

    Raises:
        EncodeError: a part of it has no JSON form.
    """
    data = encode_json(value)
    if len(data) < COMPRESS_FROM:
        return data
    packed = zlib.compress(data, LEVEL)
    return packed if len(packed) < len(data) else data


def decode_value(data: bytes) -> Any:
    """Return the value that lies on disk as `data`.

    Raises:
        DecodeError: it is no value of this store.
    """
    if data[:1] == _ZLIB_MARK:
        try:
            data = zlib.decompress(data)
        except zlib.error as error:
            raise DecodeError(format="compressed JSON", reason=str(error)) from error
    return decode_json(data)
