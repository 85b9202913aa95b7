"""Claims in memory."""

from collections.abc import Sequence
from functools import partial
from itertools import islice

from msgspec import structs

from mainspring.errors import LeaseLostError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import BackfillState
from mainspring.jobs.stores._claiming import Taking, Turns, take_in_order
from mainspring.jobs.stores._ends import Change, skipped
from mainspring.jobs.stores._limits import FULL, admit, backfills_of
from mainspring.jobs.stores._memory_configs import config_version_of
from mainspring.jobs.stores._memory_data import LiveRun, MemoryData, Place
from mainspring.jobs.stores._memory_ends import lower_counters, settle
from mainspring.jobs.stores._records import Claim, ClaimAnswer, Part, RunKind, RunRecord


def claim(data: MemoryData, command: Claim, now: int, turns: Turns) -> ClaimAnswer:
    """Take runs for a live epoch.

    Raises:
        LeaseLostError: the epoch is dead.
    """
    if command.epoch not in data.nodes:
        raise LeaseLostError(epoch=command.epoch)
    next_available_at = data.promote(now)
    begin = partial(_Taking, data, command, now, turns)
    return take_in_order(command, data.ready.ranks, begin, now=now, next_available_at=next_available_at)


class _Taking(Taking[LiveRun]):
    def __init__(
        self, data: MemoryData, command: Claim, now: int, turns: Turns, rank: int, queue: str, part: Part
    ) -> None:
        super().__init__(command, now, turns, rank, queue, part)
        self._data = data

    def _heads(self, wanted: int) -> list[LiveRun]:
        data = self._data
        behind = data.ready.jobs_behind(self._queue, self._rank, self._turn)
        known = (job for job in behind if job in self._command.jobs)
        if self._part is None:
            return data.take_ready(self._queue, self._rank, list(islice(known, wanted)), wanted)
        return data.take_ready(self._queue, self._rank, list(known), wanted, self._belongs)

    def _belongs(self, run_id: str) -> bool:
        return (self._data.live[run_id].record.kind is RunKind.BACKFILL) == (self._part == "backfill")

    def _within_limits(self, runs: Sequence[LiveRun]) -> Sequence[LiveRun]:
        if not any(run.limits for run in runs):
            return runs
        data = self._data
        closed = {key: FULL for run in runs for key, _ in run.limits if self._is_closed(key)}
        admission = admit([(run, run.limits) for run in runs], {**data.counters, **closed} if closed else data.counters)
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

    def _is_closed(self, key: str) -> bool:
        """Tell whether a key is that of a paused backfill."""
        found = [self._data.backfills.get(backfill_id) for backfill_id in backfills_of((key,))]
        return any(row is not None and row.state is BackfillState.PAUSED for row in found)

    def _job_of(self, run: LiveRun) -> str:
        return run.record.job_id

    def _mark(self, runs: Sequence[LiveRun]) -> list[RunRecord]:
        fence = self._data.next_fence()
        return [self._claimed(run, fence) for run in runs]

    def _claimed(self, run: LiveRun, fence: int) -> RunRecord:
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
