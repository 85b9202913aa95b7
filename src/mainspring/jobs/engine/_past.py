"""What runs of jobs with `depends_on_past` wait for: the interval right before their own."""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import timedelta
from typing import Final

from mainspring.base import from_us, to_us
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import RangeSet, RunState
from mainspring.jobs.stores import BackfillRow, JobStore, RunFilter, RunRecord

_AT_WORK: Final = frozenset({RunState.SCHEDULED, RunState.AVAILABLE, RunState.RUNNING, RunState.RETRYING})
_MOST_LISTED: Final = 10_000


class PastGuard:
    """Says why runs of these jobs still wait for what was before them.

    An interval is free when the one before it is done (succeeded or skipped) and nobody works on that again. Before
    the beginning of a job nothing is asked of its schedule, and of a backfill only what lies inside of it.
    """

    def __init__(self, store: JobStore, definitions: Mapping[str, JobDefinition]) -> None:
        self._store = store
        self._jobs = {job_id: one for job_id, one in definitions.items() if one.depends_on_past}
        self._beginnings: dict[str, int] = {}

    @property
    def jobs(self) -> Set[str]:
        """The jobs with `depends_on_past`."""
        return self._jobs.keys()

    async def blocked(self, waiting: Sequence[RunRecord], ends: Mapping[str, int | None]) -> dict[str, str]:
        """Return reasons by run id, for those of `waiting` (oldest first) that are not free.

        Args:
            ends: by job, where the interval of the last run ends that waits and is older than these.
        """
        reasons: dict[str, str] = {}
        for job_id in sorted(self.jobs & {record.job_id for record in waiting}):
            of_job = [record for record in waiting if record.job_id == job_id]
            alive: set[int | None] = {record.interval_end for record in of_job}
            alive.add(ends.get(job_id))
            reasons |= await self._blocked(self._jobs[job_id], of_job, alive)
        return reasons

    async def _blocked(
        self, definition: JobDefinition, waiting: Sequence[RunRecord], alive: set[int | None]
    ) -> dict[str, str]:
        at_work = RunFilter(job_id=definition.job_id, states=_AT_WORK, limit=_MOST_LISTED)
        alive |= {record.interval_end for record in await self._store.runs(at_work)}
        starts = [record.interval_start or 0 for record in waiting]
        done = RangeSet(
            (one.start, one.end)
            for one in await self._store.done(definition.job_id, min(starts) - 1, max(starts))
            if one.state != "failed"
        )
        backfills = await self._backfills(waiting)
        beginning = await self._beginning(definition)
        reasons: dict[str, str] = {}
        for record in waiting:
            start = record.interval_start or 0
            if start not in alive and done.covers(start - 1, start):
                continue
            past = _interval_start_before(definition, start)
            row = backfills.get(record.backfill_id or "")
            if start > beginning or (row is not None and past >= row.start) or start in alive:
                reasons[record.run_id] = f"blocked by {definition.job_id} {from_us(past):%Y-%m-%dT%H:%MZ}"
        return reasons

    async def _backfills(self, waiting: Iterable[RunRecord]) -> dict[str, BackfillRow]:
        found: dict[str, BackfillRow] = {}
        for backfill_id in {record.backfill_id for record in waiting} - {None}:
            row = await self._store.backfill(backfill_id or "")
            if row is not None:
                found[row.backfill_id] = row
        return found

    async def _beginning(self, definition: JobDefinition) -> int:
        """Return where the intervals of a job began; asked of the store once."""
        job_id = definition.job_id
        if job_id not in self._beginnings:
            versions = await self._store.schedules(job_id, limit=_MOST_LISTED)
            first = versions[-1].created_at if versions else 0  # old files do not say where a version began
            self._beginnings[job_id] = next((one.since for one in reversed(versions) if one.since is not None), first)
        return self._beginnings[job_id]


def _interval_start_before(definition: JobDefinition, start: int) -> int:
    """Return the start of the interval that ends at `start`."""
    schedule = definition.schedule
    before = None if schedule is None else schedule.previous_fire(from_us(start) - timedelta(microseconds=1))
    return start - 1 if before is None else to_us(before)
