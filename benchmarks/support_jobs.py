"""What `bench_jobs.py` measures: ours, two rivals, and the bare probe, each over the same trivial async handler."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Literal  # Any: rivals come without types

from mainspring.base import new_id
from mainspring.jobs import JobApp
from mainspring.jobs.stores import Enqueue, JobStore, NewRun, RunKind

IN_FLIGHT = 200
BULK = 1_000
Level = Literal["disk", "process"]
LEVELS: tuple[Level, ...] = ("disk", "process")


@dataclass(slots=True)
class Sample:
    """One measurement: runs from enqueue to terminal record, CPU of this process, and delays to the start when idle."""

    runs_per_second: float
    cpu_us: float
    delays: list[float] = field(default_factory=list[float])


class Watch:
    """Measures wall and CPU seconds from its making on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def sample(self, runs: int) -> Sample:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Sample(runs / wall, cpu / runs * 1e6)


@contextmanager
def folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as path:
        yield Path(path)


# --- ours ---


@asynccontextmanager
async def open_app(level: Level, handler: Callable[[], None]) -> AsyncGenerator[JobApp]:
    """Open an app with one job, `noop`, and let it run once."""
    with folder() as path:
        app = JobApp("bench", store=path / "jobs.db", durability=level, schedule=False)

        @app.job("noop")
        async def noop() -> None:
            handler()

        await app.open()
        try:
            await app.run_job("noop")
            yield app
        finally:
            await app.close()


async def ours(level: Level, runs: int, singles: int) -> Sample:
    """Keep 200 calls of `run_job` in flight; then one at a time."""
    started: list[float] = []
    async with open_app(level, lambda: started.append(time.perf_counter())) as app:

        async def caller(turns: Iterator[int]) -> None:
            for _ in turns:
                await app.run_job("noop")

        turns = iter(range(runs))
        watch = Watch()
        await asyncio.gather(*(caller(turns) for _ in range(IN_FLIGHT)))
        sample = watch.sample(runs)
        for _ in range(singles):
            called = time.perf_counter()
            await app.run_job("noop")
            sample.delays.append(started[-1] - called)
    return sample


async def ours_bulk(level: Level, runs: int) -> Sample:
    """Enqueue by the thousand, and wait until the store counts every run as succeeded."""
    async with open_app(level, lambda: None) as app:
        store, node = app.store, (await app.open()).node
        watch = Watch()
        for _ in range(0, runs, BULK):
            now = store.now()
            new = [NewRun(run_id=new_id(), job_id="noop", kind=RunKind.MANUAL, available_at=now) for _ in range(BULK)]
            await store.enqueue_many([Enqueue(run=run) for run in new])
            node.wake()
        # as with PgQueuer the process is asked first, then its store
        await _until(lambda: app.metrics.ended_count == runs + 1, every=0.002)
        await _until_none(lambda: _missing(store, runs + 1))
        return watch.sample(runs)


async def _missing(store: JobStore, runs: int) -> int:
    counts = {state: count for _, state, count in await store.job_counts()}
    return runs - counts.get("succeeded", 0)


async def gathered(calls: int) -> float:
    """Return the seconds in which that many concurrent calls of `run_job` ended."""
    async with open_app("disk", lambda: None) as app:
        began = time.perf_counter()
        await asyncio.gather(*(app.run_job("noop") for _ in range(calls)))
        return time.perf_counter() - began


# --- the bare probe: the same three steps in shared transactions, and nothing else ---

_SCHEMA = """
CREATE TABLE run(run_id TEXT PRIMARY KEY, job_id TEXT, state TEXT, available_at INTEGER, epoch INTEGER, fence INTEGER)
WITHOUT ROWID;
CREATE INDEX ready ON run(available_at, run_id) WHERE state = 'available';
CREATE TABLE history(run_id TEXT PRIMARY KEY, job_id TEXT, state TEXT, fence INTEGER, finished_at INTEGER)
WITHOUT ROWID;
"""
_CLAIM = (
    "UPDATE run SET state = 'running', epoch = 1, fence = ? WHERE run_id IN"
    " (SELECT run_id FROM run WHERE state = 'available' ORDER BY available_at, run_id LIMIT ?) RETURNING run_id"
)


@contextmanager
def probe_database(level: Level) -> Generator[sqlite3.Connection]:
    with folder() as path:
        connection = sqlite3.connect(path / "probe.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if level == 'disk' else 'NORMAL'}")
        connection.executescript(_SCHEMA)
        try:
            yield connection
        finally:
            connection.close()


def probe(level: Level, runs: int) -> Sample:
    """Insert, claim and finish in groups of as many runs as ours has in flight, one transaction for each step."""
    with probe_database(level) as connection:
        watch = Watch()
        for group in range(0, runs, IN_FLIGHT):
            new = [(new_id(), "noop", "available", group, None, None) for _ in range(IN_FLIGHT)]
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)", new)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                claimed = connection.execute(_CLAIM, (group, IN_FLIGHT)).fetchall()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                ended = [(run_id, "noop", "succeeded", group, group) for (run_id,) in claimed]
                connection.executemany("INSERT INTO history VALUES (?, ?, ?, ?, ?)", ended)
                connection.executemany("DELETE FROM run WHERE run_id = ?", claimed)
        return watch.sample(runs)


