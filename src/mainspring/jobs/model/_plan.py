"""The next fires of a schedule as people want to see them, with what the zone does around them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mainspring.jobs.model._interval import DataInterval, zone_of
from mainspring.jobs.model._schedule import Schedule


@dataclass(frozen=True, slots=True)
class PlannedFire:
    """A fire in UTC and on the wall clock of the job's zone.

    Attributes:
        mark: "" or what the zone does: "clock forward 1:00" or "clock back 1:00" when the offset is not that
            of the fire before; then "(first)" or "(second)" for a wall time that is shown twice, "(moved out
            of the gap)" for one that fires late because the clock jumped over it.
    """

    fire: datetime
    local: datetime
    interval: DataInterval | None
    mark: str


def plan_fires(schedule: Schedule, after: datetime, count: int) -> list[PlannedFire]:
    """Return the next `count` fires strictly after an instant (fewer when the schedule ends)."""
    zone = zone_of(schedule.timezone)
    fires: list[PlannedFire] = []
    before = schedule.previous_fire(after)
    fire = schedule.next_fire(after)
    while fire is not None and len(fires) < count:
        local = fire.astimezone(zone)
        reference = (before or fire).astimezone(zone)
        mark = " ".join(filter(None, (_shift(reference, local), _place(schedule, local))))
        fires.append(PlannedFire(fire, local, schedule.interval_at(fire), mark))
        before, fire = fire, schedule.next_fire(fire)
    return fires


def _shift(before: datetime, local: datetime) -> str:
    shift = _offset(local) - _offset(before)
    if not shift:
        return ""
    minutes = int(abs(shift).total_seconds() // 60)
    direction = "forward" if shift > timedelta() else "back"
    return f"clock {direction} {minutes // 60}:{minutes % 60:02}"


def _place(schedule: Schedule, local: datetime) -> str:
    """Say where the fire lies: in a fold, or at the end of the gap that swallowed its time."""
    if _offset(local.replace(fold=0)) > _offset(local.replace(fold=1)):
        return "(second)" if local.fold else "(first)"
    return "" if schedule.fires_at_wall(local) else "(moved out of the gap)"


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta()
