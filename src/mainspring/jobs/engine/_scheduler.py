"""Turns time that passed into runs: walks each job's schedule and moves its cursor in the store.

Any number of nodes may do so at once: a cursor moves by compare-and-set, and whoever loses takes over the row
that the winner left.

A job that was away for years is caught up a part at a time: while many of its scheduled runs have not ended, its
cursor is held where it is. So the store keeps what is being worked on, and not every minute of ten years.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from msgspec import structs

from mainspring.base import encode_json, from_us, new_id, to_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.model import (
    DataInterval,
    Missed,
    MissedPlan,
    RangeSet,
    RunState,
    Schedule,
    first_cursor,
    jitter_of,
    plan_missed,
)
from mainspring.jobs.stores import (
    Advance,
    AdvanceAnswer,
    JobRegistration,
    JobRow,
    JobStore,
    NewRun,
    RunFilter,
    RunKind,
    RunRecord,
)

log = logging.getLogger(__name__)

_BATCH = 500  # jobs in one transaction
_TRIED_AGAIN = 60.0  # seconds until a schedule is looked at again whose fires cannot be told
_UNASKED = 3600.0  # seconds between two reads of rows that nobody said to have changed, at least
_PER_JOB = 200  # occurrences of one job in one transaction

MOST_AHEAD: Final = 1_000
"""Scheduled runs of one job that may be unfinished before its past waits; one whole transaction more at most."""

_UNFINISHED: Final = frozenset(state for state in RunState if not state.terminal)


class _Plan(NamedTuple):
    """What becomes of the time that passed for a schedule, as the store wants it."""

    cursor: int
    due: int | None
    fires: tuple[tuple[int, int | None, int | None], ...]  # each with its interval
    skipped: tuple[tuple[int, int], ...]


_Plans = dict[tuple[object, ...], _Plan]
"""The plans of one step by what they depend on: jobs on one schedule, as most of many are, share theirs."""


class Scheduler:
    """Creates the runs of scheduled jobs when their time has come.

    Args:
        apply: gives a job the schedule that its row has, and returns it; None for jobs that the app does not know.
        on_created: called with the number of runs that were created.
    """

    def __init__(
        self,
        store: JobStore,
        definitions: Mapping[str, JobDefinition],
        *,
        poll_interval: float,
        apply: Callable[[JobRow], JobDefinition | None],
        on_created: Callable[[int], None],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._apply = apply
        self._poll_interval = poll_interval
        self._on_created = on_created
        self._rows: dict[str, JobRow] = {}
        self._due: list[tuple[int, str]] = []
        self._due_at: dict[str, int] = {}  # what counts of the heap
        self._held: dict[str, int] = {}  # jobs whose past waits, and how many ends are worth another look
        self._wake = asyncio.Event()
        self._reload = asyncio.Event()

    @property
    def held_jobs(self) -> frozenset[str]:
        """Jobs that wait for some of their runs to end before more of their past is made into runs."""
        return frozenset(self._held)

    def take(self, rows: Iterable[JobRow]) -> None:
        """Go on from these rows, as a registration or a change returned them."""
        for row in rows:
            self._put(row)
        self._wake.set()

    def changed(self) -> None:
        """Read the rows again: somebody moved, paused or steered something."""
        self._reload.set()

    def ended(self, record: RunRecord) -> None:
        """Note that a run has ended; a job that waited for enough of them goes on."""
        left = self._held.get(record.job_id)
        if left is None or record.kind is not RunKind.SCHEDULE or not record.state.terminal:
            return
        self._held[record.job_id] = left - 1
        if left <= 1 and record.job_id in self._due_at:
            self._set_due(record.job_id, self._store.now())
            self._wake.set()

    async def run(self) -> None:
        """Advance schedules for ever; ends by cancellation."""
        await keep_doing(self._step, self._wake, what="advance schedules")

    async def follow(self) -> None:
        """Read the rows whenever they change, also for an app that advances none; ends by cancellation."""
        await self._reload.wait()  # the registration has just told how they stand
        await keep_doing(self._read, self._reload, what="read schedules")

    async def _read(self) -> float:
        self.take(await self._store.jobs())
        return max(_UNASKED, self._poll_interval)

    async def _step(self) -> float:
        await self._advance_due()
        return self._pause()

    def _put(self, row: JobRow) -> None:
        definition = self._apply(row)
        if definition is None or definition.schedule is None:
            self._due_at.pop(row.job_id, None)
            return
        self._rows[row.job_id] = row
        if row.paused:
            self._set_due(row.job_id, None)
        elif row.cursor is None:  # somebody's own SQL gave it its first schedule: it begins now
            self._set_due(row.job_id, self._store.now())
        else:  # of our own: the stored one may be that of other code, with another delay
            self._set_due(row.job_id, self._due_after(definition, row.cursor))

    def _due_after(self, definition: JobDefinition, cursor: int) -> int | None:
        """Return when a job is due; never, if somebody's own SQL gave it a cursor that is no instant."""
        try:
            return due_after(definition, cursor)
        except InvalidArgumentError as error:
            log.error("job %s has a cursor that is no instant: its schedule rests: %s", definition.job_id, error)
            return None

    def _moved(self, command: Advance, answer: AdvanceAnswer) -> None:
        if answer.row is None:
            log.error("job %s is gone from the store: its schedule rests until it is registered again", command.job_id)
        elif answer.applied and not answer.row.paused:
            self._rows[command.job_id] = answer.row
            self._set_due(command.job_id, command.next_fire_at)
        else:
            self._put(answer.row)

    def _set_due(self, job_id: str, due: int | None) -> None:
        """Note when a job is due; what the heap held of it before is stale from now on."""
        if due is None:
            self._due_at.pop(job_id, None)
        elif self._due_at.get(job_id) != due:
            self._due_at[job_id] = due
            heapq.heappush(self._due, (due, job_id))

    def _pause(self) -> float:
        if not self._due:
            return self._poll_interval
        return min(self._poll_interval, (self._due[0][0] - self._store.now()) / 1e6)

    async def _advance_due(self) -> None:
        now = self._store.now()
        ready = self._take_due(now)
        if not ready:
            return
        try:
            commands = [await self._unmerged(one, now) for one in self._planned(ready, now)]
            commands = [one for one in commands if not await self._is_held(one, now)]
            answers = await self._store.advance(commands) if commands else ()
        except BaseException:
            for job_id in ready:
                self._set_due(job_id, now)
            raise
        for command, answer in zip(commands, answers, strict=True):
            self._moved(command, answer)
        created = sum(answer.created_count for answer in answers)
        if created:
            self._on_created(created)

    def _planned(self, ready: Iterable[str], now: int) -> list[Advance]:
        plans: _Plans = {}
        planned: list[Advance] = []
        for job_id in ready:
            try:
                planned.append(self._advance_of(job_id, now, plans))
            except Exception:  # supervisor: a schedule that cannot be advanced keeps no other from its time
                log.exception("the schedule of job %s cannot be advanced; tried again in %g s", job_id, _TRIED_AGAIN)
                self._set_due(job_id, now + int(_TRIED_AGAIN * 1e6))
        return planned

    async def _unmerged(self, command: Advance, now: int) -> Advance:
        """Let a merged run leave out what has succeeded, as in a backfill: it becomes one on each side of that."""
        one = self._definitions[command.job_id]
        span = _merged_span(one, command)
        if span is None:
            return command
        done = await self._store.done(command.job_id, *span)
        succeeded = RangeSet((part.start, part.end) for part in done if part.state == "succeeded")
        parts = tuple(islice(succeeded.gaps(*span), _PER_JOB))
        cursor = parts[-1][1] if len(parts) == _PER_JOB else command.cursor_to or span[1]
        plan = _Plan(cursor, due_after(one, cursor), tuple((end, start, end) for start, end in parts), ())
        runs = tuple(_runs_of(one, plan, now))
        return structs.replace(command, cursor_to=plan.cursor, next_fire_at=plan.due, runs=runs)

    async def _is_held(self, command: Advance, now: int) -> bool:
        """Tell whether a job has to wait with its past; then it is looked at again when enough runs have ended."""
        self._held.pop(command.job_id, None)
        if len(command.runs) < _PER_JOB:  # nothing is left behind it
            return False
        most = max(MOST_AHEAD, self._definitions[command.job_id].max_instances * 2)
        # twice as many, since runs that people asked for lie between
        page = RunFilter(job_id=command.job_id, states=_UNFINISHED, limit=2 * most)
        unfinished = sum(run.kind is RunKind.SCHEDULE for run in await self._store.runs(page))
        if unfinished < most:
            return False
        self._held[command.job_id] = unfinished - most // 2
        self._set_due(command.job_id, now + int(self._poll_interval * 1e6))
        return True

    def _take_due(self, now: int) -> list[str]:
        """Return jobs whose time has come, and forget when that was."""
        ready: list[str] = []
        while self._due and self._due[0][0] <= now and len(ready) < _BATCH:
            due, job_id = heapq.heappop(self._due)
            if self._due_at.get(job_id) == due:
                del self._due_at[job_id]
                ready.append(job_id)
        return ready

    def _advance_of(self, job_id: str, now: int, plans: _Plans) -> Advance:
        one, row = self._definitions[job_id], self._rows[job_id]
        begins = one.start_at if row.cursor is None else None
        asked = (one.schedule, row.cursor, begins, one.delay, one.missed, one.max_lookback, one.grace)
        plan = plans.get(asked)
        if plan is None:
            plan = plans[asked] = _plan(one, row, now)
        return Advance(
            job_id=job_id,
            version=row.version,
            cursor_from=row.cursor,
            cursor_to=plan.cursor,
            next_fire_at=plan.due,
            runs=tuple(_runs_of(one, plan, now)),
            skipped=plan.skipped,
            why=f"missed={one.missed.value!r}",
        )


