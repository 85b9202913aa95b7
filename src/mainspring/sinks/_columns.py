"""Rows as columns: what an item is as a mapping, and what its values become."""

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast  # Any: cell values have any type

from mainspring.base import encode_json
from mainspring.errors import InvalidItemError

NATIVE: Final = frozenset({int, float, str, bytes, bool, type(None)})


def as_row(item: Any, *, sink: str) -> Mapping[str, Any]:
    """Return an item as a mapping of column to value.

    Raises:
        InvalidItemError: it is neither a mapping, a dataclass, a named tuple nor a msgspec Struct.
    """
    if type(item) is dict or isinstance(item, Mapping):
        return cast("Mapping[str, Any]", item)  # cast: the keys are checked when the table is fitted
    if is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in fields(item)}
    names = getattr(item, "_fields", None) or getattr(item, "__struct_fields__", None)
    if names:
        return {name: getattr(item, name) for name in names}
    raise InvalidItemError(
        sink=sink,
        reason=f"items of type {type(item).__qualname__} have no columns",
        hint="yield dicts, dataclasses or named tuples",
    )


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of some rows, in the order of their first appearance."""
    return list(dict.fromkeys(name for columns in dict.fromkeys(map(tuple, rows)) for name in columns))


def plain_row(row: Mapping[str, Any], *, sink: str, wide: bool = False) -> dict[str, Any]:
    """Return a row of plain values.

    Args:
        wide: whole numbers may have more than 64 bits.

    Raises:
        InvalidItemError: a value has no SQL form.
    """
    plain = {name: plain_cell(value, sink=sink) for name, value in row.items()}
    for name, value in plain.items():
        if not wide and type(value) is int and is_too_large(value):
            raise too_large(name, value, sink=sink)
    return plain


def is_too_large(value: int) -> bool:
    """Tell whether a whole number has more than the 64 bits that SQL gives it."""
    return not -(2**63) <= value < 2**63


def too_large(column: str, value: int, *, sink: str) -> InvalidItemError:
    """Return what says so."""
    reason = f"column {column!r} has {reprlib.repr(value)}, which is more than the 64 bits of a whole number in SQL"
    return InvalidItemError(sink=sink, reason=reason, hint="keep it as a text: str(value)")


def plain_cell(value: Any, *, sink: str) -> Any:
    """Return a value as one of the types that every SQL driver takes.

    Raises:
        InvalidItemError: it has no such form.
    """
    if type(value) in NATIVE:
        return value
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Enum):
        return plain_cell(value.value, sink=sink)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, dict | list | tuple):
        return encode_json(cast("object", value)).decode()  # cast: any JSON will do
    raise InvalidItemError(sink=sink, reason=f"a value of type {type(value).__qualname__} has no SQL form")
