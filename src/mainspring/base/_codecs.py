"""The one codec for plain data: JSON and MessagePack, made and read by msgspec.

msgspec is imported at the first call, so that importing mainspring stays cheap. Datetimes, dates, times,
durations, UUIDs, decimals, enums, dataclasses and msgspec Structs travel in both formats.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload  # Any: decoded data has the type that was asked for

from mainspring.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    import msgspec

T = TypeVar("T")


def encode_json(value: object) -> bytes:
    """Return `value` as compact JSON in UTF-8.

    Raises:
        EncodeError: a part of `value` has no JSON form.
    """
    try:
        return _json_encoder().encode(value)
    except _encode_failures() as error:
        raise EncodeError(format="JSON", type=type(value).__qualname__, reason=str(error)) from error


def encode_msgpack(value: object) -> bytes:
    """Return `value` as MessagePack.

    Raises:
        EncodeError: a part of `value` has no MessagePack form.
    """
    try:
        return _msgpack_encoder().encode(value)
    except _encode_failures() as error:
        raise EncodeError(format="MessagePack", type=type(value).__qualname__, reason=str(error)) from error


@overload
def decode_json(data: bytes | bytearray | memoryview | str, type: type[T]) -> T: ...
@overload
def decode_json(data: bytes | bytearray | memoryview | str, type: Any = Any) -> Any: ...
def decode_json(data: bytes | bytearray | memoryview | str, type: Any = Any) -> Any:
    """Return the value that JSON text describes, checked and converted to `type`.

    Args:
        data: one JSON document, UTF-8 when in bytes.
        type: any type that msgspec knows: `datetime`, `list[int]`, a dataclass; Any checks nothing.

    Raises:
        DecodeError: `data` is not JSON, or does not fit `type`.
    """
    try:
        return _json_decoder(type).decode(data)
    except _decode_failures() as error:
        raise DecodeError(format="JSON", reason=str(error)) from error


def decode_json_each(documents: Iterable[bytes]) -> list[Any]:
    """Return the values of many small JSON documents; a call for each would take as long again.

    Raises:
        DecodeError: one of them is not JSON.
    """
    try:
        return list(map(_json_decoder(Any).decode, documents))
    except _decode_failures() as error:
        raise DecodeError(format="JSON", reason=str(error)) from error


@overload
def decode_msgpack(data: bytes | bytearray | memoryview, type: type[T]) -> T: ...
@overload
def decode_msgpack(data: bytes | bytearray | memoryview, type: Any = Any) -> Any: ...
def decode_msgpack(data: bytes | bytearray | memoryview, type: Any = Any) -> Any:
    """Return the value that MessagePack describes, checked and converted to `type`.

    Raises:
        DecodeError: `data` is not MessagePack, or does not fit `type`.
    """
    try:
        return _msgpack_decoder(type).decode(data)
    except _decode_failures() as error:
        raise DecodeError(format="MessagePack", reason=str(error)) from error


@cache
def _json_encoder() -> "msgspec.json.Encoder":
    import msgspec

    return msgspec.json.Encoder()


@cache
def _msgpack_encoder() -> "msgspec.msgpack.Encoder":
    import msgspec

    return msgspec.msgpack.Encoder()


@lru_cache(maxsize=256)
def _json_decoder(type: Any) -> "msgspec.json.Decoder[Any]":
    import msgspec

    return msgspec.json.Decoder(type)


@lru_cache(maxsize=256)
def _msgpack_decoder(type: Any) -> "msgspec.msgpack.Decoder[Any]":
    import msgspec

    return msgspec.msgpack.Decoder(type)


def _encode_failures() -> tuple[type[Exception], ...]:
    import msgspec

    return msgspec.EncodeError, TypeError, OverflowError, RecursionError, UnicodeEncodeError


def _decode_failures() -> tuple[type[Exception], ...]:
    import msgspec

    return msgspec.DecodeError, RecursionError, UnicodeDecodeError
