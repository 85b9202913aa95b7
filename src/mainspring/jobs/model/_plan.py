"""The next fires of a schedule as people want to see them, with what the zone does around them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mainspring.jobs.model._interval import DataInterval, zone_of
from mainspring.jobs.model._schedule import Schedule


@dataclass(frozen=True, slots=True)
class PlannedFire:
    """A fire in UTC and on the wall clock of the job's zone.

    Attributes:
        mark: "" or what the zone does between this fire and the one before: "clock forward 1:00",
            "clock back 1:00"; "(second)" is added for a wall time that was shown before.
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
        fires.append(PlannedFire(fire, local, schedule.interval_at(fire), _mark(reference, local)))
        before, fire = fire, schedule.next_fire(fire)
    return fires


def _mark(before: datetime, local: datetime) -> str:
    shift = (local.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
    second = " (second)" if local.fold else ""
    if not shift:
        return second.strip()
    minutes = int(abs(shift).total_seconds() // 60)
    direction = "forward" if shift > timedelta() else "back"
    return f"clock {direction} {minutes // 60}:{minutes % 60:02}{second}"
