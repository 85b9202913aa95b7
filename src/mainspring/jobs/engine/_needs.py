"""Releases waiting runs once what they need covers their whole interval, and their own past is done if they ask.

Runs of jobs that depend on their past end one after the other, so that each end lets one run go: those are looked at
alone and at once, and not with all that waits.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mainspring.base import current_clock, from_us
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._past import PastGuard
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.model import Need, RangeSet
from mainspring.jobs.stores import JobStore, RunRecord

_BATCH: Final = 1_000
_NOBODY_NEEDS: Final = 3600.0  # seconds between two looks when no job needs another, at least
_IN_A_CHAIN: Final = 16  # the oldest waiting runs that are looked at when a run of their own job has ended
_QUIET: Final = 0.25  # seconds between two looks: many upstream runs end together


class NeedsKeeper:
    """Watches the waiting runs of the jobs that this app knows.

    Args:
        on_released: called when runs became available.
    """

    def __init__(
        self,
        store: JobStore,
        definitions: Mapping[str, JobDefinition],
        *,
        poll_interval: float,
        on_released: Callable[[], None],
    ) -> None:
        self._store = store
        self._needs = {job_id: one.needs for job_id, one in definitions.items()}
        self._jobs = frozenset(definitions)  # all: runs may wait for needs that the code no longer has
        self._upstream = frozenset(need.job_id for needs in self._needs.values() for need in needs)
        self._past = PastGuard(store, definitions)
        looks = self._upstream or self._past.jobs
        self._interval = poll_interval if looks else max(_NOBODY_NEEDS, poll_interval)
        self._on_released = on_released
        self._wake = asyncio.Event()
        self._ended: set[str] = set()  # jobs that depend on their past, of which a run has ended
        self._next_look = 0.0

    def made(self) -> None:
        """Look again if runs that were made may wait."""
        if self._upstream or self._past.jobs:
            self.changed()

    def changed(self) -> None:
        """Look again: what waits, or what it waits for, may have changed."""
        self._next_look = 0.0
        self._wake.set()

    def ended(self, record: RunRecord) -> None:
        """Look again if others may wait for this run."""
        if not record.state.terminal:
            return
        if record.job_id in self._past.jobs:
            self._ended.add(record.job_id)
            self._wake.set()
        if record.job_id in self._upstream:
            self.changed()

    async def run(self) -> None:
        """Settle waiting runs for ever; ends by cancellation."""
        await keep_doing(self._look, self._wake, what="look at waiting runs")

    async def _look(self) -> float:
        ended, self._ended = frozenset(self._ended), set()
        now = current_clock().monotonic()
        if now < self._next_look:
            for job_id in sorted(ended):
                jobs = frozenset({job_id})
                await self._settle(await self._store.waiting(jobs=jobs, limit=_IN_A_CHAIN), {})
            return max(self._next_look - current_clock().monotonic(), 0.001)
        self._next_look = now + self._interval
        await self._look_at_all()
        await asyncio.sleep(_QUIET)
        return self._interval

    async def _look_at_all(self) -> None:
        after: RunRecord | None = None
        ends: dict[str, int | None] = {}  # by job, of the last one seen on earlier pages
        while True:  # page by page: thousands that are blocked must not hide one that is free
            waiting = await self._store.waiting(jobs=self._jobs, limit=_BATCH, after=after)
            await self._settle(waiting, ends)
            ends.update((record.job_id, record.interval_end) for record in waiting)
            if len(waiting) < _BATCH:
                break
            after = waiting[-1]

    async def _settle(self, waiting: Sequence[RunRecord], ends: Mapping[str, int | None]) -> None:
        covered = await self._coverage(waiting)
        by_past = await self._past.blocked(waiting, ends)
        released: list[str] = []
        blocked: list[tuple[str, str]] = []
        for record in waiting:
            reason = self._blocked_by(record, covered) or by_past.get(record.run_id)
            if reason is None:
                released.append(record.run_id)
            elif reason != record.blocked_by:
                blocked.append((record.run_id, reason))
        if released or blocked:
            await self._store.settle_waiting(released=released, blocked=blocked)
        if released:
            self._on_released()

    async def _coverage(self, waiting: Sequence[RunRecord]) -> dict[Need, RangeSet]:
        """Read, once per need, what is done in the range that the waiting runs ask about."""
        spans: dict[Need, tuple[int, int]] = {}
        for record in waiting:
            for need in self._needs[record.job_id]:
                start, end = _asked(record, need)
                low, high = spans.get(need, (start, end))
                spans[need] = (min(low, start), max(high, end))
        covered: dict[Need, RangeSet] = {}
        for need, (start, end) in spans.items():
            accepted = {"succeeded", "skipped"} if need.allow_skipped else {"succeeded"}
            done = await self._store.done(need.job_id, start, end)
            covered[need] = RangeSet((one.start, one.end) for one in done if one.state in accepted)
        return covered

    def _blocked_by(self, record: RunRecord, covered: Mapping[Need, RangeSet]) -> str | None:
        """Say what the run still waits for, None when nothing is missing."""
        for need in self._needs[record.job_id]:
            start, end = _asked(record, need)
            gap = next(iter(covered[need].gaps(start, end)), None)
            if gap is not None:
                return f"blocked by {need.job_id} {from_us(gap[0]):%Y-%m-%dT%H:%MZ}"
        return None


def _asked(record: RunRecord, need: Need) -> tuple[int, int]:
    """Return the interval that the upstream has to cover for this run."""
    offset = int(need.offset * 1e6)
    return (record.interval_start or 0) + offset, (record.interval_end or 0) + offset