def _merged_span(definition: JobDefinition, command: Advance) -> tuple[int, int] | None:
    """Return the ends of a run over several intervals; None for any other."""
    if definition.missed is not Missed.MERGE or definition.schedule is None or not command.runs:
        return None
    start, end = command.runs[0].interval_start, command.runs[0].interval_end
    if start is None or end is None:
        return None
    before = definition.schedule.previous_fire(from_us(end - 1))
    return None if before is None or to_us(before) <= start else (start, end)


def _plan(definition: JobDefinition, row: JobRow, now: int) -> _Plan:
    plan = _missed(definition, row, now)
    return _Plan(
        cursor=to_us(plan.cursor),
        due=due_after(definition, to_us(plan.cursor)),
        fires=tuple((to_us(one.fire), *_ends(one.interval)) for one in plan.runs),
        skipped=tuple((to_us(one.start), to_us(one.end)) for one in plan.skipped),
    )


def _missed(definition: JobDefinition, row: JobRow, now: int) -> MissedPlan:
    schedule, cursor = definition.schedule, row.cursor
    if schedule is None:  # such rows are never due
        raise InvalidArgumentError(argument="job", value=row.job_id, expected="a job with a schedule")
    if cursor is None:
        return MissedPlan((), (), beginning_of(definition, schedule, from_us(now)))
    return plan_missed(
        schedule,
        cursor=from_us(cursor),
        now=from_us(now - int(definition.delay * 1e6)),
        policy=definition.missed,
        max_lookback=definition.max_lookback,
        grace=definition.grace,
        limit=_PER_JOB,
    )


