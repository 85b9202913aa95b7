"""What can be read of a job store in SQLite: by its owner, or by a process that only looks."""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.stores import _sqlite_overview as overview
from mainspring.jobs.stores import _sqlite_reads as reads
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, DoneRange, JobRow
from mainspring.jobs.stores._events import EventRow
from mainspring.jobs.stores._instants import now_us
from mainspring.jobs.stores._records import (
    AttemptLog,
    NodeRow,
    QueueRow,
    RunFilter,
    RunRecord,
    StrandedRow,
)
from mainspring.jobs.stores._sqlite_apps import owner_of
from mainspring.jobs.stores._sqlite_configs import list_configs
from mainspring.jobs.stores._sqlite_events import events_of
from mainspring.jobs.stores._sqlite_leases import list_leases
from mainspring.jobs.stores._sqlite_reports import logs_of
from mainspring.jobs.stores._sqlite_schedules import list_schedules
from mainspring.jobs.stores._sqlite_sql import script
from mainspring.jobs.stores._sqlite_upkeep import find_problems, look
from mainspring.jobs.stores._steering_records import ConfigRow, LeaseRow, ScheduleRow
from mainspring.storage import Migration, SqliteReader, copy_database

T = TypeVar("T")

MEMORY: Final = ":memory:"
APPLICATION: Final = "mainspring.jobs"
VERSIONS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)


def migrations() -> tuple[Migration, ...]:
    """Return the steps of the schema."""
    return tuple(Migration(version, script(f"schema_{version}")) for version in VERSIONS)


class SqliteReads(ABC):
    """`ReadStore` in terms of one snapshot each."""

    location: str

    @abstractmethod
    def _read(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Run `work` in a snapshot."""

    async def owner_label(self) -> str | None:
        """Return the label of the app that the store belongs to; None before an app has opened it."""
        return await self._read(owner_of)

    async def run(self, run_id: str) -> RunRecord | None:
        """Return one run by its id or an unambiguous prefix of it."""
        return await self._read(lambda c: reads.find_run(c, run_id))

    async def runs(self, which: RunFilter) -> Sequence[RunRecord]:
        """List runs, newest first."""
        return await self._read(lambda c: reads.list_runs(c, which))

    async def ended(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
        """Return those of `run_ids` that are in a terminal state."""
        return await self._read(lambda c: reads.ended_runs(c, run_ids))

    async def unknown(self, run_ids: Sequence[str]) -> Sequence[str]:
        """Return those of `run_ids` that no run has."""
        return await self._read(lambda c: reads.unknown_runs(c, run_ids))

    async def waiting(self, *, jobs: frozenset[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        """Return runs that wait for what they need, oldest interval first; `after` is the last one seen."""
        return await self._read(lambda c: reads.waiting_runs(c, jobs, limit, after))

    async def logs(self, run_id: str) -> Sequence[AttemptLog]:
        """Return what the attempts of a run logged, oldest first."""
        return await self._read(lambda c: logs_of(c, run_id))

    async def events(self, run_id: str) -> Sequence[EventRow]:
        """Return what befell a run and its record cannot say, oldest first."""
        return await self._read(lambda c: events_of(c, run_id))

    async def jobs(self) -> Sequence[JobRow]:
        """List every job ever registered."""
        return await self._read(reads.list_jobs)

    async def job_counts(self) -> Sequence[tuple[str, str, int]]:
        """Return (job id, state, number of runs kept), live and ended."""
        return await self._read(reads.count_runs)

    async def done(self, job_id: str, start: int, end: int) -> Sequence[DoneRange]:
        """Return the ranges of the done-set that touch [start, end)."""
        return await self._read(lambda c: reads.done_ranges(c, job_id, start, end))

    async def schedules(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ScheduleRow]:
        """List the versions of a job's schedule, newest first; `before` is the last number seen."""
        return await self._read(lambda c: list_schedules(c, job_id, before, limit))

    async def check(self) -> Sequence[str]:
        """Look for what contradicts itself; return a sentence for each thing that does."""
        if self.location == MEMORY:
            return await self._read(find_problems)
        return await asyncio.to_thread(look, Path(self.location), find_problems)

    async def backup(self, file: Path) -> int:
        """Write one moment of the store into a new file; return its size in bytes."""
        if self.location == MEMORY:
            raise InvalidArgumentError(argument="store", value=MEMORY, expected="a file, to be copied")
        return await asyncio.to_thread(copy_database, Path(self.location), file)

    async def configs(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ConfigRow]:
        """List the versions of a job's config, newest first; `before` is the last number seen."""
        return await self._read(lambda c: list_configs(c, job_id, before, limit))

    async def backfill(self, backfill_id: str) -> BackfillRow | None:
        """Return one backfill."""
        return await self._read(lambda c: reads.find_backfill(c, backfill_id))

    async def backfills(
        self,
        *,
        job_id: str | None = None,
        states: frozenset[BackfillState] = frozenset(),
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[BackfillRow]:
        """List backfills, newest first; `before` is the last id seen."""
        return await self._read(lambda c: reads.list_backfills(c, job_id, states, before, limit))

    async def nodes(self, *, before: int | None = None, limit: int = 100) -> Sequence[NodeRow]:
        """List nodes, the latest first; `before` is the last epoch seen."""
        return await self._read(lambda c: overview.list_nodes(c, before, limit))

    async def leases(self) -> Sequence[LeaseRow]:
        """List the leases that living nodes hold, by name."""
        return await self._read(list_leases)

    async def queues(self) -> Sequence[QueueRow]:
        """List the queues in which runs wait for a claim, by name."""
        return await self._read(lambda c: overview.list_queues(c, now_us()))

    async def queue_counts(self) -> Sequence[tuple[str, str, int]]:
        """Return (job id, queue, number of runs) of what waits there; see `ReadStore`."""
        return await self._read(overview.count_queued)

    async def stranded(self) -> Sequence[StrandedRow]:
        """List runs that no living node takes, by job and queue."""
        return await self._read(overview.list_stranded)

    async def watermarks(self, jobs: Sequence[str] | None = None) -> Sequence[tuple[str, int]]:
        """Return how far these jobs have come; see `ReadStore`."""
        return await self._read(lambda c: overview.list_watermarks(c, jobs))


class SqliteStoreReader(SqliteReads):
    """Reads the store of other processes: registers nothing, is no node, never waits for the writer."""

    def __init__(self, path: str | Path) -> None:
        self.location = str(path)
        self._reader = SqliteReader(path, migrations=migrations(), application=APPLICATION)

    async def open(self) -> None:
        """Look whether there is a store of this version.

        Raises:
            StorageError: there is none, or it cannot be read (each its own class).
        """
        await self._reader.open()

    async def close(self) -> None:
        """Leave no thread and no descriptor."""
        await self._reader.close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        return self._reader.read(work)

    def __repr__(self) -> str:
        return f"<SqliteStoreReader {self.location}>"
