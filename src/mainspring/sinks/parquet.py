"""Parquet files by interval (extra `arrow`)."""

import copy
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Final  # Any: cells, and the objects of pyarrow

from mainspring.base import load_extra
from mainspring.errors import InvalidArgumentError, InvalidItemError
from mainspring.sinks._columns import as_row, columns_of
from mainspring.sinks._file_rows import FileForm
from mainspring.sinks._file_sink import FileSink

ROW_GROUP_BYTES: Final = 8 << 20
_CELL_BYTES: Final = 32
_SHARED: Final = frozenset({dict, list, set, bytearray})


class Parquet(FileSink):
    """A file of columns per interval, compressed, written row group by row group (of 8 MiB, about).

    Args:
        path: a template, as for `JsonLines`.
        schema: the columns and their types, a `pyarrow.Schema`; by default those of the first row group of each
            file. Later rows must fit.
        compression: "zstd", "snappy", "gzip", "lz4", "brotli" or "none".
        timezone: the zone in which the ends of the interval are written into the path.
        name: how the sink is called; its template by default.

    Raises:
        InvalidArgumentError: the template has another field, or the zone or the compression is unknown; the schema is
            none.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        schema: Any = None,  # Any: a pyarrow.Schema, which is not imported here
        compression: str = "zstd",
        timezone: str = "UTC",
        name: str | None = None,
    ) -> None:
        super().__init__(path, timezone=timezone, name=name)
        known = ("zstd", "snappy", "gzip", "lz4", "brotli", "none")
        if compression not in known:
            raise InvalidArgumentError(argument="compression", value=compression, expected=f"one of {known}")
        if schema is not None and not callable(getattr(schema, "field", None)):
            raise InvalidArgumentError(argument="schema", value=schema, expected="a pyarrow.Schema, or None")
        self._schema = schema
        self._compression = compression

    def form(self) -> FileForm:
        """Return the form of a new file.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        return _RowGroups(self.label, self._schema, self._compression)


class _RowGroups:
    """One Parquet file."""

    buffer_bytes = ROW_GROUP_BYTES

    def __init__(self, label: str, schema: Any, compression: str) -> None:
        self._arrow: Any = load_extra("pyarrow", feature="a Parquet file", extra="arrow")
        self._parquet: Any = load_extra("pyarrow.parquet", feature="a Parquet file", extra="arrow")
        self._label = label
        self._schema = schema
        self._compression = compression
        self._writer: Any = None

    def take(self, item: object) -> tuple[dict[str, Any], int]:
        row = {name: _own(value) for name, value in as_row(item, sink=self._label).items()}
        texts = sum(len(value) for value in row.values() if isinstance(value, str | bytes))
        return row, _CELL_BYTES * (len(row) + 1) + texts

    def write(self, file: BinaryIO, values: Sequence[Mapping[str, Any]]) -> None:
        if values:
            table = self._table(values)
            self._opened(file, table.schema).write_table(table)

    def end(self, file: BinaryIO) -> None:
        self._opened(file, self._schema or self._arrow.schema([])).close()

    def _opened(self, file: BinaryIO, schema: Any) -> Any:
        if self._writer is None:
            self._schema = schema
            self._writer = self._parquet.ParquetWriter(file, schema, compression=self._compression)
        return self._writer

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Return rows as columns of the file's types.

        Raises:
            InvalidItemError: a value or a column does not fit.
        """
        names = columns_of(rows)
        types: dict[str, Any] = {} if self._schema is None else {field.name: field.type for field in self._schema}
        extra = next((name for name in names if types and name not in types), None)
        if extra is not None:
            raise self._misfit(f"the file has no column {extra!r}")
        columns: dict[str, Any] = {}
        for name in types or names:
            try:
                columns[name] = self._arrow.array([row.get(name) for row in rows], type=types.get(name))
            except (self._arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise self._misfit(f"column {name!r}: {error}") from error
        return self._arrow.table(columns, schema=self._schema)

    def _misfit(self, reason: str) -> InvalidItemError:
        hint = "give Parquet(schema=...) every column and its type"
        return InvalidItemError(sink=self._label, reason=reason, hint=hint)


def _own(value: Any) -> Any:
    """Return a value that nobody else can change, and that pyarrow knows."""
    if isinstance(value, Enum):
        return _own(value.value)
    return copy.deepcopy(value) if type(value) in _SHARED else value