def _ends(interval: DataInterval | None) -> tuple[int | None, int | None]:
    return (None, None) if interval is None else (to_us(interval.start), to_us(interval.end))


def _runs_of(definition: JobDefinition, plan: _Plan, now: int) -> Iterable[NewRun]:
    for number, (fire, start, end) in enumerate(plan.fires, 1):
        # the newest one is live; what is caught up before it goes in order
        live = number == len(plan.fires) and (plan.due is None or plan.due > now)
        jitter = jitter_of(definition.job_id, fire, definition.jitter) if live else 0.0
        available_at = fire + int((definition.delay + jitter) * 1e6)
        state = definition.first_state
        if state is RunState.AVAILABLE and available_at > now:
            state = RunState.SCHEDULED
        yield NewRun(
            run_id=new_id(),
            job_id=definition.job_id,
            kind=RunKind.SCHEDULE,
            state=state,
            available_at=available_at,
            scheduled_at=fire,
            interval_start=start,
            interval_end=end,
            queue=definition.queue,
            priority=definition.priority,
            limits=definition.limits,
            skips=definition.overlap == "skip",
        )


def due_after(definition: JobDefinition, cursor: int) -> int | None:
    """Return when the fire time after `cursor` is due: its delay later; None when there is none."""
    if definition.schedule is None:
        return None
    fire = definition.schedule.next_fire(from_us(cursor))
    return None if fire is None else to_us(fire) + int(definition.delay * 1e6)


def starts_of(definitions: Mapping[str, JobDefinition]) -> dict[str, datetime]:
    """Return where the first interval begins, of those jobs that say it with `start_at`."""
    return {
        job_id: first_cursor(one.schedule, one.start_at, start_at=one.start_at)
        for job_id, one in definitions.items()
        if one.schedule is not None and one.start_at is not None
    }


def beginning_of(definition: JobDefinition, schedule: Schedule, now: datetime) -> datetime:
    """Return where the cursor starts of a job that gets its first schedule now."""
    return first_cursor(schedule, now, start_at=definition.start_at, delay=definition.delay)


def registration_of(definition: JobDefinition, now: int) -> JobRegistration:
    """Return a job as the store registers it: a new one starts at `start_at`, or now."""
    schedule = definition.schedule
    if schedule is None:
        return JobRegistration(
            job_id=definition.job_id, schedule=None, cursor=None, next_fire_at=None, was=definition.was
        )
    cursor = to_us(beginning_of(definition, schedule, from_us(now)))
    return JobRegistration(
        job_id=definition.job_id,
        schedule=encode_json(schedule.spec()),
        cursor=cursor,
        next_fire_at=due_after(definition, cursor),
        was=definition.was,
        limits=definition.limits,
        priority=definition.priority,
    )
