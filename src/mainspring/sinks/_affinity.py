"""Which values a column of SQLite keeps as they are, by its declared type.

SQLite takes any value in any column, and turns it into what the column's type prefers: "0012" becomes 12 in a column
of whole numbers, 7 becomes "7" in one of texts, 2**60 + 1 loses its last digits in one of floats. A number that stays
equal is no change here: 3.0 is read back as 3 from an INTEGER column, and 3 as 3.0 from a REAL one.

Source: https://sqlite.org/datatype3.html, chapters 3.1 and 3.4.
"""

import re
import reprlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal  # Any: cell values have any type

from mainspring.errors import InvalidItemError
from mainspring.sinks._blocks import Block
from mainspring.sinks._columns import is_too_large

Affinity = Literal["TEXT", "REAL", "NUMERIC", "BLOB"]

_RULES: Final[tuple[tuple[tuple[str, ...], Affinity], ...]] = (
    (("INT",), "NUMERIC"),  # INTEGER differs from NUMERIC in casts only
    (("CHAR", "CLOB", "TEXT"), "TEXT"),
    (("BLOB",), "BLOB"),
    (("REAL", "FLOA", "DOUB"), "REAL"),
)
_SUSPECTS: Final[Mapping[Affinity, frozenset[type]]] = {
    "TEXT": frozenset({bool, int, float}),
    "REAL": frozenset({str, int}),
    "NUMERIC": frozenset({str}),
    "BLOB": frozenset(),
}
_SPACE: Final = "[\t-\r ]*"
_NUMBER: Final = re.compile(rf"{_SPACE}[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?{_SPACE}")
_EXACT: Final = 2**53  # up to here a float has every whole number


@lru_cache(maxsize=256)
def affinity_of(declared: str) -> Affinity:
    """Return the affinity of a column with this declared type; its first rule that fits counts."""
    upper = declared.upper()
    for words, affinity in _RULES:
        if any(word in upper for word in words):
            return affinity
    return "NUMERIC" if upper else "BLOB"


def refuse_changes(block: Block, declared: Mapping[str, str], *, table: str, sink: str) -> None:
    """Refuse values that SQLite would silently make into others.

    Args:
        declared: the type of each column of the table, by its name in lower case.

    Raises:
        InvalidItemError: there is one.
    """
    for column, name, types, values in zip(block.columns, block.names, block.types, block.values, strict=True):
        value = first_changed(affinity_of(declared[name]), types, values)
        if value is not None:
            raise InvalidItemError(
                sink=sink,
                reason=f"column {column!r} of table {table!r} has the type {declared[name]}, and SQLite would silently "
                f"change {reprlib.repr(value)} there",
                hint="let all values of the column have one type (a Decimal is a text), or make the table yourself, "
                "with this column of another type, or of none",
            )


def first_changed(affinity: Affinity, types: set[type], values: Iterable[Any]) -> Any | None:
    """Return the first value that such a column would not keep; None if there is none.

    Args:
        types: those of the values, so that these are looked at only where it matters.
    """
    if _SUSPECTS[affinity].isdisjoint(types):
        return None
    if affinity == "TEXT":  # what is not equal to itself is NaN, which no column keeps
        return next((value for value in values if isinstance(value, int | float) and value == value), None)
    return next((value for value in values if _is_changed_number(value, affinity)), None)


def _is_changed_number(value: Any, affinity: Affinity) -> bool:
    if type(value) is str:
        return _NUMBER.fullmatch(value) is not None
    if affinity == "NUMERIC" or type(value) is not int or -_EXACT <= value <= _EXACT:
        return False
    return not is_too_large(value) and int(float(value)) != value
