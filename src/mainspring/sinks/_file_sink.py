"""Files by interval: a run writes a file of its own beside the target and renames it when it ends well."""

import csv
import io
import string
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final  # Any: cell values have any type
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mainspring.base import encode_json
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import EncodeError, InvalidArgumentError, InvalidItemError
from mainspring.sinks._columns import as_row, plain_row
from mainspring.sinks._file_rows import BUFFER_BYTES, FileForm, FileRows, file_name
from mainspring.sinks._transaction import SinkRun

_FIELDS: Final = ("job", "run", "start", "end")


class FileSink:
    """Base of sinks that write one file per interval; use `JsonLines`, `Csv` or `Parquet`.

    Args:
        path: a template: `{start:%Y-%m-%d}` and `{end:...}` are the interval's ends, `{job}` and `{run}` the ids.
        timezone: the zone in which the ends are written; UTC unless you say another, whatever the job's own zone is.
            By local hours two intervals have one path when the clock is set back, unless the path has `%z`.
        name: how the sink is called; its template by default.

    Raises:
        InvalidArgumentError: the template has another field, or is none; the zone is unknown.
    """

    replaces = True

    def __init__(self, path: str | Path, *, timezone: str = "UTC", name: str | None = None) -> None:
        _check_places(path, timezone)
        self._template = str(path)
        try:
            fields = {field for _, field, _, _ in string.Formatter().parse(self._template) if field is not None}
        except ValueError as error:
            raise InvalidArgumentError(argument="path", value=path, expected=f"a template: {error}") from error
        unknown = fields - set(_FIELDS)
        if unknown or not self._template:
            expected = "a template with {start}, {end}, {job} and {run} only"
            raise InvalidArgumentError(argument="path", value=path, expected=expected)
        try:
            self._zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise InvalidArgumentError(argument="timezone", value=timezone, expected="an IANA zone") from error
        self._by_interval = bool(fields & {"start", "end"})
        self.has_file_for_each_run = "run" in fields and not self._by_interval
        self.label = name or self._template

    def path_for(self, run: SinkRun) -> Path:
        """Return the file that a run writes.

        Raises:
            InvalidItemError: the template has the interval's ends, and the run has no interval.
        """
        start, end = run.interval_start, run.interval_end
        if self._by_interval and (start is None or end is None):
            raise InvalidItemError(
                sink=self.label,
                reason="its path needs a run with a data interval, and this one has none",
                hint="run it by backfill() or by its schedule, or use {run} in the path",
            )
        values: dict[str, object] = {"job": file_name(run.job_id), "run": file_name(run.run_id)}
        ends: Mapping[str, datetime | None] = {"start": start, "end": end}
        values |= {name: end.astimezone(self._zone) for name, end in ends.items() if end is not None}
        return Path(self._template.format(**values))

    def place(self, run: SinkRun | None) -> Hashable:
        """Return the file of a run, or the template."""
        return (self._template, self._zone.key) if run is None else self.path_for(run).absolute()

    def collect(self, run: SinkRun, threads: ThreadPoolExecutor) -> "FileRows":
        """Return what collects a run's items."""
        return FileRows(self.path_for(run), run, self.form(), threads)

    def form(self) -> FileForm:
        """Return the form of a new file."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._template!r}>"


def _check_places(path: object, timezone: object) -> None:
    """See that both are texts: a file of the name "None" would be one that nobody looks for."""
    if not isinstance(path, str | Path):
        raise InvalidArgumentError(argument="path", value=path, expected="a template, as a text or Path")
    if not isinstance(timezone, str):
        raise InvalidArgumentError(argument="timezone", value=timezone, expected="an IANA zone")


class JsonLines(FileSink):
    """One JSON document per line and item: dicts, dataclasses, named tuples, Structs or any JSON value; NaN is null."""

    def form(self) -> FileForm:
        """Return the form of a new file."""
        return _Lines(self._line)

    def _line(self, item: object) -> bytes:
        try:
            return encode_json(item) + b"\n"
        except EncodeError as error:
            raise InvalidItemError(sink=self.label, reason=str(error)) from error


class Csv(FileSink):
    """A row per item, under a line of column names; None is an empty cell.

    Args:
        columns: the columns, in order; by default those of the first item of each file.
    """

    def __init__(
        self, path: str | Path, *, columns: Sequence[str] = (), timezone: str = "UTC", name: str | None = None
    ) -> None:
        super().__init__(path, timezone=timezone, name=name)
        if isinstance(columns, str):
            raise InvalidArgumentError(argument="columns", value=columns, expected="a sequence of names")
        self._columns = tuple(columns)

    def form(self) -> FileForm:
        """Return the form of a new file."""
        table = _CsvTable(self.label, list(self._columns))
        return _Lines(table.line, table.header)


class _Lines:
    """A file of lines.

    Args:
        header: asked at the end of a file without rows.
    """

    buffer_bytes = BUFFER_BYTES

    def __init__(self, line: Callable[[object], bytes], header: Callable[[], bytes] = bytes) -> None:
        self._line = line
        self._header = header
        self._begun = False

    def take(self, item: object) -> tuple[bytes, int]:
        line = self._line(item)
        self._begun = True
        return line, len(line)

    def write(self, file: BinaryIO, values: Sequence[bytes]) -> None:
        file.write(b"".join(values))

    def end(self, file: BinaryIO) -> None:
        if not self._begun:
            file.write(self._header())


class _CsvTable:
    """Makes the lines of one CSV file; the header goes with the first one."""

    def __init__(self, label: str, columns: list[str]) -> None:
        self._label = label
        self._columns = columns
        self._begun = False

    def header(self) -> bytes:
        return _csv(self._columns) if self._columns else b""

    def line(self, item: object) -> bytes:
        row = plain_row(as_row(item, sink=self._label), sink=self._label, wide=True)
        if not self._columns:
            self._columns.extend(row)
        if not row.keys() <= set(self._columns):
            extra = next(name for name in row if name not in self._columns)
            hint = "give Csv(columns=...) every column"
            raise InvalidItemError(sink=self._label, reason=f"the header has no column {extra!r}", hint=hint)
        first, self._begun = () if self._begun else (self._columns,), True
        return _csv(*first, [row.get(name) for name in self._columns])


def _csv(*rows: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
