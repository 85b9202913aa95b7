"""The client of the departures board: `mainspring demo --board`."""

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mainspring.demo._board import ADDRESS
from mainspring.errors import ConnectionClosedError, HandshakeError, InvalidArgumentError, MisuseError
from mainspring.transport import Connection, connect

AIRPORTS: Final = ("EWR", "JFK", "LGA")


class Departure(msgspec.Struct, frozen=True):
    """One line of the board; times are local, as 1305 for 13:05, and None when the flight never left."""

    origin: str
    dest: str
    carrier: str
    flight: int
    time_hour: str
    sched_dep_time: int
    dep_time: int | None
    dep_delay: int | None

    def __str__(self) -> str:
        hour, minute = divmod(self.sched_dep_time, 100)
        flight = f"{self.carrier} {self.flight}"
        return f"{self.time_hour[:10]} {hour:02}:{minute:02}  {self.origin} > {self.dest}  {flight:<8}  {self.remark}"

    @property
    def remark(self) -> str:
        """How it left."""
        if self.dep_time is None or self.dep_delay is None:
            return "cancelled"
        return f"{self.dep_delay} min late" if self.dep_delay > 0 else "on time"


@dataclass(frozen=True, slots=True)
class BoardAsked:
    """What the command line asks for: `count` lines (None: all) of these airports (none: all)."""

    state: Path
    airports: tuple[str, ...] = ()
    count: int | None = None
    json: bool = False

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidArgumentError(argument="--count", value=self.count, expected="1 or more")


def _write_line(line: str) -> None:
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # else the interpreter complains of what is left when it ends
        os.close(nowhere)
        raise


async def watch_board(asked: BoardAsked, write: Callable[[str], object] = _write_line) -> int:
    """Write departures as the board tells them; return how many, when they are enough or the board closes.

    It ends as well when nobody reads on at the other end of a pipe.

    Raises:
        MisuseError: no demo keeps a board in this state directory.
    """
    try:
        address = (asked.state / ADDRESS).read_text()
        connection = await connect(address, auth_key=None)
    except (ConnectionClosedError, HandshakeError, OSError) as error:
        raise MisuseError(
            what=f"the departures board of {asked.state}",
            problem="does not run",
            hint="start `mainspring demo` without --once: it has a board once the flights are loaded",
        ) from error
    async with connection:
        return await _copy(connection, asked, write)


async def _copy(connection: Connection, asked: BoardAsked, write: Callable[[str], object]) -> int:
    written = 0
    with contextlib.suppress(ConnectionClosedError, BrokenPipeError):
        async for record in connection:
            departure = msgspec.json.decode(record, type=Departure)
            if asked.airports and departure.origin not in asked.airports:
                continue
            write(bytes(record).decode() if asked.json else str(departure))
            written += 1
            if written == asked.count:
                break
    return written
