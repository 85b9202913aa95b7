"""Blocks of a batch: rows with the same columns, as the lines of one statement."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Final  # Any: cell values have any type

from mainspring.errors import InvalidItemError
from mainspring.sinks._columns import NATIVE, is_too_large, plain_cell

_SQL_TYPES: Final[Mapping[type, str]] = {bool: "INTEGER", int: "INTEGER", float: "REAL", bytes: "BLOB"}


class Block:
    """Lines of values, and what is in their columns.

    Args:
        columns: their names, as the rows spell them; in `names` they are as SQLite compares them.

    Raises:
        InvalidItemError: a value has no SQL form.
    """

    __slots__ = ("columns", "lines", "names", "types", "values")

    def __init__(self, columns: tuple[str, ...], lines: list[tuple[Any, ...]], *, sink: str) -> None:
        self.columns = columns
        self.names = list(map(fold, columns))
        self.lines = lines
        self._look()
        if not all(map(NATIVE.issuperset, self.types)):
            self.lines = [tuple(plain_cell(value, sink=sink) for value in line) for line in lines]
            self._look()

    def _look(self) -> None:
        self.values = list(zip(*self.lines, strict=True))
        self.types = [set(map(type, values)) for values in self.values]

    def values_of(self, name: str) -> Sequence[Any]:
        """Return the values of a column."""
        return self.values[self.names.index(name)] if name in self.names else ()

    def too_large(self) -> Iterator[tuple[str, int]]:
        """Find the whole numbers that have more than 64 bits, with their columns."""
        for name, values in zip(self.columns, self.values, strict=True):
            for value in values:
                if type(value) is int and is_too_large(value):
                    yield name, value


def blocks_of(rows: Sequence[Mapping[str, Any]], *, apart: bool, sink: str) -> list[Block]:
    """Return rows as blocks; `in_order` gives their lines.

    Args:
        rows: at least one.
        apart: one block for each set of columns; otherwise there is one for all, in which what a row lacks is NULL.

    Raises:
        InvalidItemError: a value has no SQL form, or the columns of a row have no plain names of their own.
    """
    layouts = {layout: folded(layout, sink=sink) for layout in dict.fromkeys(map(tuple, rows))}
    if len(layouts) == 1:
        return [_uniform(rows, sink)]
    if apart:
        groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {layout: [] for layout in layouts}
        for row in rows:
            groups[tuple(row)].append(row)
        return [_uniform(group, sink) for group in groups.values()]
    spelled: dict[str, str] = {}
    for layout, names in layouts.items():
        for name, column in zip(names, layout, strict=True):
            spelled.setdefault(name, column)
    columns = tuple(spelled.values())
    if len({column for layout in layouts for column in layout}) > len(columns):
        rows = [dict(zip((spelled[name] for name in layouts[tuple(row)]), row.values(), strict=True)) for row in rows]
    return [Block(columns, [tuple(map(row.get, columns)) for row in rows], sink=sink)]


def in_order(
    rows: Sequence[Mapping[str, Any]], blocks: Sequence[Block]
) -> Iterator[tuple[Block, Sequence[tuple[Any, ...]]]]:
    """Give the lines of rows in the order of the rows, with the block that each run of them is of."""
    if len(blocks) == 1:
        yield blocks[0], blocks[0].lines
        return
    left = {block.columns: (block, iter(block.lines)) for block in blocks}
    for layout, group in groupby(rows, key=tuple):
        block, lines = left[layout]
        yield block, list(islice(lines, len(list(group))))


def folded(columns: Sequence[object], *, sink: str) -> list[str]:
    """Return the names of a row's columns as SQLite compares them: without case.

    Raises:
        InvalidItemError: one is no text, or two differ in case only.
    """
    names: dict[str, str] = {}
    for column in columns:
        if not isinstance(column, str):
            reason = f"columns have names, and {column!r} is a {type(column).__qualname__}"
            raise InvalidItemError(sink=sink, reason=reason, hint="let the keys of the row be texts")
        other = names.setdefault(fold(column), column)
        if other is not column:
            reason = f"its columns {other!r} and {column!r} differ in case only, and are one to SQL"
            raise InvalidItemError(sink=sink, reason=reason)
    return list(names)


def fold(name: str) -> str:
    """Return a name as SQLite compares it: only ASCII letters have no case."""
    return name.lower() if name.isascii() else name


def sql_type(values: Iterable[Any]) -> str:
    """Return the SQLite type of a column by its first value that is neither None nor NaN.

    Without one it has no type, so that it keeps what comes later as it is: TEXT would turn numbers into texts.
    """
    first: object = next((value for value in values if value is not None and value == value), None)
    return "" if first is None else _SQL_TYPES.get(type(first), "TEXT")


def _uniform(rows: Sequence[Mapping[str, Any]], sink: str) -> Block:
    return Block(tuple(rows[0]), [tuple(row.values()) for row in rows], sink=sink)
