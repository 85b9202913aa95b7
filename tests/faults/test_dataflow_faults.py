"""Workers of a dataflow are killed: nothing is lost, and what is repeated is what was not acknowledged."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mainspring.base import Backoff
from mainspring.dataflow import Dataflow, Edge, Process, Runner, StageFailedError
from mainspring.sinks import Delivery, SqlTable
from mainspring.testing import eventually

WINDOW = 256
EDGE = Edge(max_in_flight=WINDOW, max_waiting=WINDOW)
PLACES = ["0.0", "1.0", "1.1", "1.2", "1.3", "2.0"]
SAME_PATH = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
SOON = Backoff(0.01, maximum=0.1, max_tries=50)


@dataclass(frozen=True)
class Numbers:
    """The callbacks of a topology that writes the numbers below `count` to a file."""

    path: Path
    count: int

    def source(self, p: Process) -> Iterator[int]:
        yield from range(p.acknowledged, self.count)

    def work(self, p: Process, number: int) -> int:
        return number

    def open(self, p: Process) -> None:
        p.state["fd"] = os.open(self.path, os.O_WRONLY | os.O_APPEND)

    def sink(self, p: Process, number: int) -> None:
        os.write(p.state["fd"], b"%9d\n" % number)


class Line:
    """A topology 1-4-1 whose last stage writes the numbers that it got to a file."""

    def __init__(self, folder: Path, count: int, **options: Any) -> None:
        self.path = folder / "numbers"
        self.path.touch()
        of = Numbers(self.path, count)
        stages = [Runner(of.source), Runner(of.work, 4, edge=EDGE), Runner(of.sink, startup=of.open, edge=EDGE)]
        self.flow = Dataflow("line", stages, restart=SOON, **options)

    @property
    def written(self) -> int:
        return self.path.stat().st_size // 10

    def numbers(self) -> Counter[int]:
        return Counter(int(line) for line in self.path.read_text().splitlines())

    async def kill_when(self, place: str, is_time: Callable[[], bool]) -> None:
        """Kill the worker in a place; wait until another one sits there."""
        await eventually(is_time, within=40.0)
        victim = self.flow.pids.get(place)
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
            await eventually(lambda: self.flow.pids.get(place) != victim, within=20.0)


async def test_no_number_is_lost_when_each_worker_is_killed_in_turn(
    tmp_path: Path, mainspring_count: Callable[[int, int], int]
) -> None:
    count = mainspring_count(20_000, 1_000_000)
    line = Line(tmp_path, count)
    async with line.flow:
        for turn, place in enumerate(PLACES, 1):
            share = count * turn // (2 * len(PLACES))
            await line.kill_when(place, lambda share=share: line.written >= share)  # type: ignore[misc]
        await line.flow.wait()
        stats = line.flow.stats()
    numbers = line.numbers()
    assert set(range(count)) == set(numbers)
    assert 1 <= sum(stage.restart_count for stage in stats.stages) <= len(PLACES)
    # A death repeats at most what one worker's ways could hold: those in flight to it and from it.
    repeated = sum(numbers.values()) - count
    assert repeated <= len(PLACES) * 10 * WINDOW
    assert all(0 == edge.lost_count for edge in stats.edges)


async def test_rows_of_a_sinks_worker_that_is_killed_are_there_once(
    tmp_path: Path, mainspring_count: Callable[[int, int], int]
) -> None:
    count, database, last = mainspring_count(5_000, 200_000), tmp_path / "rows.db", tmp_path / "last"

    async def source(p: Process) -> AsyncGenerator[int]:
        for number in range(p.acknowledged, count):
            while number == count - 1 and not last.exists():  # noqa: ASYNC110  # another process makes it
                await asyncio.sleep(0.01)
            yield number

    def row(p: Process, number: int) -> dict[str, int]:
        return {"n": number}

    table = SqlTable("rows", key=("n",), database=database)
    stages = [Runner(source), Runner(row, 2, edge=EDGE, sink=table, sink_delivery=Delivery(max_count=50))]
    flow = Dataflow("rows", stages, restart=SOON)
    async with flow:
        for place, share in (("1.0", 0.2), ("0.0", 0.5), ("1.1", 0.8)):
            await eventually(lambda share=share: numbers_of(database)[0] >= count * share, within=40.0)  # type: ignore[misc]
            victim = flow.pids[place]
            os.kill(victim, signal.SIGKILL)
            await eventually(lambda place=place, victim=victim: flow.pids.get(place) != victim, within=20.0)  # type: ignore[misc]
        last.touch()
        await flow.wait()
        stages_done = flow.stats().stages
    assert (count, count, count * (count - 1) // 2) == numbers_of(database)
    assert 3 == sum(stage.restart_count for stage in stages_done)


def numbers_of(database: Path) -> tuple[int, int, int]:
    """Return how many rows a table has, how many different ones, and their sum; nothing while there is none."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'").fetchone():
            return 0, 0, 0
        [found] = connection.execute("SELECT count(*), count(DISTINCT n), coalesce(sum(n), 0) FROM rows")
    return int(found[0]), int(found[1]), int(found[2])


