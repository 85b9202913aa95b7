"""The delays of a day, out of a table of flights."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.demo._delays import summarise_day

Flight = tuple[str, int | None, int]


def database(folder: Path, *flights: Flight) -> Path:
    path = folder / "flights.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE flights (origin, dep_delay, _interval_start, _job DEFAULT 'load_flights')")
        connection.executemany("INSERT INTO flights (origin, dep_delay, _interval_start) VALUES (?, ?, ?)", flights)
    return path


def test_only_flights_of_the_day_count(tmp_path: Path) -> None:
    path = database(tmp_path, ("JFK", 5, 9), ("JFK", 1, 10), ("EWR", 3, 19), ("LGA", 8, 20))
    (row,) = summarise_day(path, "2013-01-01", 10, 20)
    assert ("2013-01-01", 2, 2, 2.0) == (row["day"], row["flights"], row["departed"], row["median_delay"])
    assert (1, 1, 0) == (row["from_ewr"], row["from_jfk"], row["from_lga"])
    assert row["late_delay"] == pytest.approx(3.0, abs=2.0)


def test_cancelled_flights_have_no_delay(tmp_path: Path) -> None:
    (row,) = summarise_day(database(tmp_path, ("JFK", None, 10)), "2013-01-01", 10, 20)
    assert (1, 0, None, None) == (row["flights"], row["departed"], row["median_delay"], row["late_delay"])


def test_one_departure_has_a_median_only(tmp_path: Path) -> None:
    (row,) = summarise_day(database(tmp_path, ("JFK", 4, 10)), "2013-01-01", 10, 20)
    assert (4, None) == (row["median_delay"], row["late_delay"])
