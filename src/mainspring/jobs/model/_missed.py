"""What becomes of time that passed: which intervals run, which are skipped, and where the cursor goes."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model._interval import DataInterval
from mainspring.jobs.model._schedule import Schedule


class Missed(StrEnum):
    """What to do with fire times that nobody was there for."""

    ALL = "all"  # each of them, oldest first
    LATEST = "latest"  # the newest one; the others become one skipped range
    MERGE = "merge"  # one run over all of it
    SKIP = "skip"  # none of them, if there is more than one


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One fire and the interval that ends there (None for schedules without intervals)."""

    fire: datetime
    interval: DataInterval | None


@dataclass(frozen=True, slots=True)
class MissedPlan:
    """What to create now. `cursor` is where the schedule has been handled up to."""

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
    limit: int = 200,
) -> MissedPlan:
    """Plan the fires in (cursor, now]; at most `limit` runs, the rest is left for the next call.

    Args:
        max_lookback: fires older than this many seconds before `now` are skipped, whatever the policy.
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
        return MissedPlan((), _kept(schedule, skipped), start)
    last = fires[-1]
    if policy is Missed.ALL or (len(fires) == 1 and policy is not Missed.MERGE):
        runs = tuple(_planned(schedule, low, high) for low, high in zip((start, *fires), fires, strict=False))
        return MissedPlan(runs, _kept(schedule, skipped), last)
    if policy is Missed.MERGE:
        return MissedPlan((_planned(schedule, start, last),), _kept(schedule, skipped), last)
    keep = 0 if policy is Missed.SKIP else 1
    edge = last if keep == 0 else fires[-2]
    skipped.append(DataInterval(skipped.pop().start if skipped else start, edge, schedule.timezone))
    runs = (_planned(schedule, edge, last),) if keep else ()
    return MissedPlan(runs, _kept(schedule, skipped), last)


def _planned(schedule: Schedule, low: datetime, high: datetime) -> PlannedRun:
    return PlannedRun(high, DataInterval(low, high, schedule.timezone) if schedule.has_intervals else None)


def _kept(schedule: Schedule, skipped: list[DataInterval]) -> tuple[DataInterval, ...]:
    return tuple(skipped) if schedule.has_intervals else ()


def _fires(schedule: Schedule, after: datetime, until: datetime, limit: int | None) -> list[datetime]:
    """Return the fires in (after, until]; without a limit only the last two are needed, and the first."""
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
    misfire_grace_time: float | None = None,
    coalesce: bool | None = None,
    stateful: bool | None = None,
    backfill_policy: str | None = None,
) -> Missed:
    """Return the policy that `missed=` or the seed's words mean; LATEST when nothing is said, ALL if stateful.

    Raises:
        InvalidArgumentError: a word that does not exist, or words that contradict each other.
    """
    if missed is not None and missed not in {str(one) for one in Missed}:
        raise InvalidArgumentError(argument="missed", value=missed, expected="one of 'all', 'latest', 'merge', 'skip'")
    if misfire_grace_time is not None and misfire_grace_time < 0:
        raise InvalidArgumentError(argument="misfire_grace_time", value=misfire_grace_time, expected="seconds >= 0")
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


def _backfill_policy(word: str) -> Missed:
    known = {"catch_up": Missed.ALL, "skip": Missed.LATEST}
    if word.lower() not in known:
        raise InvalidArgumentError(argument="backfill_policy", value=word, expected="'catch_up' or 'skip'")
    return known[word.lower()]


def jitter_of(job_id: str, occurrence: int, jitter: float) -> float:
    """Return this occurrence's share of `jitter` seconds, in [0, jitter): the same on every node."""
    if jitter <= 0:
        return 0.0
    digest = hashlib.blake2b(f"{job_id}\0{occurrence}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * jitter
