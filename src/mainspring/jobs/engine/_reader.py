"""What the store tells of an app's jobs; needs no runner, and so shows also what other processes do."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from mainspring.base import current_clock, decode_json, from_us, to_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._configs import ConfigInForce, JobConfigs, history_of
from mainspring.jobs.engine._declarations import Job
from mainspring.jobs.engine._planner import ranges_to_run, touching
from mainspring.jobs.engine._registry import Registry
from mainspring.jobs.engine._results import ScheduleVersion
from mainspring.jobs.engine._steering import schedule_version
from mainspring.jobs.model import ConfigVersion, DataInterval, RangeSet, RunLog, RunState
from mainspring.jobs.stores import (
    NO_RUN,
    BackfillRow,
    EventRow,
    JobRow,
    LeaseRow,
    NodeRow,
    QueueRow,
    ReadStore,
    RunFilter,
    RunRecord,
    StrandedRow,
)
from mainspring.resilience import check_count

_FIRST: Final = -(2**62)
_LAST: Final = 2**62


class JobReader:
    """Reads runs and done-sets; made by `JobApp.reading()`."""

    def __init__(self, registry: Registry, store: ReadStore, configs: JobConfigs) -> None:
        self._registry = registry
        self._store = store
        self._configs = configs

    @property
    def location(self) -> str:
        """Where the store is."""
        return self._store.location

    async def run(self, run_id: str) -> RunRecord | None:
        """Return one run by its id, or an unambiguous beginning of it."""
        return await self._store.run(run_id)

    async def events(self, run_id: str) -> Sequence[EventRow]:
        """Return what befell a run and its record cannot say, oldest first."""
        return await self._store.events(run_id)

    async def runs(
        self,
        job: Job | None = None,
        *,
        states: Sequence[RunState] = (),
        backfill_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[RunRecord]:
        """List runs, newest first; `before` is the last run id seen.

        Args:
            since, until: only runs that were made in this half-open range.

        Raises:
            UnknownJobError: the job is not registered.
            InvalidArgumentError: there is no such state, or `limit` is below 0.
        """
        which = RunFilter(
            job_id=None if job is None else self._registry[job].job_id,
            states=_states_of(states),
            backfill_id=backfill_id,
            created_from=None if since is None else to_us(since),
            created_to=None if until is None else to_us(until),
            before=before,
            limit=check_count("limit", limit, at_least=0),
        )
        return await self._store.runs(which)

    async def logs(self, run_id: str) -> Sequence[tuple[int, RunLog]]:
        """Return (attempt, what it logged) for the attempts of a run that said something, oldest first."""
        kept = await self._store.logs(run_id)
        return [(one.attempt, decode_json(one.log, RunLog)) for one in kept]

    async def schedule_history(
        self, job: Job, *, before: int | None = None, limit: int = 50
    ) -> Sequence[ScheduleVersion]:
        """List the versions of a job's schedule, newest first; `before` is the last number seen.

        Raises:
            UnknownJobError: the job is not registered.
        """
        rows = await self._store.schedules(self._registry[job].job_id, before=before, limit=limit)
        return [schedule_version(row) for row in rows]

    async def to_backfill(
        self, job: Job, start: datetime, end: datetime, *, reprocess: Literal["missing", "failed", "all"]
    ) -> Sequence[DataInterval]:
        """Return the intervals between two instants that a backfill would run now, oldest first.

        Raises:
            UnknownJobError: the job is not registered.
        """
        definition = self._registry[job]
        bounds = (to_us(start), to_us(end))
        ranges = await ranges_to_run(self._store, definition.job_id, bounds, reprocess)
        return list(touching(definition, ranges, bounds, "asc"))

    async def backfill(self, backfill_id: str) -> BackfillRow | None:
        """Return one backfill."""
        return await self._store.backfill(backfill_id)

    async def backfills(
        self, job: Job | None = None, *, before: str | None = None, limit: int = 50
    ) -> Sequence[BackfillRow]:
        """List backfills, newest first; `before` is the last id seen.

        Raises:
            UnknownJobError: the job is not registered.
        """
        job_id = None if job is None else self._registry[job].job_id
        return await self._store.backfills(job_id=job_id, before=before, limit=limit)

    async def nodes(self, *, before: int | None = None, limit: int = 100) -> Sequence[NodeRow]:
        """List the nodes of the store, the latest first; `before` is the last epoch seen."""
        return await self._store.nodes(before=before, limit=limit)

    async def refused_calls(self) -> Sequence[EventRow]:
        """List calls of `run_job` that made no run, oldest first: the job as it was asked for, why, and what was said.

        Of all processes on the store, the newest hundred; without those that the store itself was the reason of.
        """
        return await self._store.events(NO_RUN)

    async def stranded(self) -> Sequence[StrandedRow]:
        """List what waits and no living node takes: its job is in nobody's code, or its queue is served by none."""
        return await self._store.stranded()

    async def leases(self) -> Sequence[LeaseRow]:
        """List the leases by name that living nodes hold."""
        return await self._store.leases()

    async def queues(self) -> Sequence[QueueRow]:
        """List the queues in which runs wait for a claim."""
        return await self._store.queues()

    async def watermarks(self, jobs: Sequence[str] | None = None) -> dict[str, datetime]:
        """Return how far these jobs have come (by default all) that have run intervals, by id."""
        return {job_id: from_us(end) for job_id, end in await self._store.watermarks(jobs)}

    async def rows(self) -> Mapping[str, JobRow]:
        """Return what the store knows of each job: its cursor, whether it is paused, its schedule."""
        return {row.job_id: row for row in await self._store.jobs()}

    async def config_history(self, job: Job, *, before: int | None = None, limit: int = 50) -> Sequence[ConfigVersion]:
        """List the stored versions of a job's config, newest first; `before` is the last number seen."""
        return await history_of(self._store, self._registry[job].job_id, before=before, limit=limit)

    async def config_in_force(self, job: Job, *, at: datetime | None = None) -> ConfigInForce:
        """Return what a run gets that starts now, or `at` an instant, on a node that knows what this process knows.

        Raises:
            UnknownJobError: the job is not registered.
            ConfigError: nothing that is known of it fits the job's schema.
        """
        return await self._configs.in_force(self._registry[job], at=at or current_clock().now())

    async def config_used(self, record: RunRecord) -> ConfigVersion | None:
        """Return the stored version of its job's config that a run used; None for none, and for one that is gone."""
        number = record.config_version
        if not number:
            return None
        found = await history_of(self._store, record.job_id, before=number + 1, limit=1)
        return found[0] if found and found[0].version == number else None

    async def check(self) -> Sequence[str]:
        """Look for damage and for what contradicts itself; return a sentence for each thing found. May take long."""
        return await self._store.check()

    async def backup(self, file: str | Path) -> int:
        """Copy the store into a new file while others write to it; return its size in bytes.

        Raises:
            InvalidArgumentError: the file exists, or the store lies in no file.
            StorageError: one of the two cannot be read or written.
        """
        return await self._store.backup(Path(file))

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return the numbers of runs kept, by job and state."""
        found: dict[str, dict[str, int]] = {}
        for job_id, state, count in await self._store.job_counts():
            found.setdefault(job_id, {})[state] = count
        return found

    async def watermark(self, job: Job) -> datetime | None:
        """Return the end of the unbroken beginning of what is done (succeeded or skipped); None without any."""
        done = await self._store.done(self._registry[job].job_id, _FIRST, _LAST)
        settled = RangeSet((one.start, one.end) for one in done if one.state != "failed")
        first = next(iter(settled), None)
        return None if first is None else from_us(first[1])

    async def gaps(self, job: Job) -> Sequence[tuple[datetime, datetime]]:
        """Return the ranges that did not succeed, between the first and the last that is known."""
        done = list(await self._store.done(self._registry[job].job_id, _FIRST, _LAST))
        if not done:
            return []
        succeeded = RangeSet((one.start, one.end) for one in done if one.state == "succeeded")
        low, high = min(one.start for one in done), max(one.end for one in done)
        return [(from_us(start), from_us(end)) for start, end in succeeded.gaps(low, high)]


def _states_of(states: Sequence[RunState]) -> frozenset[RunState]:
    """Return the states to filter by; a misspelt one would find nothing, as if there were nothing."""
    if isinstance(states, str):  # it would be taken for its letters
        raise InvalidArgumentError(argument="states", value=str(states), expected=f"a list, as [{str(states)!r}]")
    known = {str(one) for one in RunState}
    unknown = next((one for one in states if one not in known), None)
    if unknown is not None:
        raise InvalidArgumentError(argument="states", value=unknown, expected=f"states: {', '.join(sorted(known))}")
    return frozenset(RunState(one) for one in states)
