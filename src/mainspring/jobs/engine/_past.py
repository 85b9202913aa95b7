"""What runs of jobs with `depends_on_past` wait for: the interval right before their own."""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import timedelta
from typing import Final

from mainspring.base import from_us, to_us
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import RangeSet, RunState, first_cursor
from mainspring.jobs.stores import BackfillRow, JobStore, RunFilter, RunRecord, ScheduleRow

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
        for backfill_id in dict.fromkeys(record.backfill_id for record in waiting if record.backfill_id is not None):
            row = await self._store.backfill(backfill_id)
            if row is not None:
                found[row.backfill_id] = row
        return found

    async def _beginning(self, definition: JobDefinition) -> int:
        """Return where the intervals of a job began."""
        return beginning_of_versions(definition, await self._store.schedules(definition.job_id, limit=_MOST_LISTED))


def beginning_of_versions(definition: JobDefinition, versions: Iterable[ScheduleRow]) -> int:
    """Return where the oldest of these versions (newest first) of a job began that has had a schedule ever since."""
    first = None
    for version in versions:
        if version.schedule is None and version.since is None:  # it had no cursor: what follows began anew
            break
        first = version
    if first is not None and first.since is not None:
        return first.since
    if first is None or definition.schedule is None:
        return 0
    # files from before schema 6 do not say it: as the engine of that time began, which knew no delay
    return to_us(first_cursor(definition.schedule, from_us(first.created_at), start_at=definition.start_at))


def _interval_start_before(definition: JobDefinition, start: int) -> int:
    """Return the start of the interval that ends at `start`."""
    schedule = definition.schedule
    before = None if schedule is None else schedule.previous_fire(from_us(start) - timedelta(microseconds=1))
    return start - 1 if before is None else to_us(before)
