"""The client of the board prints what it is told, or says why it cannot."""

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from mainspring.demo._board import ADDRESS
from mainspring.demo._board_client import BoardAsked, watch_board
from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.transport import Connection, serve

pytestmark = pytest.mark.extras

NAMES = ("origin", "dest", "carrier", "flight", "sched_dep_time", "dep_time", "dep_delay", "time_hour")
FLIGHTS = [
    ("JFK", "MIA", "AA", 1141, 540, 542, 2),
    ("LGA", "IAH", "UA", 17, 1305, 1300, -5),
    ("JFK", "ORD", "UA", 9, 1400, None, None),
]
DEPARTURES = [dict(zip(NAMES, (*flight, "2013-01-01T10:00:00Z"), strict=True)) for flight in FLIGHTS]


@asynccontextmanager
async def board(state: Path) -> AsyncGenerator[None]:
    """Tell each client of all departures, then close."""

    async def tell(connection: Connection) -> None:
        for departure in DEPARTURES:
            await connection.write_json(departure)

    async with serve("ws://127.0.0.1:0", tell, auth_key=None) as server:
        (state / ADDRESS).write_text(server.address)
        yield


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    async with board(tmp_path):
        yield tmp_path


async def test_each_departure_is_a_line(state: Path) -> None:
    lines: list[str] = []
    assert 3 == await watch_board(BoardAsked(state), lines.append)
    assert lines == [
        "2013-01-01 05:40  JFK > MIA  AA 1141   2 min late",
        "2013-01-01 13:05  LGA > IAH  UA 17     on time",
        "2013-01-01 14:00  JFK > ORD  UA 9      cancelled",
    ]


async def test_airports_and_a_number_may_be_chosen(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == await watch_board(BoardAsked(state, ("LGA",), json=True))
    assert DEPARTURES[1] == json.loads(capsys.readouterr().out)
    lines: list[str] = []
    assert 1 == await watch_board(BoardAsked(state, count=1), lines.append)
    assert 1 == len(lines)


async def test_a_board_that_does_not_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="does not run"):
        await watch_board(BoardAsked(tmp_path))
    async with board(tmp_path):
        pass
    with pytest.raises(MisuseError, match="does not run") as stale:  # a killed demo leaves its file
        await watch_board(BoardAsked(tmp_path))
    assert "without --once" in (stale.value.hint or "")


def test_no_lines_are_not_to_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="--count=0"):
        BoardAsked(tmp_path, count=0)


async def test_a_pipe_that_nobody_reads_ends_it_quietly(state: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "mainspring.demo", "--board", "--state", str(state)]
    child = await asyncio.create_subprocess_exec(*command, stdout=writes, stderr=subprocess.PIPE)
    os.close(writes)
    _, said = await child.communicate()
    assert (0, False) == (child.returncode, b"rror" in said), said


async def test_whoever_takes_the_lines_may_stop_it(state: Path) -> None:
    def refuse(line: str) -> None:
        raise BrokenPipeError

    assert 0 == await watch_board(BoardAsked(state), refuse)


async def test_the_end_of_a_pipe_is_not_written_to_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with io.TextIOWrapper(io.FileIO(writes, "w")) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert 0 == await watch_board(BoardAsked(state))
        pipe.write("left over")


async def test_trouble_of_whoever_takes_the_lines_is_none_of_the_board(state: Path) -> None:
    def refuse(line: str) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await watch_board(BoardAsked(state), refuse)
