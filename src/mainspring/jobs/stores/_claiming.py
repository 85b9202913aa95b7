"""In which order a claim takes ready runs, the same in every store.

Highest priority first, then the heads of the jobs' queues in turn, under the limits. A run whose limit is reached is
parked under the counter's key: it leaves the ready runs and comes back when a slot of that key is given back, so that
no claim walks over runs that cannot go, whatever their number.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Generic, TypeVar

from mainspring.jobs.stores._records import Claim, ClaimAnswer, Part, RunRecord

R = TypeVar("R")

MAX_PASSES = 16  # over one priority of one queue, so that a claim that only parks does not hold up the others

Turns = dict[tuple[str, int, Part], str]
"""The job that was served last, by queue, rank and part; the next claim goes on behind it."""


class Taking(ABC, Generic[R]):
    """Takes ready runs, whatever a store holds of them, from one part of one queue at one rank.

    Attributes:
        skipped: runs that a full limit has skipped.
        more: ready runs are left that were not looked at.
    """

    def __init__(self, command: Claim, now: int, turns: Turns, rank: int, queue: str, part: Part) -> None:
        self._command = command
        self._now = now
        self._turns = turns
        self._rank = rank
        self._queue = queue
        self._part: Part = part
        self.skipped: list[RunRecord] = []
        self.more = False

    def take(self, wanted: int) -> list[RunRecord]:
        """Take up to `wanted` runs; return them as they then stand."""
        taken: list[RunRecord] = []
        if wanted <= 0:
            return taken
        for _ in range(MAX_PASSES):
            heads = self._heads(wanted - len(taken))
            if not heads:
                return taken
            allowed = self._within_limits(heads)
            if allowed:
                self._turns[self._queue, self._rank, self._part] = self._job_of(allowed[-1])
                taken += self._mark(allowed)
            if len(taken) >= wanted:
                return taken
        self.more = True
        return taken

    @property
    def _turn(self) -> str:
        """The job behind which this claim goes on."""
        return self._turns.get((self._queue, self._rank, self._part), "")

    @abstractmethod
    def _heads(self, wanted: int) -> Sequence[R]:
        """Return the first runs of the known jobs, in turn."""

    @abstractmethod
    def _within_limits(self, runs: Sequence[R]) -> Sequence[R]:
        """Return the runs that may start, having raised their counters; park the others."""

    @abstractmethod
    def _mark(self, runs: Sequence[R]) -> list[RunRecord]:
        """Let the runs be running, under a new fence; return them so."""

    @abstractmethod
    def _job_of(self, run: R) -> str: ...


def take_in_order(
    command: Claim,
    ranks: Callable[[Sequence[str]], Iterable[tuple[int, str]]],
    begin: Callable[[int, str, Part], Taking[R]],
    *,
    now: int,
    next_available_at: int | None,
) -> ClaimAnswer:
    """Answer a claim.

    Args:
        ranks: gives the (rank, queue) pairs that have ready runs, highest priority first.
        begin: gives what takes the runs of a rank, a queue and a part.
        next_available_at: when the next timed run becomes ready.
    """
    taken: list[RunRecord] = []
    skipped: list[RunRecord] = []
    if command.limit > 0 and command.jobs:
        share = command.limit if command.backfills is None else command.backfills
        for (rank, queue), part in product(ranks(command.queues), command.parts):
            wanted = command.limit - len(taken)
            taking = begin(rank, queue, part)
            runs = taking.take(min(wanted, share) if part == "backfill" else wanted)
            share -= len(runs) if part == "backfill" else 0
            taken += runs
            skipped += taking.skipped
            if taking.more:
                next_available_at = now
            if len(taken) >= command.limit:
                break
    return ClaimAnswer(runs=tuple(taken), next_available_at=next_available_at, skipped=tuple(skipped))
