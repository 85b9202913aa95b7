"""What the demo ends with: the totals in its database, and the figures of its runs, kept beside it."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from mainspring.demo._jobs import DATABASE, microseconds

_KEPT: Final = "figures.json"


@dataclass(frozen=True, slots=True)
class Figures:
    """What it took to get there, over all runs of the demo on one state directory, killed ones included.

    Only `runs_per_second` is that of the latest run.
    """

    runs_per_second: float = 0.0
    retries: int = 0
    rejected: int = 0
    breaker_opened: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The demo's result; `engine_seconds` is the total less what the API's own rate and downtime cost anybody."""

    intervals: int
    flights: int
    days: int
    seconds: float
    engine_seconds: float
    runs_per_second: float
    retries: int
    rejected: int
    breaker_opened: int

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))


def load_figures(state: Path) -> Figures:
    """Return the figures that earlier runs left; those of an unreadable file count as none."""
    try:
        return Figures(**json.loads((state / _KEPT).read_text()))
    except (OSError, ValueError, TypeError):
        return Figures()


def save_figures(state: Path, figures: Figures) -> None:
    """Keep the figures for later runs; the file is replaced whole."""
    partial = state / f"{_KEPT}.new"
    partial.write_text(json.dumps(asdict(figures)))
    partial.replace(state / _KEPT)


def count_rows(state: Path, start: datetime, end: datetime) -> tuple[int, int]:
    """Return (flights, days) between two instants, as the database has them."""
    with closing(sqlite3.connect(f"file:{state / DATABASE}?mode=ro", uri=True)) as connection:
        return (
            _count(connection, "flights", start, end),
            _count(connection, "daily_delays", start, end),
        )


def _count(connection: sqlite3.Connection, table: str, start: datetime, end: datetime) -> int:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return 0
    sql = f'SELECT count(*) FROM "{table}" WHERE _interval_start >= ? AND _interval_start < ?'
    return int(connection.execute(sql, (microseconds(start), microseconds(end))).fetchone()[0])
