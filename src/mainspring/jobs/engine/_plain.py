"""What a store can keep: texts that UTF-8 can write, and JSON, whose encoder makes null of NaN and infinities."""

import math
from collections.abc import Mapping

from mainspring.base import encode_json
from mainspring.errors import InvalidArgumentError
from mainspring.tools import is_table, items_of


def is_storable(text: str) -> bool:
    """Tell whether UTF-8 can write a text: one with half of a surrogate pair, as odd file names have it, it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encoded_table(argument: str, table: Mapping[str, object]) -> bytes:
    """Return a table that a caller gives as the store keeps it.

    Raises:
        InvalidArgumentError: it is no mapping, or has a number that JSON has not; names its place.
        EncodeError: a value has no JSON form.
    """
    if not isinstance(table, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(argument=argument, value=table, expected="a mapping of names to values")
    data = encode_json(dict(table))
    odd = odd_number(table, data)
    if odd is not None:
        place, number = odd
        expected = "a number that JSON has: neither NaN nor an infinity"
        raise InvalidArgumentError(argument=f"{argument}.{place}", value=number, expected=expected)
    return data


def odd_number(value: object, data: bytes) -> tuple[str, float] | None:
    """Return the dotted place of the first number in a value that JSON has not, and the number.

    Args:
        data: the value as JSON.
    """
    if b"null" not in data:  # as nearly always
        return None
    import msgspec

    return _within(msgspec.to_builtins(value, str_keys=True), "")


def _within(value: object, place: str) -> tuple[str, float] | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else (place, value)
    parts = value.items() if is_table(value) else enumerate(items_of(value))
    for key, inner in parts:
        found = _within(inner, f"{place}.{key}" if place else str(key))
        if found is not None:
            return found
    return None
