"""The day's delays by airport: pure work for a worker process, which needs nothing but the database file."""

import sqlite3
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from typing import Final

_FLIGHTS: Final = (
    "SELECT origin, dep_delay FROM flights WHERE _job = 'load_flights' AND _interval_start >= ? AND _interval_start < ?"
)


def summarise_day(database: Path, day: str, start: int, end: int) -> list[dict[str, object]]:
    """Return one row that says how late the flights of a day left.

    Args:
        database: the file with the table `flights`.
        day: the row's date.
        start, end: the day's half-open interval, in UTC microseconds.
    """
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows: list[tuple[str, int | None]] = connection.execute(_FLIGHTS, (start, end)).fetchall()
    delays = sorted(delay for _, delay in rows if delay is not None)
    row: dict[str, object] = {"day": day, "flights": len(rows), "departed": len(delays)}
    row["median_delay"] = median(delays) if delays else None
    row["late_delay"] = quantiles(delays, n=20)[-1] if len(delays) > 1 else None
    for airport in ("EWR", "JFK", "LGA"):
        row[f"from_{airport.lower()}"] = sum(origin == airport for origin, _ in rows)
    return [row]
