"""Rows as JSON lines for ClickHouse, and which columns they need."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final  # Any: cell values have any type

from mainspring.base import encode_json
from mainspring.errors import EncodeError, InvalidItemError, TableSchemaError
from mainspring.sinks._columns import as_row
from mainspring.sinks._table_names import is_plain

INSERT_SETTINGS: Final[Mapping[str, object]] = {
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": 1,  # a column of which nothing but None is known is not there yet
}
# By order: bool is an int, datetime a date.
_TYPES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "Bool"),
    (int, "Int64"),
    (float, "Float64"),
    (Decimal, "Decimal(38, 10)"),
    (datetime, "DateTime64(6, 'UTC')"),
    (date, "Date32"),
)
_NULL: Final = b"null"
_NEVER: Final[tuple[object, ...]] = (object(),)  # the columns of no row
_MOST_SHAPES: Final = 10_000  # rows whose columns are none of so many sets are checked each time


class RowLines:
    """Makes the lines of one table.

    Args:
        sink: how errors call it.
    """

    def __init__(self, sink: str) -> None:
        self.columns: dict[str, str] = {}
        """The columns of the rows so far, with types for a table that has to be made."""
        self.nulls: set[str] = set()
        """Those in which there was a None: where none may be, ClickHouse would make a zero of it."""
        self._sink = sink
        self._last: tuple[object, ...] = _NEVER  # rows mostly have the columns of the one before
        self._shapes: set[tuple[str, ...]] = set()
        self._untyped: set[str] = set()

    def line(self, item: Any, tail: bytes = b"}") -> bytes:
        """Return an item as a JSON object, with a tail in place of its last brace; bytes become base64 text.

        Raises:
            InvalidItemError: it has no columns, or a value without a form.
            TableSchemaError: a column cannot be one.
        """
        row = as_row(item, sink=self._sink)
        names = tuple(row)
        if names != self._last or self._untyped:
            self._look_at(row, names)
        try:
            data = encode_json(row)
        except EncodeError as error:
            raise InvalidItemError(sink=self._sink, reason=str(error)) from error
        if data.find(_NULL) >= 0:  # 0.12 us where `in` takes 0.2
            self.nulls.update(name for name, value in row.items() if value is None)
            data = _with_infinities(row, data)
        return data[:-1] + tail

    def _look_at(self, row: Mapping[str, Any], names: tuple[str, ...]) -> None:
        """Note the columns of a row that are new, or whose type is not known yet."""
        if not names:
            raise InvalidItemError(sink=self._sink, reason="it has no columns")
        if names not in self._shapes:
            bad = next((name for name in names if not is_plain(str(name))), None)
            if bad is not None:
                raise TableSchemaError(table=self._sink, reason=f"cannot have a column {bad!r}")
            self._untyped.update(name for name in names if name not in self.columns)
            if len(self._shapes) < _MOST_SHAPES:
                self._shapes.add(names)
        for name in [name for name in self._untyped if row.get(name) is not None]:
            self._untyped.discard(name)
            self.columns[name] = type_of(row[name])
        self._last = names


def type_of(value: object) -> str:
    """Return the ClickHouse type for a column with such values."""
    if isinstance(value, Enum):
        return type_of(value.value)
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "String")


def _with_infinities(row: Mapping[str, Any], data: bytes) -> bytes:
    """Return the row's JSON with the floats that JSON does not know: the encoder writes null for them."""
    odd = {name: repr(value) for name, value in row.items() if type(value) is float and not math.isfinite(value)}
    return encode_json({**row, **odd}) if odd else data
