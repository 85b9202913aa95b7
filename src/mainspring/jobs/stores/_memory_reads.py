"""What can be read of a job store in memory, by its nodes or by somebody who only looks."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, DoneRange, JobRow
from mainspring.jobs.stores._done import unbroken_end
from mainspring.jobs.stores._events import EventRow
from mainspring.jobs.stores._instants import now_us
from mainspring.jobs.stores._memory_configs import list_configs
from mainspring.jobs.stores._memory_data import MemoryData, Place
from mainspring.jobs.stores._memory_leases import list_leases
from mainspring.jobs.stores._memory_reports import with_progress
from mainspring.jobs.stores._memory_schedules import list_schedules
from mainspring.jobs.stores._memory_upkeep import find_problems
from mainspring.jobs.stores._records import (
    AttemptLog,
    NodeRow,
    QueueRow,
    RunFilter,
    RunRecord,
    StrandedRow,
)
from mainspring.jobs.stores._steering_records import ConfigRow, LeaseRow, ScheduleRow
from mainspring.jobs.stores._stranded import stranded

MINIMUM_PREFIX = 6


class MemoryReads:
    """`ReadStore` over the shared data."""

    def __init__(self, data: MemoryData) -> None:
        self._data = data
        self.location = "memory"

    async def owner_label(self) -> str | None:
        """Return the label of the app that the data belong to; None before an app has opened them."""
        return self._data.owner_label

    async def run(self, run_id: str) -> RunRecord | None:
        """Return one run by its id or an unambiguous prefix of it."""
        exact = self._data.find(run_id)
        if exact is not None or len(run_id) < MINIMUM_PREFIX:
            return with_progress(self._data, exact)
        ids = self._data.run_ids
        place = bisect_left(ids, run_id)
        found = [one for one in ids[place : place + 2] if one.startswith(run_id)]
        return with_progress(self._data, self._data.find(found[0])) if len(found) == 1 else None

    async def runs(self, which: RunFilter) -> Sequence[RunRecord]:
        """List runs, newest first."""
        page = islice(self._matching(which), which.limit)
        return [with_progress(self._data, record) or record for record in page]

    def _matching(self, which: RunFilter) -> Iterator[RunRecord]:
        ids = self._data.run_ids
        end = len(ids) if which.before is None else bisect_left(ids, which.before)
        for place in range(end - 1, -1, -1):
            record = self._data.find(ids[place])
            if record is not None and _matches(record, which):
                yield record

    async def ended(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
        """Return those of `run_ids` that are in a terminal state."""
        ended = self._data.ended
        return [ended[run_id] for run_id in dict.fromkeys(run_ids) if run_id in ended]

    async def unknown(self, run_ids: Sequence[str]) -> Sequence[str]:
        """Return those of `run_ids` that no run has."""
        return [run_id for run_id in dict.fromkeys(run_ids) if self._data.find(run_id) is None]

    async def waiting(self, *, jobs: frozenset[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        """Return runs that wait for what they need, oldest interval first; `after` is the last one seen."""
        waiting = self._data.waiting
        seen = None if after is None or after.interval_start is None else (after.interval_start, after.run_id)
        begin = 0 if seen is None else bisect_right(waiting, seen)
        records = (self._data.live[run_id].record for _, run_id in islice(waiting, begin, None))
        return list(islice((record for record in records if record.job_id in jobs), limit))

    async def logs(self, run_id: str) -> Sequence[AttemptLog]:
        """Return what the attempts of a run logged, oldest first."""
        return list(self._data.logs.get(run_id, ()))

    async def events(self, run_id: str) -> Sequence[EventRow]:
        """Return what befell a run and its record cannot say, oldest first."""
        return list(self._data.events.get(run_id, ()))

    async def jobs(self) -> Sequence[JobRow]:
        """List every job ever registered."""
        return [self._data.jobs[job_id] for job_id in sorted(self._data.jobs)]

    async def job_counts(self) -> Sequence[tuple[str, str, int]]:
        """Return (job id, state, number of runs kept), live and ended."""
        counts = self._data.tally + self._data.live_counts
        return sorted((job_id, state, count) for (job_id, state), count in counts.items() if count)

    async def done(self, job_id: str, start: int, end: int) -> Sequence[DoneRange]:
        """Return the ranges of the done-set that touch [start, end)."""
        found = self._data.done.get(job_id, [])
        place = bisect_right(found, start, key=lambda one: one[1])
        touching = [one for one in islice(found, place, None) if one[0] < end]
        return [DoneRange(state=state, start=low, end=high) for low, high, state in touching]  # type: ignore[arg-type]  # the set holds the three words

    async def schedules(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ScheduleRow]:
        """List the versions of a job's schedule, newest first; `before` is the last number seen."""
        return list_schedules(self._data, job_id, before, limit)

    async def check(self) -> Sequence[str]:
        """Look for what contradicts itself; return a sentence for each thing that does."""
        return find_problems(self._data)

    async def backup(self, file: Path) -> int:
        """Refuse: there is no file to copy."""
        raise InvalidArgumentError(argument="store", value=self.location, expected="a file, to be copied")

    async def configs(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ConfigRow]:
        """List the versions of a job's config, newest first; `before` is the last number seen."""
        return list_configs(self._data, job_id, before, limit)

    async def backfill(self, backfill_id: str) -> BackfillRow | None:
        """Return one backfill."""
        return self._data.backfills.get(backfill_id)

    async def backfills(
        self,
        *,
        job_id: str | None = None,
        states: frozenset[BackfillState] = frozenset(),
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[BackfillRow]:
        """List backfills, newest first; `before` is the last id seen."""
        rows = [row for row in self._data.backfills.values() if job_id in (None, row.job_id)]
        wanted = [row for row in rows if not states or row.state in states]
        if before is not None:
            seen = self._data.backfills.get(before)
            wanted = [] if seen is None else [row for row in wanted if _age_of(row) < _age_of(seen)]
        return sorted(wanted, key=_age_of, reverse=True)[:limit]

    async def nodes(self, *, before: int | None = None, limit: int = 100) -> Sequence[NodeRow]:
        """List nodes, the latest first; `before` is the last epoch seen."""
        data = self._data
        epochs = sorted((epoch for epoch in data.nodes if before is None or epoch < before), reverse=True)
        return [
            NodeRow(
                epoch=epoch,
                name=data.nodes[epoch].name,
                alive=True,
                started_at=data.nodes[epoch].started_at,
                ended_at=None,
                running_count=len(data.held.get(epoch, ())),
            )
            for epoch in epochs[:limit]
        ]

    async def leases(self) -> Sequence[LeaseRow]:
        """List the leases that living nodes hold, by name."""
        return list_leases(self._data)

    async def queues(self) -> Sequence[QueueRow]:
        """List the queues in which runs wait for a claim, by name."""
        oldest: dict[str, int] = {}
        heads = ((queue, at) for queue, _, at, _ in self._data.ready.heads())
        for queue, available_at in (*heads, *self._overdue()):
            oldest[queue] = min(available_at, oldest.get(queue, available_at))
        return [QueueRow(queue=queue, oldest_at=oldest[queue]) for queue in sorted(oldest)]

    def _overdue(self) -> Iterator[tuple[str, int]]:
        """Yield (queue, available at) of runs whose time has come and that no claim has looked at."""
        now = now_us()
        first = self._data.timed.first_order()
        if first is not None and first[0] <= now:
            records = (run.record for run in self._data.live.values() if run.place is Place.TIMED)
            yield from ((one.queue, one.available_at) for one in records if one.available_at <= now)

    async def queue_counts(self) -> Sequence[tuple[str, str, int]]:
        """Return (job id, queue, number of runs) of what waits there; see `ReadStore`."""
        waiting = (run.record for run in self._data.live.values() if run.place in (Place.READY, Place.PARKED))
        counts = Counter((record.job_id, record.queue) for record in waiting)
        return sorted((job_id, queue, count) for (job_id, queue), count in counts.items())

    async def stranded(self) -> Sequence[StrandedRow]:
        """List runs that no living node takes, by job and queue."""
        return stranded(self._data.ready.heads(), [node.takes for node in self._data.nodes.values()])

    async def watermarks(self, jobs: Sequence[str] | None = None) -> Sequence[tuple[str, int]]:
        """Return how far these jobs have come; see `ReadStore`."""
        wanted = sorted(self._data.jobs) if jobs is None else jobs
        ends = ((job_id, unbroken_end(self._data.done.get(job_id, ()))) for job_id in wanted)
        return [(job_id, end) for job_id, end in ends if end is not None]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class MemoryStoreReader(MemoryReads):
    """Reads the data of stores in memory without being a node."""

    async def open(self) -> None:
        """Do nothing: there is nothing to open."""

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _age_of(row: BackfillRow) -> tuple[int, str]:
    return row.created_at, row.backfill_id


def _matches(record: RunRecord, which: RunFilter) -> bool:
    return (
        (which.created_from is None or record.created_at >= which.created_from)
        and (which.created_to is None or record.created_at < which.created_to)
        and which.job_id in (None, record.job_id)
        and which.backfill_id in (None, record.backfill_id)
        and (not which.states or record.state in which.states)
    )
