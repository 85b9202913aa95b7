"""Jobs, cursors, waiting runs and backfills in memory."""

from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from mainspring.base import new_id
from mainspring.errors import UnknownBackfillError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import (
    Advance,
    AdvanceAnswer,
    BackfillRow,
    BackfillState,
    BackfillStep,
    JobRegistration,
    JobRow,
)
from mainspring.jobs.stores._ends import OPEN_BACKFILL
from mainspring.jobs.stores._events import EventKind, happened
from mainspring.jobs.stores._limits import backfill_key
from mainspring.jobs.stores._memory_backlog import rename_limits, renew_backlog
from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._memory_ends import close_backfill, end_backfill
from mainspring.jobs.stores._memory_enqueue import create
from mainspring.jobs.stores._memory_events import keep_events
from mainspring.jobs.stores._memory_schedules import begin_schedule, remember_schedule
from mainspring.jobs.stores._records import RunKind, RunRecord


def register(data: MemoryData, jobs: Sequence[JobRegistration], now: int) -> list[JobRow]:
    """Insert, rename and change jobs, renew the limits of their runs; return them as they then stand."""
    before = dict(data.jobs)
    for job in jobs:  # first, since a job may have today the id that another had
        earlier = None if job.job_id in data.jobs else next((one for one in job.was if one in data.jobs), None)
        if earlier is not None:
            _rename(data, earlier, job.job_id)
    for job in jobs:
        _register(data, job, now)
    renewed = renew_backlog(data, jobs, now)
    if renewed or data.jobs != before:
        data.version += 1
    return [data.jobs[job.job_id] for job in jobs]


def _register(data: MemoryData, job: JobRegistration, now: int) -> None:
    known = data.jobs.get(job.job_id)
    if known is None:
        data.jobs[job.job_id] = JobRow(
            job_id=job.job_id,
            schedule=job.schedule,
            version=1,
            cursor=job.cursor,
            next_fire_at=job.next_fire_at,
            registered_at=now,
        )
        remember_schedule(data, data.jobs[job.job_id], "code", now)
    elif known.schedule != job.schedule and known.override is not None:
        data.jobs[job.job_id] = structs.replace(known, schedule=job.schedule)
    elif known.schedule != job.schedule:
        cursor = job.cursor if known.cursor is None else known.cursor  # a first schedule begins now
        changed = structs.replace(
            known, schedule=job.schedule, version=known.version + 1, cursor=cursor, next_fire_at=None
        )
        data.jobs[job.job_id] = changed
        remember_schedule(data, changed, "code", now)


def _rename(data: MemoryData, old: str, new: str) -> None:
    data.jobs[new] = structs.replace(data.jobs.pop(old), job_id=new)
    for run in data.live.values():
        if run.record.job_id == old:
            data.change(run, structs.replace(run.record, job_id=new), run.place, key=run.parked)
    rename_limits(data, old, new)
    for run_id, record in data.ended.items():
        if record.job_id == old:
            data.ended[run_id] = structs.replace(record, job_id=new)
    for job_id, occurrence in [key for key in data.ended_occurrences if key[0] == old]:
        data.ended_occurrences[new, occurrence] = data.ended_occurrences.pop((job_id, occurrence))
    for job_id, state in [key for key in data.tally if key[0] == old]:
        data.tally[new, state] += data.tally.pop((job_id, state))
    newer = data.done.pop(new, [])  # of calls by the new name
    if old in data.done:
        data.done[new] = data.done.pop(old)
    data.paint((new, *one) for one in newer)
    if old in data.schedules:
        data.schedules[new] = [replace(one, job_id=new) for one in data.schedules.pop(old)]
    if old in data.configs:
        data.configs[new] = {number: replace(one, job_id=new) for number, one in data.configs.pop(old).items()}
    for backfill_id, row in data.backfills.items():
        if row.job_id == old:
            data.backfills[backfill_id] = replace(row, job_id=new)
    for events in data.events.values():
        events[:] = [replace(one, job_id=new) if one.job_id == old else one for one in events]


def advance(data: MemoryData, commands: Sequence[Advance], now: int) -> list[AdvanceAnswer]:
    """Move cursors and create what lies between."""
    return [_advance(data, command, now) for command in commands]


