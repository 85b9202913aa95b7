"""Brings runs in memory that have not ended under the limits, and the priority, that their job has now."""

from collections.abc import Sequence

from msgspec.structs import replace

from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import JobRegistration
from mainspring.jobs.stores._limits import job_key
from mainspring.jobs.stores._memory_data import LiveRun, MemoryData, Place
from mainspring.jobs.stores._records import COUNTED


def rename_limits(data: MemoryData, old: str, new: str) -> None:
    """Count the runs of a renamed job, those that hold a place as well, under its new name."""
    names = {job_key(old): job_key(new)}
    for run in data.live.values():
        run.limits = tuple((names.get(key, key), most) for key, most in run.limits)
        if run.parked in names:
            data.move(run, Place.PARKED, key=names[run.parked])
    for claim, kept in data.kept.items():
        data.kept[claim] = kept._replace(keys=tuple(names.get(key, key) for key in kept.keys))
    data.counters.update({names[key]: data.counters.pop(key) for key in names if key in data.counters})


def renew_backlog(data: MemoryData, jobs: Sequence[JobRegistration], now: int) -> bool:
    """Give runs the limits and priorities of their jobs; tell whether one had others."""
    wanted = {job.job_id: (job.limits, job.priority) for job in jobs if job.limits is not None}
    changed = False
    for run in list(data.live.values()):
        limits, priority = wanted.get(run.record.job_id, (None, 0))
        if limits is None or run.occurrence is None or run.record.kind not in COUNTED:
            continue
        if (run.limits, run.record.priority) != (limits, priority):
            _renew(data, run, limits, priority, now)
            changed = True
    return changed


def _renew(data: MemoryData, run: LiveRun, limits: tuple[tuple[str, int], ...], priority: int, now: int) -> None:
    held = run.record.state is RunState.RUNNING
    if not held or [key for key, _ in run.limits] == [key for key, _ in limits]:
        run.limits = limits
    record = replace(run.record, priority=priority)
    data.change(run, record, data.place_of(record, now) if run.place is Place.PARKED else run.place)
