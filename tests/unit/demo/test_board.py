"""The departures board tells every client of every loaded hour, again and again."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from mainspring.demo._board import ADDRESS, make_board, read_hour, running_board
from mainspring.transport import connect

pytestmark = pytest.mark.extras

HOUR = 3_600_000_000
FLIGHTS = [
    (HOUR, "JFK", "MIA", "AA", 1141, 542, 540, 2),
    (HOUR, "LGA", "IAH", "UA", 1714, 533, 529, 4),
    (3 * HOUR, "EWR", "ORD", "UA", 1696, None, 558, None),
]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with two loaded hours, one of another job, and none between them."""
    with closing(sqlite3.connect(tmp_path / "flights.db")) as connection:
        connection.execute(
            "CREATE TABLE flights (_job, _interval_start, origin, dest, carrier, flight, dep_time, sched_dep_time,"
            " dep_delay, time_hour)"
        )
        insert = "INSERT INTO flights VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '2013-01-01T10:00:00Z')"
        connection.executemany(insert, [("load_flights", *flight) for flight in FLIGHTS])
        connection.execute(insert, ("another_job", 2 * HOUR, *FLIGHTS[0][1:]))
        connection.commit()
    return tmp_path


async def read(address: str, count: int) -> list[dict[str, Any]]:
    async with connect(address, auth_key=None) as client:
        return [await client.read_json() for _ in range(count)]


def test_the_departures_of_an_hour_come_by_time(state: Path) -> None:
    with closing(sqlite3.connect(state / "flights.db")) as connection:
        assert ["UA", "AA"] == [one["carrier"] for one in read_hour(connection, HOUR)]
        assert [] == list(read_hour(connection, 2 * HOUR))


async def test_every_client_is_told_hour_after_hour_and_again_from_the_first(state: Path) -> None:
    async with make_board(state, pause=0.01) as board:
        host, port = board.addresses["1.0"]
        for _ in range(2):
            told = [one["flight"] for one in await read(f"ws://{host}:{port}", 7)]
            begin = told.index(1714)
            assert [1714, 1141, 1696, 1714] == told[begin : begin + 4]
        assert "airport_board" in board.describe()


async def test_the_address_lies_in_the_state_directory_while_it_runs(state: Path) -> None:
    async with running_board(state) as address:
        assert address == (state / ADDRESS).read_text()
        (one,) = await read(address, 1)
        assert one["flight"] in (1141, 1714, 1696)
    assert not (state / ADDRESS).exists()


async def test_without_a_loaded_hour_it_waits(state: Path) -> None:
    with closing(sqlite3.connect(state / "flights.db")) as connection:
        connection.execute("DELETE FROM flights")
        connection.commit()
        async with make_board(state, pause=0.01) as board:
            host, port = board.addresses["1.0"]
            async with connect(f"ws://{host}:{port}", auth_key=None) as client:
                connection.execute(
                    "INSERT INTO flights VALUES ('load_flights', ?, 'JFK', 'LAX', 'DL', 1, 600, 600, 0, 'x')", (HOUR,)
                )
                connection.commit()
                assert "LAX" == (await client.read_json())["dest"]
