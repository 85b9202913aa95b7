"""What people do to schedules in memory: pause, resume, put another one over that of the code."""

import dataclasses

from msgspec.structs import replace

from mainspring.jobs.stores._catalog_records import Advance, JobRow
from mainspring.jobs.stores._memory_data import MemoryData, Place
from mainspring.jobs.stores._records import RunKind
from mainspring.jobs.stores._steering_records import Origin, ScheduleRow, SetSchedule


def set_paused(data: MemoryData, job_id: str, paused: bool, now: int) -> JobRow | None:
    """Hold or free the scheduled runs of a job."""
    row = data.jobs.get(job_id)
    if row is None or row.paused == paused:
        return row
    data.jobs[job_id] = row = replace(row, paused=paused)
    for run in data.live.values():
        record = run.record
        if record.job_id == job_id and record.kind is RunKind.SCHEDULE and run.place is not Place.PARKED:
            data.move(run, data.place_of(record, now))
    data.version += 1
    return row


def set_schedule(data: MemoryData, command: SetSchedule, now: int) -> JobRow | None:
    """Put a schedule over that of the code, or take it away; nothing changes when it is there already."""
    row = data.jobs.get(command.job_id)
    if row is None or row.override == command.override:
        return row
    cursor = command.cursor if row.cursor is None else row.cursor
    if command.override is None and row.schedule is None:
        cursor = None  # as before any schedule: the next one begins when it comes
    row = replace(row, override=command.override, cursor=cursor, version=row.version + 1, next_fire_at=None)
    data.jobs[command.job_id] = row
    remember_schedule(data, row, "reset" if command.override is None else "override", now)
    data.version += 1
    return row


def remember_schedule(data: MemoryData, row: JobRow, origin: Origin, now: int) -> None:
    """Write down the version that a job's schedule has got."""
    version = ScheduleRow(
        job_id=row.job_id,
        version=row.version,
        schedule=row.override or row.schedule,
        since=row.cursor,
        created_at=now,
        origin=origin,
    )
    data.schedules.setdefault(row.job_id, []).append(version)


def begin_schedule(data: MemoryData, advance: Advance) -> None:
    """Write down where a version begins that had no cursor until now."""
    if advance.cursor_from is not None:
        return
    versions = data.schedules.get(advance.job_id, [])
    for index, one in enumerate(versions):
        if one.version == advance.version:
            versions[index] = dataclasses.replace(one, since=advance.cursor_to)


def list_schedules(data: MemoryData, job_id: str, before: int | None, limit: int) -> list[ScheduleRow]:
    """Return the versions of a job's schedule, newest first."""
    rows = [row for row in data.schedules.get(job_id, ()) if before is None or row.version < before]
    return rows[::-1][:limit]