async def test_at_most_once_drops_and_counts_and_repeats_nothing(tmp_path: Path) -> None:
    line = Line(tmp_path, 20_000, delivery="at-most-once")
    async with line.flow:
        await line.kill_when("1.2", lambda: line.written > 1000)
        await line.flow.wait()
        stats = line.flow.stats()
    numbers = line.numbers()
    lost = 20_000 - len(numbers)
    assert len(numbers) == sum(numbers.values())
    assert lost <= sum(edge.lost_count for edge in stats.edges) + 4 * WINDOW


async def test_a_worker_that_dies_again_and_again_ends_the_dataflow(tmp_path: Path) -> None:
    def die(p: Process, number: int) -> None:
        os._exit(7)

    def source(p: Process) -> Iterator[int]:
        yield 1

    flow = Dataflow("f", [Runner(source), Runner(die)], restart=Backoff(0.001, max_tries=3))
    with pytest.raises(StageFailedError, match=r"worker 1.0 \(die\) of 'f' died 3 times, last with exit code 7"):
        async with flow:
            await flow.wait()


async def test_a_worker_that_cannot_start_says_why() -> None:
    def broken(p: Process) -> None:
        raise OSError("no such table")

    def source(p: Process) -> Iterator[int]:
        yield 1

    flow = Dataflow("f", [Runner(source, startup=broken)], restart=Backoff(0.001, max_tries=2))
    with pytest.raises(StageFailedError, match="OSError: no such table"):
        await flow.__aenter__()


@asynccontextmanager
async def program(folder: Path) -> AsyncGenerator[tuple[asyncio.subprocess.Process, list[int]]]:
    """Run a program with an endless dataflow; give it and the pids of its last stage."""
    script = str(Path(__file__).with_name("support_endless_flow.py"))
    child = await asyncio.create_subprocess_exec(sys.executable, script, str(folder), env=SAME_PATH, stdout=PIPE)
    try:
        await eventually(lambda: 2 == len(os.listdir(folder)), within=30.0)
        yield child, [int(name) for name in os.listdir(folder)]
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def test_no_worker_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    async with program(tmp_path) as (child, pids):
        child.kill()
        await eventually(lambda: not any(map(is_running, pids)), within=20.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_program_well(tmp_path: Path, number: int) -> None:
    async with program(tmp_path) as (child, pids):
        child.send_signal(number)
        said, _ = await child.communicate()
        assert (0, b"ended well\n") == (child.returncode, said)
        assert not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def test_what_is_left_at_the_end_of_the_stop_timeout_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def stuck(p: Process, number: int) -> None:
        (tmp_path / "stuck").touch()
        await asyncio.Event().wait()

    def source(p: Process) -> Iterator[int]:
        yield 1

    async with Dataflow("f", [Runner(source), Runner(stuck)], stop_timeout=0.2) as flow:
        await eventually(lambda: (tmp_path / "stuck").exists(), within=20.0)
        pids = list(flow.pids.values())
    assert "did not end within 0.2 s; killed: 0.0, 1.0" in caplog.text
    assert not any(map(is_running, pids))


async def test_nothing_is_left_behind_by_starting_and_stopping(
    tmp_path: Path, mainspring_count: Callable[[int, int], int]
) -> None:
    """The leak check of the test plugin compares descriptors, processes, threads and tasks afterwards."""
    for _ in range(mainspring_count(2, 200)):
        line = Line(tmp_path, 1_000_000_000)
        async with line.flow:
            await eventually(lambda line=line: line.written > 0, within=20.0)  # type: ignore[misc]
        line.path.unlink()


async def test_a_worker_holds_only_its_own_ways(tmp_path: Path) -> None:
    line = Line(tmp_path, 1_000_000_000)
    before = sockets_of(os.getpid())
    # One to the supervisor, one for what it logs, one to each neighbour, and the two by which a loop wakes itself.
    expected = {"0.0": 8, "1.0": 6, "1.1": 6, "1.2": 6, "1.3": 6, "2.0": 8}

    def own_sockets() -> dict[str, set[str]]:
        held = {place: sockets_of(pid) - before for place, pid in line.flow.pids.items()}
        return {place: own.difference(*(held[one] for one in held if one != place)) for place, own in held.items()}

    async with line.flow:
        await eventually(lambda: expected == {place: len(own) for place, own in own_sockets().items()}, within=20.0)
        assert not sockets_of(os.getpid()).intersection(*own_sockets().values())


def sockets_of(pid: int) -> set[str]:
    found: set[str] = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:"):
                found.add(target)
    return found