def probe_commit(commits: int) -> list[float]:
    """Return the seconds of single durable commits of one row: what one fsync costs."""
    found: list[float] = []
    with probe_database("disk") as connection:
        for number in range(commits):
            row = (str(number), "noop", "succeeded", 0, 0)
            began = time.perf_counter()
            connection.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?)", row)
            found.append(time.perf_counter() - began)
    return found


# --- rivals ---


_aps_started: list[float] = []


async def aps_handler() -> None:
    """Found by its name: APScheduler stores a reference, not the function."""
    _aps_started.append(time.perf_counter())


async def apscheduler(runs: int, singles: int) -> Sample:
    """APScheduler 3 on SQLite: jobs that are due at once, on this event loop."""
    scheduler: Any = import_module("apscheduler.schedulers.asyncio").AsyncIOScheduler
    jobstore: Any = import_module("apscheduler.jobstores.sqlalchemy").SQLAlchemyJobStore
    _aps_started.clear()
    with folder() as path:
        stores = {"default": jobstore(f"sqlite:///{path / 'jobs.db'}")}
        defaults = {"misfire_grace_time": None, "max_instances": IN_FLIGHT}
        subject = scheduler(jobstores=stores, job_defaults=defaults, timezone="UTC")
        subject.start()
        watch = Watch()
        for number in range(runs):
            subject.add_job(aps_handler, id=str(number))
            if number % IN_FLIGHT == IN_FLIGHT - 1:
                await _until(lambda: not subject.get_jobs())
        await _until(lambda: not subject.get_jobs() and len(_aps_started) == runs)
        sample = watch.sample(runs)
        for number in range(singles):
            called = time.perf_counter()
            subject.add_job(aps_handler, id=f"single-{number}")
            await _grown(_aps_started, runs + number)
            sample.delays.append(_aps_started[-1] - called)
        subject.shutdown(wait=False)
        stores["default"].engine.dispose()
    return sample


async def pgqueuer(address: str, runs: int, singles: int) -> Sample:
    """PgQueuer on PostgreSQL: enqueued by the hundred while it takes them by the hundred."""
    connect: Any = import_module("asyncpg").connect
    package: Any = import_module("pgqueuer")
    started: list[float] = []
    connections = [await connect(address), await connect(address)]
    enqueuer, taker = (package.Queries(package.AsyncpgDriver(one)) for one in connections)
    manager = package.QueueManager(taker)
    await enqueuer.install()

    @manager.entrypoint("noop")  # type: ignore[untyped-decorator]  # a rival without types
    async def noop(_job: object) -> None:
        started.append(time.perf_counter())

    running = asyncio.create_task(manager.run(dequeue_timeout=timedelta(seconds=1), batch_size=100))
    await enqueuer.enqueue("noop", None)
    await _until(lambda: len(started) == 1)
    watch = Watch()
    for _ in range(0, runs, 100):
        await enqueuer.enqueue(["noop"] * 100, [None] * 100, [0] * 100)
    await _until(lambda: len(started) == runs + 1)
    await _until_none(enqueuer.queue_size)
    sample = watch.sample(runs)
    for number in range(singles):
        called = time.perf_counter()
        await enqueuer.enqueue("noop", None)
        await _grown(started, runs + 1 + number)
        sample.delays.append(started[-1] - called)
    manager.shutdown.set()
    await running
    await enqueuer.uninstall()
    for connection in connections:
        await connection.close()
    return sample


async def pgqueuer_singly(address: str, runs: int) -> Sample:
    """PgQueuer with the work of `ours`: 200 callers, each of whom enqueues one and waits for its handler.

    All of them have been recorded at the end; a caller does not wait for that, as ours do.
    """
    connect: Any = import_module("asyncpg").connect
    package: Any = import_module("pgqueuer")
    connections = [await connect(address), await connect(address)]
    enqueuer, taker = (package.Queries(package.AsyncpgDriver(one)) for one in connections)
    manager = package.QueueManager(taker)
    await enqueuer.install()
    handled: dict[object, asyncio.Future[None]] = {}  # by job; the handler may come before its caller or after

    def of(job_id: object) -> "asyncio.Future[None]":
        return handled.setdefault(job_id, asyncio.get_running_loop().create_future())

    @manager.entrypoint("noop")  # type: ignore[untyped-decorator]  # a rival without types
    async def noop(job: Any) -> None:
        of(job.id).set_result(None)

    async def caller(turns: Iterator[int]) -> None:
        for _ in turns:
            (job_id,) = await enqueuer.enqueue("noop", None)
            await of(job_id)
            del handled[job_id]

    running = asyncio.create_task(manager.run(dequeue_timeout=timedelta(seconds=1), batch_size=100))
    await caller(iter(range(1)))
    turns = iter(range(runs))
    watch = Watch()
    await asyncio.gather(*(caller(turns) for _ in range(IN_FLIGHT)))
    await _until_none(enqueuer.queue_size)
    sample = watch.sample(runs)
    manager.shutdown.set()
    await running
    await enqueuer.uninstall()
    for connection in connections:
        await connection.close()
    return sample


async def _grown(started: list[float], above: int) -> None:
    await _until(lambda: len(started) > above)


async def _until(reached: Callable[[], bool], *, every: float = 0.0005) -> None:
    while not reached():  # noqa: ASYNC110  # rivals say nothing that could be waited for
        await asyncio.sleep(every)


async def _until_none(count: Callable[[], Awaitable[Any]]) -> None:
    while await count():  # noqa: ASYNC110  # as above
        await asyncio.sleep(0.002)
