"""What the conformance suite of job stores is written with: a factory per store, and short makers of commands."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from mainspring.base import new_id
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    AppName,
    BackfillRow,
    Claim,
    ClaimAnswer,
    Enqueue,
    EnqueueAnswer,
    Finish,
    JobRegistration,
    JobStore,
    MemoryData,
    MemoryStore,
    NewRun,
    RunKind,
    RunRecord,
    SqliteStore,
)
from mainspring.sinks import SinkRun
from mainspring.storage import InlineRunner

MINUTE = 60_000_000
HOUR = 60 * MINUTE

StoreFactory = Callable[..., AbstractAsyncContextManager[JobStore]]
"""`factory(lease=30.0, app=None)` opens one more store on the same data; leaving it is a death without good-bye.

Whatever a test did, nothing in the store may contradict itself afterwards.
"""


def sqlite_factory(folder: Path, *, inline: bool = False) -> StoreFactory:
    """Return a factory of stores that share a file in `folder`."""

    @asynccontextmanager
    async def factory(*, lease: float = 30.0, app: AppName | None = None) -> AsyncGenerator[JobStore]:
        runner = InlineRunner() if inline else None
        store = SqliteStore(folder / "jobs.db", durability="process", lease=lease, runner=runner)
        await store.open(app=app)
        try:
            yield store
            assert await store.check() == []
        finally:
            await store.close()

    return factory


def memory_factory() -> StoreFactory:
    """Return a factory of stores that share their data in memory."""
    data = MemoryData()

    @asynccontextmanager
    async def factory(*, lease: float = 30.0, app: AppName | None = None) -> AsyncGenerator[JobStore]:
        store = MemoryStore(data, lease=lease)
        await store.open(app=app)
        try:
            yield store
            assert await store.check() == []
        finally:
            await store.close()

    return factory


def new_run(store: JobStore, job: str = "job", /, **changes: Any) -> NewRun:  # Any: fields of NewRun
    """Return a plain call of a job, ready now."""
    run = NewRun(run_id=new_id(), job_id=job, kind=RunKind.MANUAL, available_at=store.now())
    return structs.replace(run, **changes)


def interval_run(store: JobStore, start: int, job: str = "job", /, **changes: Any) -> NewRun:  # Any: as above
    """Return the scheduled run of the hour that begins at `start`."""
    wanted = {"kind": RunKind.SCHEDULE, "interval_start": start, "interval_end": start + HOUR} | changes
    return new_run(store, job, **wanted)


async def enqueue(store: JobStore, run: NewRun, *, claim_epoch: int | None = None) -> EnqueueAnswer:
    """Create one run."""
    return await store.enqueue(Enqueue(run=run, claim_epoch=claim_epoch))


async def claim(
    store: JobStore, epoch: int, *jobs: str, limit: int = 10, queues: tuple[str, ...] = ("default",)
) -> ClaimAnswer:
    """Claim runs of `jobs`, of "job" when none is named."""
    names = frozenset(jobs or ("job",))
    return await store.claim(Claim(epoch=epoch, limit=limit, jobs=names, queues=queues))


async def claim_one(store: JobStore, epoch: int, *jobs: str) -> RunRecord:
    """Claim exactly one run."""
    (record,) = (await claim(store, epoch, *jobs, limit=1)).runs
    return record


def ending(record: RunRecord, state: RunState = RunState.SUCCEEDED, **changes: Any) -> Finish:  # Any: fields of Finish
    """Return the end of a claimed attempt."""
    finish = Finish(
        run_id=record.run_id,
        epoch=record.epoch or 0,
        fence=record.fence,
        attempt=record.attempt,
        state=state,
        finished_at=(record.started_at or 0) + 1,
        claimed=record,
    )
    return structs.replace(finish, **changes)


def registration(job: str = "job", /, **changes: Any) -> JobRegistration:  # Any: fields of JobRegistration
    """Return a job on an hourly schedule whose cursor stands at zero."""
    row = JobRegistration(job_id=job, schedule=b'{"every": 3600}', cursor=0, next_fire_at=HOUR)
    return replace(row, **changes)


def backfill_of(job: str = "job", /, **changes: Any) -> BackfillRow:  # Any: fields of BackfillRow
    """Return a backfill of ten hours."""
    row = BackfillRow(
        backfill_id=new_id(),
        job_id=job,
        start=0,
        end=10 * HOUR,
        cursor=0,
        order="asc",
        reprocess="missing",
        max_parallel=4,
        on_failure="continue",
        total=10,
        total_exact=True,
        created_at=1,
    )
    return replace(row, **changes)


def sink_run(record: RunRecord) -> SinkRun:
    """Return what a sink knows of a claimed run."""
    return SinkRun(record.run_id, record.job_id, record.fence, record.attempt, None, None, None)
