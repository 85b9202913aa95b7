"""What values look like on disk."""

import json
import zlib
from base64 import b85encode
from hashlib import blake2b

import pytest

from mainspring.errors import DecodeError, EncodeError, InvalidArgumentError
from mainspring.storage._shard_values import COMPRESS_FROM, decode_value, decode_values, value_encoder

encode_value = value_encoder("zlib")


@pytest.mark.parametrize("value", [None, 0, -1.5, "", "é" * 300, [], {}, {"a": [1, None, True]}, list(range(500))])
def test_values_come_back(value: object) -> None:
    assert value == decode_value(encode_value(value))


def test_long_values_are_compressed_and_short_ones_are_plain_json() -> None:
    assert b'{"a":1}' == encode_value({"a": 1})
    long = encode_value(["word"] * 100)
    assert len(long) < COMPRESS_FROM
    assert ["word"] * 100 == json.loads(zlib.decompress(long))


def test_what_compression_would_make_longer_stays_as_it_is() -> None:
    noise = b85encode(b"".join(blake2b(bytes([number])).digest() for number in range(3))[:160]).decode()
    assert json.dumps(noise).encode() == encode_value(noise)
    assert noise == decode_value(encode_value(noise))


@pytest.mark.parametrize("long", [[], ["word"] * 100])
def test_many_values_are_read_as_each_alone(long: list[str]) -> None:
    values: list[object] = [None, 1, "x", long, {"a": []}]
    many = [encode_value(value) for value in values]
    assert values == decode_values(many)
    assert [] == decode_values([])


@pytest.mark.parametrize("data", [b"", b"1,2", b"{"])
def test_one_damaged_value_among_many_is_told(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_values([b"1", data, b"2"])


def test_values_of_the_older_library_are_read() -> None:
    assert {"a": [1]} == decode_value(zlib.compress(b'{"a": [1]}', 1))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\x78\x01garbage", pytest.param(b"\x28\xb5\x2f\xfdgarbage", marks=pytest.mark.extras)]
)
def test_damaged_data_is_told(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_value(data)


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(EncodeError):
        encode_value({"a": object()})


@pytest.mark.extras
def test_both_compressions_are_read_whatever_is_written() -> None:
    value = ["word"] * 100
    packed = value_encoder("zstd")(value)
    assert len(packed) < COMPRESS_FROM
    assert packed != encode_value(value)
    assert value == decode_value(packed) == decode_value(encode_value(value))


def test_another_compression_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="compression"):
        value_encoder("rle")