def _advance(data: MemoryData, command: Advance, now: int) -> AdvanceAnswer:
    row = data.jobs.get(command.job_id)
    if row is None or (row.version, row.cursor) != (command.version, command.cursor_from):
        return AdvanceAnswer(applied=False, row=row)
    row = structs.replace(row, cursor=command.cursor_to, next_fire_at=command.next_fire_at)
    data.jobs[command.job_id] = row
    begin_schedule(data, command)
    created = sum(create(data, run, now).outcome == "created" for run in command.runs)
    skipped = [part for span in command.skipped for part in data.parts_to_skip(command.job_id, span)]
    for start, end in skipped:
        record = _skip_record(command.job_id, start, end, now)
        data.add_ended(record)
        why = happened(EventKind.SKIPPED, why=command.why or None)
        keep_events(data, [(now, command.job_id, record.run_id, why)])
    data.paint((command.job_id, *span, "skipped") for span in command.skipped)
    return AdvanceAnswer(applied=True, row=row, created_count=created)


def _skip_record(job_id: str, start: int, end: int, now: int) -> RunRecord:
    return RunRecord(
        run_id=new_id(),
        job_id=job_id,
        kind=RunKind.SCHEDULE,
        state=RunState.SKIPPED,
        queue="default",
        priority=0,
        generation=1,
        attempt=0,
        rescues=0,
        fence=0,
        epoch=None,
        created_at=now,
        available_at=now,
        interval_start=start,
        interval_end=end,
        finished_at=now,
    )


def settle_waiting(data: MemoryData, released: Sequence[str], blocked: Sequence[tuple[str, str]], now: int) -> None:
    """Free waiting runs, and note why others still wait."""
    for run_id in released:
        run = data.live.get(run_id)
        if run is not None and run.record.state is RunState.WAITING:
            available_at = max(run.record.available_at, now)
            record = structs.replace(run.record, state=RunState.AVAILABLE, blocked_by=None, available_at=available_at)
            data.change(run, record, data.place_of(record, now))
    for run_id, reason in blocked:
        run = data.live.get(run_id)
        if run is not None and run.record.state is RunState.WAITING:
            data.change(run, structs.replace(run.record, blocked_by=reason), run.place)


def create_backfills(data: MemoryData, rows: Sequence[BackfillRow]) -> None:
    """Store new backfills; one that is there already stays as it is."""
    for row in rows:
        data.backfills.setdefault(row.backfill_id, row)
    data.version += 1


def step_backfill(data: MemoryData, step: BackfillStep, now: int) -> BackfillRow:
    """Move the cursor and create or join runs, if the backfill still stands where the step begins.

    Raises:
        UnknownBackfillError: there is none of this id.
    """
    row = _backfill(data, step.backfill_id)
    if row.state is not BackfillState.RUNNING or row.planned or row.cursor != step.cursor_from:
        return row
    # each run that was made or joined counts for this backfill when it ends; what has succeeded since the step was
    # planned is left out
    wanted = [run for run in step.runs if row.reprocess == "all" or not data.has_succeeded(run)]
    created = sum(create(data, run, now).outcome != "existing" for run in wanted)
    data.backfills[step.backfill_id] = replace(
        row,
        cursor=step.cursor_to,
        planned=step.planned,
        created_count=row.created_count + created,
        live_count=row.live_count + created,
    )
    return close_backfill(data, step.backfill_id, now)


def set_backfill_state(data: MemoryData, backfill_id: str, state: BackfillState, now: int) -> BackfillRow:
    """Pause, resume or end a backfill; one that has ended stays ended.

    Raises:
        UnknownBackfillError: there is none of this id.
    """
    row = _backfill(data, backfill_id)
    if row.state not in OPEN_BACKFILL or row.state is state:
        return row
    if state not in OPEN_BACKFILL:
        return end_backfill(data, backfill_id, state, now)
    data.backfills[backfill_id] = replace(row, state=state)
    if state is BackfillState.RUNNING:
        data.unpark(backfill_key(backfill_id), row.max_parallel, now)
    data.version += 1
    return close_backfill(data, backfill_id, now)


def _backfill(data: MemoryData, backfill_id: str) -> BackfillRow:
    row = data.backfills.get(backfill_id)
    if row is None:
        raise UnknownBackfillError(backfill_id=backfill_id)
    return row
