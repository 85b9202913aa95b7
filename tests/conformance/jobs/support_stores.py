"""What the conformance suite of job stores is written with: a factory per store, and short makers of commands."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from msgspec import structs
from tests.conformance.jobs.support_trouble import GatedInline, GatedThreads, Way, failing_commits, standing

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

MINUTE = 60_000_000
HOUR = 60 * MINUTE


class StoreFactory(Protocol):
    """Makes stores on the same data, and gets them into trouble: all that the suite asks of an implementation.

    Whoever writes a store of their own runs the suite on it by adding such a factory to those of `conftest.py`; each
    test gets one of its own, whose data begin empty. The four faults are those that a node may meet:

    - *kill*: leaving a store's block, which says good-bye to nobody;
    - *cut*: `cut(store)`, nothing of a write is done;
    - *lost reply*: `lose_replies(store)`, a write is done, and who asked for it does not learn of it;
    - *pause*: `stand_still(store)`, writes wait until it ends; the process was suspended, or its network was.

    A fault belongs as deep as it can be reached: between two groups and at the commit of a file, in a proxy before
    a server. Where nothing can be reached, `support_trouble.Way` makes the faults on the way to any store.
    """

    def __call__(self, *, lease: float = 30.0, app: AppName | None = None) -> AbstractAsyncContextManager[JobStore]:
        """Open one more store on the same data; leaving it is a death without good-bye.

        Whatever a test did, nothing in the store may contradict itself afterwards.
        """
        ...

    def cut(self, store: JobStore) -> AbstractContextManager[None]:
        """Within, writes of this store raise a `StorageError`, and nothing of them is kept."""
        ...

    def lose_replies(self, store: JobStore) -> AbstractContextManager[None]:
        """Within, writes of this store are kept, and raise a `StorageError`."""
        ...

    def stand_still(self, store: JobStore) -> AbstractContextManager[None]:
        """Within, writes of this store wait; when it ends, they go on in their order."""
        ...


class SqliteFactory:
    """Makes stores that share a file in `folder`; their faults happen at the commit and between two groups."""

    def __init__(self, folder: Path, *, inline: bool) -> None:
        self._path = folder / "jobs.db"
        self._make_runner = GatedInline if inline else GatedThreads
        self._runners: dict[JobStore, GatedInline | GatedThreads] = {}

    @asynccontextmanager
    async def __call__(self, *, lease: float = 30.0, app: AppName | None = None) -> AsyncGenerator[JobStore]:
        runner = self._make_runner()
        store = SqliteStore(self._path, durability="process", lease=lease, runner=runner)
        self._runners[store] = runner
        await store.open(app=app)
        try:
            yield store
            assert await store.check() == []
        finally:
            await store.close()

    def cut(self, store: JobStore) -> AbstractContextManager[None]:
        return failing_commits(_sqlite(store), kept=False)

    def lose_replies(self, store: JobStore) -> AbstractContextManager[None]:
        return failing_commits(_sqlite(store), kept=True)

    def stand_still(self, store: JobStore) -> AbstractContextManager[None]:
        return standing(self._runners[store])


class MemoryFactory:
    """Makes stores that share their data in memory; their faults happen on the way to them."""

    def __init__(self) -> None:
        self._data = MemoryData()

    @asynccontextmanager
    async def __call__(self, *, lease: float = 30.0, app: AppName | None = None) -> AsyncGenerator[JobStore]:
        store = MemoryStore(self._data, lease=lease)
        await store.open(app=app)
        try:
            yield cast("JobStore", Way(store))  # cast: it has whatever the store has
            assert await store.check() == []
        finally:
            await store.close()

    def cut(self, store: JobStore) -> AbstractContextManager[None]:
        return _way(store).cut()

    def lose_replies(self, store: JobStore) -> AbstractContextManager[None]:
        return _way(store).lose_replies()

    def stand_still(self, store: JobStore) -> AbstractContextManager[None]:
        return _way(store).stand_still()


def sqlite_factory(folder: Path, *, inline: bool = False) -> StoreFactory:
    """Return a factory of stores that share a file in `folder`."""
    return SqliteFactory(folder, inline=inline)


def memory_factory() -> StoreFactory:
    """Return a factory of stores that share their data in memory."""
    return MemoryFactory()


def _sqlite(store: JobStore) -> SqliteStore:
    assert isinstance(store, SqliteStore)
    return store


def _way(store: JobStore) -> Way:
    assert isinstance(store, Way)
    return store


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
