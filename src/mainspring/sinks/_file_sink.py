"""Files by interval: a run writes a file of its own beside the target and renames it when it ends well.

So a target holds the rows of one run, whole, or what it held before; a run that emits nothing leaves an empty file.
Beside a target `NAME` lie `.NAME.RUN-FENCE.part` while a run writes, and `.NAME.fence`: which claim of which
interval wrote last, so that an older claim, or another interval whose path is the same, is refused.
"""

import asyncio
import csv
import io
import os
import re
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final  # Any: cell values have any type
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mainspring.base import encode_json
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import EncodeError, InvalidArgumentError, InvalidItemError
from mainspring.sinks._columns import as_row, plain_row
from mainspring.sinks._file_fence import move_under_fence
from mainspring.sinks._transaction import SinkRun

BUFFER_BYTES: Final = 256 << 10
_FIELDS: Final = ("job", "run", "start", "end")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")

Line = Callable[[object], bytes]


class FileSink:
    """Base of sinks that write one file per interval; use `JsonLines` or `Csv`.

    Args:
        path: a template: `{start:%Y-%m-%d}` and `{end:...}` are the interval's ends, `{job}` and `{run}` the ids.
        timezone: the zone in which the ends are written.
        name: how the sink is called; its template by default.

    Raises:
        InvalidArgumentError: the template has another field, or the zone is unknown.
    """

    replaces = True

    def __init__(self, path: str | Path, *, timezone: str = "UTC", name: str | None = None) -> None:
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
        values: dict[str, object] = {"job": _file_name(run.job_id), "run": _file_name(run.run_id)}
        ends: Mapping[str, datetime | None] = {"start": start, "end": end}
        values |= {name: end.astimezone(self._zone) for name, end in ends.items() if end is not None}
        return Path(self._template.format(**values))

    def collect(self, run: SinkRun, threads: ThreadPoolExecutor) -> "FileRows":
        """Return what collects a run's items."""
        header, line = self.lines()
        return FileRows(self.path_for(run), run, line, header=header, threads=threads)

    def lines(self) -> tuple[Callable[[], bytes], Line]:
        """Return what makes a file's first bytes, asked at its end when it has no row, and what makes a line."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._template!r}>"


class JsonLines(FileSink):
    """One JSON document per line and item: dicts, dataclasses, named tuples, Structs or any JSON value."""

    def lines(self) -> tuple[Callable[[], bytes], Line]:
        """Return no header, and what encodes an item."""
        return bytes, self._line

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

    def lines(self) -> tuple[Callable[[], bytes], Line]:
        """Return the header of a file without rows, and what makes a line."""
        columns = list(self._columns)
        begun = False

        def line(item: object) -> bytes:
            nonlocal begun
            row = plain_row(as_row(item, sink=self.label), sink=self.label)
            if not columns:
                columns.extend(row)
            if not row.keys() <= set(columns):
                extra = next(name for name in row if name not in columns)
                hint = "give Csv(columns=...) every column"
                raise InvalidItemError(sink=self.label, reason=f"the header has no column {extra!r}", hint=hint)
            first, begun = () if begun else (columns,), True
            return _csv(*first, [row.get(name) for name in columns])

        return lambda: _csv(columns) if columns else b"", line


class FileRows:
    """Collects the items of one run into a part file.

    Args:
        header: gives the bytes of a file without rows.
    """

    def __init__(
        self, target: Path, run: SinkRun, line: Line, *, header: Callable[[], bytes], threads: ThreadPoolExecutor
    ) -> None:
        self.count = 0
        self._target = target
        self._run = run
        self._line = line
        self._header = header
        self._threads = threads
        self._part = target.with_name(f".{target.name}.{_file_name(run.run_id)}-{run.fence}.part")
        self._buffer: list[bytes] = []
        self._size = 0
        self._file: BinaryIO | None = None
        self._error: OSError | None = None
        self._one_at_a_time = asyncio.Lock()  # chunks keep their order when several tasks of a run emit

    def take(self, item: object, key: str | None) -> bool:
        """Take one item; tell whether the buffer is full."""
        line = self._line(item)
        self._buffer.append(line)
        self._size += len(line)
        self.count += 1
        return self._size >= BUFFER_BYTES

    async def relieve(self) -> None:
        """Write the buffer to the part file."""
        async with self._one_at_a_time:
            chunk, self._buffer, self._size = self._buffer, [], 0
            await self._in_thread(self._write, chunk)

    async def finish(self) -> None:
        """Put the file in place.

        Raises:
            StaleFenceError: a newer claim of this interval has written already; nothing was changed.
            SinkWriteError: the file holds another interval.
            OSError: the disk refused.
        """
        async with self._one_at_a_time:
            if not self.count:
                self._buffer = [self._header()]
            await self._in_thread(self._commit)

    async def discard(self) -> None:
        """Remove the part file."""
        self._buffer.clear()
        async with self._one_at_a_time:
            await self._in_thread(self._remove)

    async def _in_thread(self, function: Callable[..., None], *args: object) -> None:
        """Call in a thread; a cancelled caller still waits for it, since the file is in use until it ends."""
        future = self._threads.run(function, *args)
        cancelled: BaseException | None = None
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError as error:
                cancelled = error
        failed = future.exception()
        if cancelled is not None:
            raise cancelled
        if failed is not None:
            raise failed

    def _write(self, chunk: Sequence[bytes]) -> None:
        if self._error is not None:
            raise self._error  # a chunk is missing, whatever the handler caught
        try:
            if self._file is None:
                self._part.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._part.open("wb")
            self._file.write(b"".join(chunk))
        except OSError as error:
            self._error = error
            raise

    def _commit(self) -> None:
        self._write(self._buffer)
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        move_under_fence(self._part, self._target, self._run)

    def _remove(self) -> None:
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)


def _file_name(text: str) -> str:
    """Return an id as part of a file name: no folder, and not hidden."""
    return _UNSAFE.sub("_", text).lstrip(".") or "_"


def _csv(*rows: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
