"""Rows as columns: what an item is as a mapping, what its values become, and which SQL types they get."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast  # Any: cell values have any type

from mainspring.base import encode_json
from mainspring.errors import InvalidItemError

NATIVE: Final = frozenset({int, float, str, bytes, bool, type(None)})
_SQL_TYPES: Final[Mapping[type, str]] = {bool: "INTEGER", int: "INTEGER", float: "REAL", bytes: "BLOB"}


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


def cells(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, sink: str) -> list[tuple[Any, ...]]:
    """Return the rows as tuples that every SQL driver takes; a missing column is NULL.

    Raises:
        InvalidItemError: a value has no SQL form.
    """
    table = [tuple(map(row.get, columns)) for row in rows]
    if all(NATIVE.issuperset(map(type, line)) for line in table):
        return table
    return [tuple(_cell(value, sink) for value in line) for line in table]


def plain_row(row: Mapping[str, Any], *, sink: str) -> dict[str, Any]:
    """Return a row whose cells are what `cells` makes of them.

    Raises:
        InvalidItemError: a value has no SQL form.
    """
    return {name: _cell(value, sink) for name, value in row.items()}


def sql_type(values: Iterable[Any]) -> str:
    """Return the SQLite type of a column by its first value that is not None.

    Without one it has no type, so that it keeps what comes later as it is: TEXT would turn numbers into texts.
    """
    first: object = next((value for value in values if value is not None), None)
    return "" if first is None else _SQL_TYPES.get(type(first), "TEXT")


def _cell(value: Any, sink: str) -> Any:
    if type(value) in NATIVE:
        return value
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Enum):
        return _cell(value.value, sink)
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
