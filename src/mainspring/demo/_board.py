"""The departures board: a dataflow that reads the loaded hours, one after the other, and tells every client of them."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mainspring.dataflow import Dataflow, NetworkRunner, Process, Runner, WebSocketCxn
from mainspring.demo._jobs import DATABASE

ADDRESS: Final = "board.url"
_HOUR_SECONDS: Final = 1.0  # what an hour of 2013 takes here
_NEXT_HOUR: Final = "SELECT min(_interval_start) FROM flights WHERE _job = 'load_flights' AND _interval_start > ?"
_COLUMNS: Final = ("origin", "dest", "carrier", "flight", "time_hour", "sched_dep_time", "dep_time", "dep_delay")
_DEPARTURES: Final = (
    f"SELECT {', '.join(_COLUMNS)} FROM flights WHERE _job = 'load_flights' AND _interval_start = ?"
    " ORDER BY sched_dep_time, carrier, flight"
)


@dataclass(frozen=True, slots=True)
class Departures:
    """The source of the board: the departures of each loaded hour, an hour at a time, again from the first at the end.

    Args:
        database: the file with the table `flights`.
        pause: seconds between two hours.
    """

    database: Path
    pause: float = _HOUR_SECONDS

    async def __call__(self, p: Process) -> AsyncIterator[dict[str, object]]:
        """Yield one departure after the other, without an end."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            hour = 0
            while True:
                (found,) = connection.execute(_NEXT_HOUR, (hour,)).fetchone()
                hour = found or 0
                for departure in read_hour(connection, hour):
                    yield departure
                await asyncio.sleep(self.pause)


def read_hour(connection: sqlite3.Connection, hour: int) -> Iterator[dict[str, object]]:
    """Return the departures of the hour that starts at `hour`, in UTC microseconds."""
    for row in connection.execute(_DEPARTURES, (hour,)).fetchall():
        yield dict(zip(_COLUMNS, row, strict=True))


def make_board(state: Path, *, pause: float = _HOUR_SECONDS) -> Dataflow:
    """Return the dataflow `airport_board` over the database in `state`."""
    departures = Departures((state / DATABASE).absolute(), pause)
    clients = NetworkRunner([WebSocketCxn()], title="clients")
    return Dataflow("airport_board", [Runner(departures, title="departures"), clients])


@asynccontextmanager
async def running_board(state: Path) -> AsyncGenerator[str]:
    """Run the board for the length of the block; yield its address, which a file in `state` has too."""
    async with make_board(state) as board:
        host, port = board.addresses["1.0"]
        address = f"ws://{host}:{port}"
        (state / ADDRESS).write_text(address)
        try:
            yield address
        finally:
            (state / ADDRESS).unlink(missing_ok=True)
