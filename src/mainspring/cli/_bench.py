"""`mainspring bench`: the published numbers of jobs, measured again where one's own store lies.

Each measure has a bound in seconds. A store of its own is made beside yours and removed; yours is not opened. The probe
is what disk and machine give at best: rows inserted, claimed and finished in shared transactions of a bare connection,
without tasks and without answers.
"""

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from mainspring.base import current_clock, new_id
from mainspring.cli._options import AsJson, run_action
from mainspring.cli._output import Row, write_rows
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp

IN_FLIGHT: Final = 200
_CALLS: Final = 1_000
_SINGLES: Final = 100  # starts of an idle app, at most
_PREFIX: Final = "sqlite:///"
_SCHEMA: Final = """
CREATE TABLE run(run_id TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
CREATE TABLE history(run_id TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
"""


class Durability(StrEnum):
    """What an answered call survives."""

    PROCESS = "process"
    DISK = "disk"


def bench(
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="measure in the folder of this store, as sqlite:///state.db")
    ] = None,
    durability: Annotated[Durability, typer.Option(help="survive kill -9, or a power cut too")] = Durability.DISK,
    seconds: Annotated[float, typer.Option(min=0.01, max=60.0, metavar="SECONDS", help="for each measure")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Measure what recorded runs cost here: runs per second, time to the start, beside a bare probe."""
    run_action(show_bench(folder_of(store), durability, seconds=seconds, as_json=as_json))


def folder_of(store: str | None) -> Path:
    """Return the folder in which a store lies; by default that of the app's default store.

    Raises:
        InvalidArgumentError: there is no such folder, or no files can be made in it.
    """
    if store is None:
        folder = JobApp("bench").state_folder
        folder = folder if folder.is_dir() else Path.cwd()
    else:
        folder = Path(store.removeprefix(_PREFIX)).resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        value = store or str(folder)
        raise InvalidArgumentError(argument="--store", value=value, expected=f"a folder to write to; {folder} is none")
    return folder


async def show_bench(folder: Path, durability: Durability, *, seconds: float, as_json: bool) -> None:
    """Measure, and write the rows."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-", dir=folder) as place:
        rows = await measure(Path(place), durability, seconds=seconds)
    write_rows(
        rows, columns=("measure", "value", "unit", "of_the_probe"), as_json=as_json, empty="nothing was measured"
    )


async def measure(folder: Path, durability: Durability, *, seconds: float) -> list[Row]:
    """Return everything that was measured, one after the other."""
    commit, probe = await asyncio.to_thread(_probe, folder, durability, seconds)
    began = current_clock().monotonic()
    started: list[float] = []
    async with _opened(folder, durability, lambda: started.append(current_clock().monotonic())) as app:
        first = started[0] - began
        rate, cpu = await _throughput(app, seconds)
        delays = await _starts(app, started, seconds)
        together = await _together(app)
    return [
        _row("runs, 200 in flight", rate, "runs/s", of_the_probe=rate / probe),
        _row("probe: rows in shared transactions", probe, "runs/s"),
        _row("CPU of a run", cpu * 1e6, "us"),
        _row("enqueue to start, median", statistics.median(delays) * 1e3, "ms"),
        _row("enqueue to start, p99", delays[len(delays) * 99 // 100] * 1e3, "ms"),
        _row("probe: one commit", commit * 1e3, "ms"),
        _row(f"{_CALLS} concurrent run_job", together, "s"),
        _row("app to first handler", first, "s"),
    ]


def _row(measure: str, value: float, unit: str, *, of_the_probe: float | None = None) -> Row:
    share = None if of_the_probe is None else round(of_the_probe, 3)
    return {"measure": measure, "value": float(f"{value:.4g}"), "unit": unit, "of_the_probe": share}


@asynccontextmanager
async def _opened(folder: Path, durability: Durability, handler: Callable[[], None]) -> AsyncGenerator[JobApp]:
    """Open an app with one job that has run once."""
    app = JobApp("bench", store=folder / "jobs.db", durability=durability.value, schedule=False)

    @app.job("noop")
    async def noop() -> None:
        handler()

    await app.open()
    try:
        await app.run_job(noop)
        yield app
    finally:
        await app.close()


async def _throughput(app: JobApp, seconds: float) -> tuple[float, float]:
    """Keep runs in flight for some seconds; return runs per second, and seconds of CPU for each."""
    done = 0
    began, cpu = current_clock().monotonic(), time.process_time()

    async def caller() -> None:
        nonlocal done
        while not done or current_clock().monotonic() - began < seconds:
            await app.run_job("noop")
            done += 1

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return done / (current_clock().monotonic() - began), (time.process_time() - cpu) / done


async def _starts(app: JobApp, started: list[float], seconds: float) -> list[float]:
    """Return the seconds from calls of an idle app to their handlers, sorted."""
    delays: list[float] = []
    until = current_clock().monotonic() + seconds
    while len(delays) < _SINGLES and (not delays or current_clock().monotonic() < until):
        called = current_clock().monotonic()
        await app.run_job("noop")
        delays.append(started[-1] - called)
    return sorted(delays)


async def _together(app: JobApp) -> float:
    """Return the seconds in which many concurrent calls ended."""
    began = current_clock().monotonic()
    await asyncio.gather(*(app.run_job("noop") for _ in range(_CALLS)))
    return current_clock().monotonic() - began


def _probe(folder: Path, durability: Durability, seconds: float) -> tuple[float, float]:
    """Return the median seconds of a commit of one row, and rows per second in groups."""
    commits: list[float] = []
    with closing(sqlite3.connect(folder / "probe.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durability is Durability.DISK else 'NORMAL'}")
        connection.executescript(_SCHEMA)
        until = current_clock().monotonic() + seconds / 4
        while not commits or (len(commits) < _SINGLES and current_clock().monotonic() < until):
            began = current_clock().monotonic()
            connection.execute("INSERT INTO history VALUES (?, 'single')", (new_id(),))
            commits.append(current_clock().monotonic() - began)
        began, rows = current_clock().monotonic(), 0
        while not rows or current_clock().monotonic() - began < seconds:
            _group(connection)
            rows += IN_FLIGHT
        return statistics.median(commits), rows / (current_clock().monotonic() - began)


def _group(connection: sqlite3.Connection) -> None:
    """Insert, claim and finish as many rows as runs are in flight, one transaction for each step."""
    ids = [(new_id(),) for _ in range(IN_FLIGHT)]
    for statements in (
        ("INSERT INTO run VALUES (?, 'available')",),
        ("UPDATE run SET state = 'running' WHERE run_id = ?",),
        ("INSERT INTO history VALUES (?, 'succeeded')", "DELETE FROM run WHERE run_id = ?"),
    ):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.executemany(statement, ids)
