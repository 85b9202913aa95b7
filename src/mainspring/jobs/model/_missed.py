"""What becomes of time that passed: which intervals run, which are skipped, and where the cursor goes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mainspring.base import seconds_hint
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model._interval import DataInterval
from mainspring.jobs.model._schedule import Schedule


class Missed(StrEnum):
    """What to do with fire times that nobody was there for."""

    ALL = "all"  # each of them, oldest first
    LATEST = "latest"  # the newest one; the others become one skipped range
    MERGE = "merge"  # one run over all of it
    SKIP = "skip"  # none of them, unless the newest is still on time


ON_TIME: Final = 60.0
"""Seconds that a fire may be late and still be on time, where `misfire_grace_time=` does not say otherwise."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One fire and the interval that ends there (None for schedules without intervals)."""

    fire: datetime
    interval: DataInterval | None


@dataclass(frozen=True, slots=True)
class MissedPlan:
    """What to create now. `cursor` is where the schedule has been handled up to.

    Every skipped range holds at least one fire. Put in order, the intervals of the runs and the skipped ranges
    tile the time from the old cursor to the new one. Under MERGE, and for the first run of a changed schedule,
    an interval starts at the cursor.
    """

    runs: tuple[PlannedRun, ...]
    skipped: tuple[DataInterval, ...]
    cursor: datetime


def plan_missed(
    schedule: Schedule,
    *,
    cursor: datetime,
    now: datetime,
    policy: Missed,
    max_lookback: float | None = None,
    grace: float = ON_TIME,
    limit: int = 200,
) -> MissedPlan:
    """Plan the fires in (cursor, now]; at most `limit` runs, the rest is left for the next call.

    Args:
        max_lookback: fires older than this many seconds before `now` are skipped, whatever the policy.
        grace: under SKIP, a newest fire at most this many seconds late is on time and runs.
    """
    skipped: list[DataInterval] = []
    start = cursor
    if max_lookback is not None and cursor < now - timedelta(seconds=max_lookback):
        start = schedule.previous_fire(now - timedelta(seconds=max_lookback)) or cursor
        if start > cursor:
            skipped.append(DataInterval(cursor, start, schedule.timezone))
        start = max(start, cursor)
    fires = _fires(schedule, start, now, limit if policy is Missed.ALL else None)
    if not fires:
        return MissedPlan((), tuple(skipped), start)
    last = fires[-1]
    if policy is Missed.ALL:
        runs = tuple(_planned(schedule, low, high) for low, high in zip((start, *fires), fires, strict=False))
        return MissedPlan(runs, tuple(skipped), last)
    if policy is Missed.MERGE:
        return MissedPlan((_planned(schedule, start, last),), tuple(skipped), last)
    newest_runs = policy is Missed.LATEST or now - last <= timedelta(seconds=grace)
    edge = (start, *fires)[-2] if newest_runs else last
    if edge > start:
        skipped.append(DataInterval(skipped.pop().start if skipped else start, edge, schedule.timezone))
    return MissedPlan((_planned(schedule, edge, last),) if newest_runs else (), tuple(skipped), last)


def _planned(schedule: Schedule, low: datetime, high: datetime) -> PlannedRun:
    return PlannedRun(high, DataInterval(low, high, schedule.timezone) if schedule.has_intervals else None)


def _fires(schedule: Schedule, after: datetime, until: datetime, limit: int | None) -> list[datetime]:
    """Return the fires in (after, until]; without a limit only the last two."""
    fires: list[datetime] = []
    if limit is None:
        last = schedule.previous_fire(until)
        if last is None or last <= after:
            return []
        before = schedule.previous_fire(last - timedelta(microseconds=1))
        return [last] if before is None or before <= after else [before, last]
    fire = schedule.next_fire(after)
    while fire is not None and fire <= until and len(fires) < limit:
        fires.append(fire)
        fire = schedule.next_fire(fire)
    return fires


def missed_policy(
    missed: str | None,
    *,
    coalesce: bool | None = None,
    stateful: bool | None = None,
    backfill_policy: str | None = None,
) -> Missed:
    """Return the policy that `missed=` or piko's words mean; LATEST when nothing is said, ALL if stateful.

    Raises:
        InvalidArgumentError: a word that does not exist, or words that contradict each other.
    """
    if missed is not None and missed not in {str(one) for one in Missed}:
        raise InvalidArgumentError(argument="missed", value=missed, expected="one of 'all', 'latest', 'merge', 'skip'")
    words: dict[str, Missed] = {} if missed is None else {"missed": Missed(missed)}
    if backfill_policy is not None:
        words["backfill_policy"] = _backfill_policy(backfill_policy)
    if coalesce is not None:
        words["coalesce"] = Missed.LATEST if coalesce else Missed.ALL
    if len(set(words.values())) > 1:
        said = ", ".join(f"{name} means {policy!s}" for name, policy in words.items())
        raise InvalidArgumentError(
            argument="missed", value=said, expected="options that agree", hint="keep only missed="
        )
    default = Missed.ALL if stateful else Missed.LATEST
    return next(iter(words.values()), default)


def missed_lookback(max_lookback: float | None, misfire_grace_time: float | None) -> float | None:
    """Return the seconds of lookback that `max_lookback=` or piko's `misfire_grace_time=` mean.

    Raises:
        InvalidArgumentError: a number that is not above 0, or both words with different numbers.
    """
    for argument, value in (("max_lookback", max_lookback), ("misfire_grace_time", misfire_grace_time)):
        number = isinstance(value, int | float)
        if value is not None and not (number and value > 0):  # with 0 every fire would be too old
            raise InvalidArgumentError(argument=argument, value=value, expected="seconds > 0", hint=seconds_hint(value))
    if max_lookback is None or misfire_grace_time is None or max_lookback == misfire_grace_time:
        return misfire_grace_time if max_lookback is None else max_lookback
    raise InvalidArgumentError(
        argument="misfire_grace_time",
        value=misfire_grace_time,
        expected=f"the {max_lookback:g} s of max_lookback=, which means the same",
        hint="keep only max_lookback=",
    )


def first_cursor(
    schedule: Schedule, now: datetime, *, start_at: datetime | None = None, delay: float = 0.0
) -> datetime:
    """Return where the cursor of a new job starts.

    Without `start_at` the first interval to run is the first that is not due yet (`delay` seconds after its end), and
    nothing before it ever runs. With it, the first is the first whole interval that starts at `start_at` or later.
    """
    if start_at is None:
        due = now - timedelta(seconds=delay)
        return schedule.previous_fire(due) or due
    if not schedule.has_intervals:
        return start_at - timedelta(microseconds=1)  # so that a fire at start_at itself runs
    bound = schedule.next_fire(start_at - timedelta(microseconds=1))
    return start_at if bound is None else bound


def _backfill_policy(word: str) -> Missed:
    known = {"catch_up": Missed.ALL, "skip": Missed.LATEST}
    if word.lower() not in known:
        raise InvalidArgumentError(argument="backfill_policy", value=word, expected="'catch_up' or 'skip'")
    return known[word.lower()]


def jitter_of(job_id: str, occurrence: int, jitter: float) -> float:
    """Return this occurrence's share of `jitter` seconds, in [0, jitter): the same on every node."""
    if jitter <= 0:
        return 0.0
    import hashlib  # only jobs with jitter need it

    digest = hashlib.blake2b(f"{job_id}\0{occurrence}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * jitter
