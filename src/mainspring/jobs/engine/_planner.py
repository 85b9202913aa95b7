"""Walks backfills: keeps a bounded number of a backfill's runs alive until its range is used up.

Runs are made lazily, a step at a time; a step moves the stored cursor by compare-and-set, so that any node
may go on where another one died. Ranges that the done-set already covers are jumped over.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, Literal

from mainspring.base import from_us, new_id, to_us
from mainspring.errors import ClosedError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.engine._written import WrittenIntervals, as_written
from mainspring.jobs.model import DataInterval, RangeSet, RunState
from mainspring.jobs.stores import (
    NEXT_GENERATION,
    BackfillRow,
    BackfillState,
    BackfillStep,
    JobStore,
    NewRun,
    ReadStore,
    RunFilter,
    RunKind,
    RunRecord,
    backfill_key,
    ran_in,
)

BACKFILL_PRIORITY: Final = -10  # below live work of the same job, and of all that asked for no lower priority
_AHEAD_MIN: Final = 64  # runs that are kept alive at least, so that a claim always finds some
_AHEAD_MAX: Final = 512
_OPEN: Final = (BackfillState.RUNNING, BackfillState.PAUSED)
_COUNTED_AT_ONCE: Final = 1_000
_QUIET: Final = 0.05  # seconds between two looks at one backfill
_IDLE: Final = 2  # polls that pass between two looks while no backfill runs: a heartbeat tells of a new one


class BackfillPlanner:
    """Plans the backfills of the jobs that this app knows.

    Args:
        on_created: called when runs were made.
    """

    def __init__(
        self,
        store: JobStore,
        definitions: Mapping[str, JobDefinition],
        *,
        written: WrittenIntervals,
        poll_interval: float,
        on_created: Callable[[], None],
    ) -> None:
        self._store = store
        self.written = written
        self._definitions = definitions
        self._poll_interval = poll_interval
        self._on_created = on_created
        self._until_look: dict[str, tuple[str, int]] = {}  # by backfill: its job, and the ends to wait for
        self._wake = asyncio.Event()
        self._changed: asyncio.Future[None] | None = None

    def changed(self) -> None:
        """Look again: a backfill was created, paused or resumed."""
        self._wake.set()

    def ended(self, record: RunRecord) -> None:
        """Note that a run of a backfill has ended; looks again when enough of them have."""
        if record.backfill_id is None or not record.state.terminal:
            return
        if record.backfill_id not in self._until_look:
            self._wake.set()
        for backfill_id, (job_id, left) in self._until_look.items():
            if job_id == record.job_id:  # not only the run's own backfill: others may have joined it
                self._until_look[backfill_id] = (job_id, left - 1)
                if left <= 1:
                    self._wake.set()

    async def run(self) -> None:
        """Plan for ever; ends by cancellation."""
        await keep_doing(self._look, self._wake, what="plan backfills")

    async def _look(self) -> float:
        rows = await self._store.backfills(states=frozenset({BackfillState.RUNNING}), limit=1000)
        self._until_look.clear()
        self.written.keep({row.backfill_id for row in rows if not row.planned})
        for row in rows:
            if row.job_id in self._definitions:
                await self._step(row)
        self._tell()
        await asyncio.sleep(_QUIET)
        return self._poll_interval * (1 if rows else _IDLE)

    def close(self) -> None:
        """Tell those who wait for a change that there will be none."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_exception(ClosedError(what="the app"))
            self._changed.exception()  # whoever waits gets it; nobody may be left to

    def next_change(self) -> "asyncio.Future[None]":
        """Return a future that is resolved after the next look at the backfills."""
        if self._changed is None or self._changed.done():
            self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    def _tell(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _step(self, row: BackfillRow) -> None:
        """Fill one backfill up to its look-ahead."""
        definition = self._definitions[row.job_id]
        if not row.planned and not await self._has_its_turn(row):
            return
        ahead = min(max(4 * row.max_parallel, _AHEAD_MIN), _AHEAD_MAX)
        if not row.planned and row.live_count <= ahead // 2:
            row = await self._store.step_backfill(await self._next_step(definition, row, ahead - row.live_count))
            self._on_created()
        low_water = row.live_count if row.planned else row.live_count - ahead // 2
        self._until_look[row.backfill_id] = (row.job_id, max(low_water, 1))

    async def _has_its_turn(self, row: BackfillRow) -> bool:
        """Tell whether those that this backfill waits for have ended.

        And so have the runs that began before that: to join one of them would leave what it has read as it was.
        """
        if not row.after:
            return True
        found = [await self._store.backfill(backfill_id) for backfill_id in row.after]
        before = [one for one in found if one is not None]
        if any(one.state in _OPEN or one.live_count > 0 for one in before):
            return False
        ended_at = max([await self._ended_at(one) for one in before], default=0)
        running = RunFilter(job_id=row.job_id, states=frozenset({RunState.RUNNING}), limit=10_000)
        return not any(
            (run.started_at or 0) <= ended_at and row.start <= (run.interval_start or row.end) < row.end
            for run in await self._store.runs(running)
        )

    async def _ended_at(self, row: BackfillRow) -> int:
        """Return when the last run of a backfill ended: one that was stopped leaves those to their end that run."""
        ended_at = row.finished_at or 0
        if row.state is not BackfillState.FINISHED:
            newest = await self._store.runs(RunFilter(backfill_id=row.backfill_id, limit=2 * _AHEAD_MAX))
            ended_at = max([ended_at, *(run.finished_at or 0 for run in newest)])
        return ended_at

    async def _next_step(self, definition: JobDefinition, row: BackfillRow, limit: int) -> BackfillStep:
        wanted = await self.wanted(definition, row)
        intervals = list(islice(wanted, limit))
        planned = len(intervals) < limit
        ascending = row.order == "asc"
        if planned:
            cursor = row.end if ascending else row.start
        else:
            cursor = to_us(intervals[-1].end if ascending else intervals[-1].start)
        runs = tuple(self._run_of(definition, row, interval) for interval in intervals)
        return BackfillStep(
            backfill_id=row.backfill_id, cursor_from=row.cursor, cursor_to=cursor, runs=runs, planned=planned
        )

    async def count(self, row: BackfillRow) -> int:
        """Return how many intervals a backfill would run now; leaves room to others between many of them."""
        count = 0
        for _ in await self.wanted(self._definitions[row.job_id], row):
            count += 1
            if count % _COUNTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return count

    async def wanted(self, definition: JobDefinition, row: BackfillRow) -> Iterator[DataInterval]:
        """Return the intervals still to be handled, lazily, in the backfill's order."""
        start, end = (row.cursor, row.end) if row.order == "asc" else (row.start, row.cursor)
        if row.after:
            ranges = await self._ran_before(definition, row, start, end)
            end = min(end, self._last_due(definition))
        else:
            ranges = await ranges_to_run(self._store, row.job_id, (start, end), row.reprocess)
        intervals = touching(definition, ranges, (start, end), row.order)
        written = await self.written.of(definition, row)
        return as_written(intervals, written, row.order) if written else intervals

    async def _ran_before(
        self, definition: JobDefinition, row: BackfillRow, start: int, end: int
    ) -> list[tuple[int, int]]:
        """Return the ranges of [start, end) whose needs have succeeded in the backfills before this one."""
        touched: list[tuple[int, int]] = []
        for backfill_id in row.after:
            before = await self._store.backfill(backfill_id)
            needs = [need for need in definition.needs if before is not None and need.job_id == before.job_id]
            for shift in {int(need.offset * 1e6) for need in needs}:
                ran = await self._store.done(ran_in(backfill_id), start + shift, end + shift)
                touched += [(max(one.start - shift, start), min(one.end - shift, end)) for one in ran]
        return list(RangeSet(touched))

    def _last_due(self, definition: JobDefinition) -> int:
        """Return the end of the last interval whose time has come: later ones are left to the schedule."""
        schedule = definition.schedule
        last = None
        if schedule is not None:
            last = schedule.previous_fire(from_us(self._store.now() - int(definition.delay * 1e6)))
        return 0 if last is None else to_us(last)

    def _run_of(self, definition: JobDefinition, row: BackfillRow, interval: DataInterval) -> NewRun:
        return NewRun(
            run_id=new_id(),
            job_id=row.job_id,
            kind=RunKind.BACKFILL,
            state=definition.first_state,
            available_at=self._store.now(),
            scheduled_at=to_us(interval.end),
            interval_start=to_us(interval.start),
            interval_end=to_us(interval.end),
            generation=NEXT_GENERATION,
            queue=definition.queue,
            priority=min(definition.priority, 0) + BACKFILL_PRIORITY,
            config=row.config,
            config_as_of=to_us(interval.start) if row.config_at == "interval" else None,
            limits=((backfill_key(row.backfill_id), row.max_parallel),),
            backfill_id=row.backfill_id,
        )


def walk(
    definition: JobDefinition, ranges: list[tuple[int, int]], order: Literal["asc", "desc"]
) -> Iterator[DataInterval]:
    """Yield the whole intervals of a job inside the ranges, oldest or newest first."""
    schedule = definition.schedule
    if schedule is None:
        return
    for start, end in ranges if order == "asc" else reversed(ranges):
        step = schedule.intervals if order == "asc" else schedule.intervals_reversed
        yield from step(from_us(start), from_us(end))


async def ranges_to_run(
    store: ReadStore, job_id: str, bounds: tuple[int, int], reprocess: Literal["missing", "failed", "all"]
) -> list[tuple[int, int]]:
    """Return what a backfill within `bounds` has to run, as the job's done-set is now."""
    if reprocess == "all":
        return [bounds]
    start, end = bounds
    done = await store.done(job_id, start, end)
    if reprocess == "failed":
        return [(max(one.start, start), min(one.end, end)) for one in done if one.state == "failed"]
    return list(RangeSet((one.start, one.end) for one in done if one.state == "succeeded").gaps(start, end))


def touching(
    definition: JobDefinition, ranges: list[tuple[int, int]], bounds: tuple[int, int], order: Literal["asc", "desc"]
) -> Iterator[DataInterval]:
    """Yield, each once, the whole intervals inside `bounds` that share time with a range.

    The edges of the ranges need not be those of intervals: the schedule may have been another one.
    """
    schedule = definition.schedule
    if schedule is None:
        return
    low, high = from_us(bounds[0]), from_us(bounds[1])
    for start, end in ranges if order == "asc" else reversed(ranges):
        first = max(schedule.previous_fire(from_us(start)) or low, low)
        last = min(schedule.next_fire(from_us(end - 1)) or high, high)
        step = schedule.intervals if order == "asc" else schedule.intervals_reversed
        for interval in step(first, last):
            yield interval
            low, high = (interval.end, high) if order == "asc" else (low, interval.start)
