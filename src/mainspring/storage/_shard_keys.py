"""Keys of a sharded store: tuples of scalars that SQLite and Python compare alike, and the shard of each.

A key part is an int of 64 bits, a float, a str, bytes or a bool. Equal parts must lie in the same shard, so 1,
1.0 and True hash alike; so do they in a dict and in SQLite.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from struct import pack
from typing import Any, cast  # Any: what may turn out to be no key

from mainspring.errors import InvalidArgumentError

Part = int | float | str | bytes
Key = tuple[Part, ...]

HASH = "blake2b-64"
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_SHORT = 64  # characters of a text whose hash is remembered


def check_key(key: object, keylen: int) -> Key:
    """Return `key` when it is a tuple of `keylen` scalars.

    Raises:
        InvalidArgumentError: it is not.
    """
    parts = cast("tuple[object, ...]", key)  # cast: isinstance leaves the parts unknown
    shown: object = key
    if not isinstance(key, tuple) or len(parts) != keylen:
        expected, hint = f"a tuple of {keylen} parts", "SQLShard(keylen=...) says how many parts a key has"
        raise InvalidArgumentError(argument="key", value=shown, expected=expected, hint=hint)
    return check_parts(parts)


def check_keys(keys: Iterable[object], keylen: int) -> list[Key]:
    """Return many keys, checked as by `check_key`; by columns, which takes half the time.

    Raises:
        InvalidArgumentError: one is no key.
    """
    many = list(keys)
    if _are_keys(many, keylen):
        return cast("list[Key]", many)  # cast: each was looked at
    return [check_key(key, keylen) for key in many]


def _are_keys(many: list[Any], keylen: int) -> bool:  # Any: each is looked at
    """Tell whether these are keys beyond doubt: of what most keys are made of."""
    if not many or set(map(type, many)) != {tuple} or set(map(len, many)) != {keylen}:
        return False
    for number in range(keylen):
        column = list(map(itemgetter(number), many))
        kinds = set(map(type, column))
        if kinds == {int}:
            fits = _SMALLEST <= min(column) and max(column) <= _LARGEST
        else:
            fits = kinds == {str} and "".join(column).isascii()
        if not fits:
            return False
    return True


def check_parts(parts: tuple[object, ...]) -> Key:
    """Return `parts` when each of them can stand in a key.

    Raises:
        InvalidArgumentError: one cannot.
    """
    for part in parts:
        # Most parts are such, and asking so takes a third of the time of a call for each.
        if type(part) is str:
            if part.isascii():
                continue
        elif type(part) is int and _SMALLEST <= part <= _LARGEST:
            continue
        if not _is_part(part):
            expected = "an int of 64 bits, a float other than NaN, a str, bytes or a bool"
            raise InvalidArgumentError(argument="part of a key", value=part, expected=expected)
    return cast("Key", parts)  # cast: each part was looked at


def _is_part(part: object) -> bool:
    if isinstance(part, str):
        return part.isascii() or _has_utf8(part)
    if isinstance(part, int):
        return _SMALLEST <= part <= _LARGEST
    if isinstance(part, float):
        return part == part  # SQLite keeps NaN as NULL
    return isinstance(part, bytes)


def shard_of(part: Part, shards: int) -> int:
    """Return the shard of a key by its shard part: the same on every machine and in every version."""
    if type(part) is str and len(part) <= _SHORT:
        return _hash_of_text(part) % shards
    return _hash_of(part) % shards


@lru_cache(maxsize=4096)
def _hash_of_text(part: str) -> int:
    """Return the hash of a text; the shard parts of many keys are few texts: symbols, users, places."""
    return _hash_of(part)


def _hash_of(part: Part) -> int:
    return int.from_bytes(blake2b(_canonical(part), digest_size=8).digest(), "big")


def _canonical(part: Part) -> bytes:
    if isinstance(part, str):
        return b"s" + part.encode()
    if isinstance(part, bytes):
        return b"b" + part
    if isinstance(part, float) and not (part.is_integer() and _SMALLEST <= part <= _LARGEST):
        return b"f" + pack(">d", part)
    return b"i%d" % int(part)


def _has_utf8(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False
