"""JSON and MessagePack round trips, and sentences for what cannot travel."""

import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import pytest

from mainspring.base import decode_json, decode_json_each, decode_msgpack, encode_json, encode_msgpack
from mainspring.errors import DecodeError, EncodeError


class _Side(Enum):
    BUY = "buy"


@dataclass
class _Trade:
    id: uuid.UUID
    side: _Side
    at: datetime
    day: date
    sizes: list[int]


_TRADE = _Trade(uuid.UUID(int=7), _Side.BUY, datetime(2013, 1, 1, 5, tzinfo=UTC), date(2013, 1, 1), [1, 2])


def test_json_keeps_typed_values() -> None:
    assert decode_json(encode_json(_TRADE), _Trade) == _TRADE


def test_msgpack_keeps_typed_values() -> None:
    assert decode_msgpack(encode_msgpack(_TRADE), _Trade) == _TRADE


def test_without_a_type_plain_values_come_back() -> None:
    value = {"a": [1, 2.5, None, True, "é"]}
    assert value == decode_json(encode_json(value).decode())
    assert value == decode_msgpack(memoryview(encode_msgpack(value)))


@pytest.mark.parametrize("encode", [encode_json, encode_msgpack])
@pytest.mark.parametrize("value", [object(), 1 << 80, "\ud800"])
def test_a_value_without_a_form_is_an_encode_error(encode: Any, value: object) -> None:
    if encode is encode_json and value == 1 << 80:
        assert encode(value) == str(value).encode()
        return
    with pytest.raises(EncodeError, match=type(value).__name__):
        encode(value)


@pytest.mark.parametrize(("data", "kind"), [(b"[1,", Any), (b'"x"', int), (b"", Any), (b'"\xff"', str)])
def test_bad_json_is_a_decode_error(data: bytes, kind: Any) -> None:
    with pytest.raises(DecodeError, match="JSON"):
        decode_json(data, kind)


@pytest.mark.parametrize(("data", "kind"), [(b"\x92\x01", Any), (b"\x01", str), (b"\xa1\xff", str)])
def test_bad_msgpack_is_a_decode_error(data: bytes, kind: Any) -> None:
    with pytest.raises(DecodeError, match="MessagePack"):
        decode_msgpack(data, kind)


def test_many_documents_are_read_in_their_order() -> None:
    assert [1, {"a": None}] == decode_json_each([b"1", b'{"a":null}'])
    with pytest.raises(DecodeError, match="JSON"):
        decode_json_each([b"1", b"}"])


def test_importing_the_codecs_does_not_import_msgspec() -> None:
    code = "import sys; from mainspring.base import encode_json; sys.exit('msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
