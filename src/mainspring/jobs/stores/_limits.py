"""Who of those at the head of a queue may start under the limits: the same in every store."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

R = TypeVar("R")

_OF_BACKFILL: Final = "backfill:"
FULL: Final = 2**62
"""Slots held of a key that is closed: of a paused backfill."""

Limits = Sequence[tuple[str, int]]
"""(counter key, maximum held at once) pairs."""


class Registered(NamedTuple):
    """What the code of a job said last: its runs of occurrences have it, whoever makes them."""

    limits: tuple[tuple[str, int], ...]
    priority: int


@dataclass(slots=True)
class Admission(Generic[R]):
    """`raised` slots per key are to be taken for those `allowed`.

    `parked` are (key, run) pairs, each run at the first key that is full. `passed_over` keys have a free slot which a
    parked run did not take: whoever else waits for it must be looked at again, or a wake-up is lost.
    """

    allowed: list[R] = field(default_factory=list[R])
    parked: list[tuple[str, R]] = field(default_factory=list[tuple[str, R]])
    raised: Counter[str] = field(default_factory=Counter[str])
    passed_over: Counter[str] = field(default_factory=Counter[str])


def admit(runs: Sequence[tuple[R, Limits]], held: Mapping[str, int]) -> Admission[R]:
    """Decide in order, given how many slots of each key are `held` already."""
    admission = Admission[R]()
    raised = admission.raised
    for run, limits in runs:
        full = next((key for key, most in limits if held.get(key, 0) + raised[key] >= most), None)
        if full is None:
            raised.update(key for key, _ in limits)
            admission.allowed.append(run)
        else:
            admission.parked.append((full, run))
            free = (key for key, most in limits if held.get(key, 0) + raised[key] < most)
            admission.passed_over.update(dict.fromkeys(free, 0))
    return admission


def job_key(job_id: str) -> str:
    """Return the counter key whose slots the scheduled runs of a job take; it is renamed with the job."""
    return f"job:{job_id}"


def backfill_key(backfill_id: str) -> str:
    """Return the counter key whose slots the runs of a backfill take; no claim gives one while it is paused."""
    return f"{_OF_BACKFILL}{backfill_id}"


def backfills_of(keys: Iterable[str]) -> list[str]:
    """Return the ids of the backfills whose keys are among these."""
    return [key.removeprefix(_OF_BACKFILL) for key in keys if key.startswith(_OF_BACKFILL)]
