"""Releases waiting runs once what they need covers their whole interval."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mainspring.base import from_us
from mainspring.errors import StorageError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import Need, RangeSet
from mainspring.jobs.stores import JobStore, RunRecord

log = logging.getLogger(__name__)

_BATCH: Final = 1_000
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
        self._needs = {job_id: one.needs for job_id, one in definitions.items() if one.needs}
        self._upstream = frozenset(need.job_id for needs in self._needs.values() for need in needs)
        self._poll_interval = poll_interval
        self._on_released = on_released
        self._wake = asyncio.Event()

    @property
    def useful(self) -> bool:
        """False when no job needs another."""
        return bool(self._needs)

    def changed(self) -> None:
        """Look again: waiting runs were made."""
        self._wake.set()

    def ended(self, record: RunRecord) -> None:
        """Look again if others may wait for this run."""
        if record.job_id in self._upstream and record.state.terminal:
            self._wake.set()

    async def run(self) -> None:
        """Settle waiting runs for ever; ends by cancellation."""
        while True:
            self._wake.clear()
            try:
                await self._settle()
            except StorageError as error:
                log.warning("cannot look at waiting runs: %s", error)
            await asyncio.sleep(_QUIET)
            try:
                async with asyncio.timeout(self._poll_interval):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _settle(self) -> None:
        waiting = await self._store.waiting(jobs=frozenset(self._needs), limit=_BATCH)
        covered = await self._coverage(waiting)
        released: list[str] = []
        blocked: list[tuple[str, str]] = []
        for record in waiting:
            reason = self._blocked_by(record, covered)
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
