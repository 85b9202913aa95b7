"""Claims in memory: highest priority first, then the heads of the jobs' queues in turn, under the limits.

As in the SQLite store, a run whose limit is reached is parked under the counter's key, so that no claim walks over
runs that cannot go.
"""

from collections.abc import Sequence
from itertools import islice, product

from msgspec import structs

from mainspring.errors import LeaseLostError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._ends import Change, skipped
from mainspring.jobs.stores._limits import admit
from mainspring.jobs.stores._memory_configs import config_version_of
from mainspring.jobs.stores._memory_data import LiveRun, MemoryData, Place
from mainspring.jobs.stores._memory_ends import lower_counters, settle
from mainspring.jobs.stores._records import Claim, ClaimAnswer, Part, RunKind, RunRecord

MAX_PASSES = 16  # over one priority of one queue, so that a claim that only parks does not hold the loop

Turns = dict[tuple[str, int, Part], str]
"""The job that was served last, by queue, rank and part; the next claim goes on behind it."""


def claim(data: MemoryData, command: Claim, now: int, turns: Turns) -> ClaimAnswer:
    """Take runs for a live epoch.

    Raises:
        LeaseLostError: the epoch is dead.
    """
    if command.epoch not in data.nodes:
        raise LeaseLostError(epoch=command.epoch)
    next_available_at = data.promote(now)
    taken: list[RunRecord] = []
    left_out: list[RunRecord] = []
    if command.limit > 0 and command.jobs:
        share = command.limit if command.backfills is None else command.backfills
        for (rank, queue), part in product(data.ready.ranks(command.queues), command.parts):
            wanted = command.limit - len(taken)
            taking = _Taking(data, command, now, queue, rank, turns, part)
            runs = taking.take(min(wanted, share) if part == "backfill" else wanted)
            share -= len(runs) if part == "backfill" else 0
            taken += runs
            left_out += taking.skipped
            if taking.more:
                next_available_at = now
            if len(taken) >= command.limit:
                break
    return ClaimAnswer(runs=tuple(taken), next_available_at=next_available_at, skipped=tuple(left_out))


class _Taking:
    """Takes ready runs of one queue and priority."""

    def __init__(
        self, data: MemoryData, command: Claim, now: int, queue: str, rank: int, turns: Turns, part: Part
    ) -> None:
        self._data = data
        self._command = command
        self._now = now
        self._queue = queue
        self._rank = rank
        self._turns = turns
        self._part: Part = part
        self.skipped: list[RunRecord] = []
        self.more = False  # ready runs are left that were not looked at

    def take(self, wanted: int) -> list[RunRecord]:
        taken: list[RunRecord] = []
        if wanted <= 0:
            return taken
        for _ in range(MAX_PASSES):
            runs = self._heads(wanted - len(taken))
            if not runs:
                return taken
            allowed = self._within_limits(runs)
            if allowed:
                self._turns[self._queue, self._rank, self._part] = allowed[-1].record.job_id
                fence = self._data.next_fence()
                taken += [self._mark(run, fence) for run in allowed]
            if len(taken) >= wanted:
                return taken
        self.more = True
        return taken

    def _heads(self, wanted: int) -> list[LiveRun]:
        """Take the first runs of the known jobs out of the queue, beginning behind the job served last."""
        data = self._data
        turn = self._turns.get((self._queue, self._rank, self._part), "")
        known = (job for job in data.ready.jobs_behind(self._queue, self._rank, turn) if job in self._command.jobs)
        if self._part is None:
            return data.take_ready(self._queue, self._rank, list(islice(known, wanted)), wanted)
        return data.take_ready(self._queue, self._rank, list(known), wanted, self._belongs)

    def _belongs(self, run_id: str) -> bool:
        return (self._data.live[run_id].record.kind is RunKind.BACKFILL) == (self._part == "backfill")

    def _within_limits(self, runs: Sequence[LiveRun]) -> Sequence[LiveRun]:
        """Return the runs that may start, having raised their counters; park the others."""
        if not any(run.limits for run in runs):
            return runs
        data = self._data
        admission = admit([(run, run.limits) for run in runs], data.counters)
        data.counters.update({key: count for key, count in admission.raised.items() if count})
        ends: list[Change[LiveRun]] = []
        for key, run in admission.parked:
            if run.skips and run.record.started_at is None:
                ends.append(skipped(run, limits=run.limits, key=key, rescues=run.record.rescues, now=self._now))
            else:
                data.move(run, Place.PARKED, key=key)
        self.skipped += settle(data, ends, self._now)
        if admission.passed_over:  # the slot that woke a run now parked elsewhere goes to the next in line
            lower_counters(data, admission.passed_over, self._now)
        return admission.allowed

    def _mark(self, run: LiveRun, fence: int) -> RunRecord:
        record = structs.replace(
            run.record,
            config_version=config_version_of(self._data, run.record, run.config_as_of, self._now),
            state=RunState.RUNNING,
            attempt=run.record.attempt + 1,
            fence=fence,
            epoch=self._command.epoch,
            started_at=self._now,
        )
        self._data.change(run, record, Place.NOT_CLAIMABLE)
        return record
