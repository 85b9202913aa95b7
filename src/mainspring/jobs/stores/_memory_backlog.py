"""Brings runs in memory that have not ended under the limits, and the priority, that their job has now."""

from collections.abc import Sequence

from msgspec.structs import replace

from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import JobRegistration
from mainspring.jobs.stores._limits import Registered, job_key
from mainspring.jobs.stores._memory_data import LiveRun, MemoryData, Place


def rename_limits(data: MemoryData, old: str, new: str) -> None:
    """Count the runs of a renamed job, those that hold a place as well, under its new name."""
    if old in data.registered:
        data.registered[new] = data.registered.pop(old)
    names = {job_key(old): job_key(new)}
    for run in data.live.values():
        run.limits = tuple((names.get(key, key), most) for key, most in run.limits)
        if run.parked in names:
            data.move(run, Place.PARKED, key=names[run.parked])
    for claim, kept in data.kept.items():
        data.kept[claim] = kept._replace(keys=tuple(names.get(key, key) for key in kept.keys))
    data.counters.update({names[key]: data.counters.pop(key) for key in names if key in data.counters})


def renew_backlog(data: MemoryData, jobs: Sequence[JobRegistration], now: int) -> bool:
    """Remember what the code says, and give it to the runs of those jobs that had another; tell whether one had."""
    said = {job.job_id: None if job.limits is None else Registered(job.limits, job.priority) for job in jobs}
    changed = {job_id: new for job_id, new in said.items() if new != data.registered.get(job_id)}
    for job_id, new in changed.items():
        if new is None:
            del data.registered[job_id]
        else:
            data.registered[job_id] = new
    if changed:
        for run in list(data.live.values()):
            new = changed.get(run.record.job_id)
            if new is not None and run.is_counted:
                _renew(data, run, new, now)
    return bool(changed)


def _renew(data: MemoryData, run: LiveRun, new: Registered, now: int) -> None:
    if (run.limits, run.record.priority) == new:
        return
    if run.record.state is not RunState.RUNNING:
        run.limits = new.limits
    record = replace(run.record, priority=new.priority)
    data.change(run, record, data.place_of(record, now) if run.place is Place.PARKED else run.place)
