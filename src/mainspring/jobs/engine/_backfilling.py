"""What an app does about ranges of time: backfills, and what is done of the intervals of a job."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from mainspring.errors import UnknownBackfillError
from mainspring.jobs.engine._declarations import Job
from mainspring.jobs.engine._following import FollowUps
from mainspring.jobs.stores import BackfillRow, BackfillState, JobStore

if TYPE_CHECKING:
    from mainspring.jobs.engine._backfill import Backfill
    from mainspring.jobs.engine._parts import OpenApp
    from mainspring.jobs.engine._reader import JobReader


class Backfilling(FollowUps, ABC):
    """The half of a `JobApp` that works through intervals."""

    @property
    @abstractmethod
    def store(self) -> JobStore:
        """The store, once the app is open."""

    @abstractmethod
    def _opened(self) -> "OpenApp":
        """Return the open store and runner."""

    @abstractmethod
    async def _reader(self) -> "JobReader":
        """Return what asks the store."""

    async def backfill(
        self,
        job: Job,
        start: datetime | date | str,
        end: datetime | date | str,
        *,
        reprocess: Literal["missing", "failed", "all"] = "missing",
        order: Literal["asc", "desc"] = "asc",
        max_parallel: int = 8,
        on_failure: Literal["continue", "stop"] = "continue",
        downstream: bool = False,
        dry_run: bool = False,
        config: Mapping[str, object] | None = None,
        config_at: Literal["now", "interval"] = "now",
    ) -> "Backfill":
        """Run the intervals of a job between two instants that are due; durable, and lazily made.

        Intervals that have not ended yet, or ended less than the job's `delay` ago, are left to the schedule: their
        data is not there, or not all of it. Ends are aware datetimes or dates (midnight in the job's zone). With
        `downstream` the intervals of the jobs that need those which succeeded here are run again afterwards, and so on
        down the needs: each job is a backfill of its own, listed by `Backfill.downstream()`. Runs get the stored config
        that is in force when they start, or with `config_at="interval"` the one that was when their interval began.
        With `dry_run` nothing is stored: the `progress()` of what is returned says how many intervals would run now.

        Raises:
            InvalidArgumentError: start is not before end, or nothing from start on is due yet; a naive datetime, or a
                job without intervals; with `reprocess="all"` an end inside of what a merged run has written into a
                sink that replaces intervals.
            ConfigError: with `config` the job's config does not fit its schema.
        """
        from mainspring.jobs.engine._backfill import Backfill
        from mainspring.jobs.engine._backfill_rows import BackfillOptions, with_downstream

        definition = self._registry[job]
        self.interval_range(definition, start, end)
        options = BackfillOptions(
            reprocess=reprocess,
            order=order,
            max_parallel=max_parallel,
            on_failure=on_failure,
            config=config,
            config_at=config_at,
        )
        options.check(definition)
        opened = await self.open()
        low, high = self.interval_range(definition, start, end)  # again: what opening the app left to it is due now
        row = options.row(definition, low, high, opened.store.now())
        await opened.configs.check_call(definition, row.config)
        await opened.planner.written.refuse_parts(definition, row)
        if dry_run:
            total = await opened.planner.count(row)
            return Backfill.dry(self, replace(row, total=total, total_exact=True, state=BackfillState.FINISHED))
        row, *later = with_downstream(row, self.jobs, options) if downstream else [row]
        await opened.store.create_backfill(row, downstream=later)
        for one in (row, *later):
            opened.node.take_on(one.job_id)
        opened.planner.changed()
        return Backfill(self, row)

    async def backfill_by_id(self, backfill_id: str) -> "Backfill":
        """Return the handle of a stored backfill.

        Raises:
            UnknownBackfillError: there is none of this id.
        """
        from mainspring.jobs.engine._backfill import Backfill

        row = await (await self.open()).store.backfill(backfill_id)
        if row is None:
            raise UnknownBackfillError(backfill_id=backfill_id)
        return Backfill(self, row)

    async def set_backfill_state(self, backfill_id: str, state: BackfillState) -> BackfillRow:
        """Pause, resume or cancel a backfill."""
        opened = await self.open()
        row = await opened.store.set_backfill_state(backfill_id, state)
        opened.planner.changed()
        opened.node.wake()
        return row

    def next_backfill_change(self) -> "asyncio.Future[None]":
        """Return the future that is resolved after the next look at the backfills; shared, so shield it."""
        return self._opened().planner.next_change()

    async def watermark(self, job: Job) -> datetime | None:
        """Return the end of the unbroken beginning of what is done (succeeded or skipped); None without any."""
        return await (await self._reader()).watermark(job)

    async def gaps(self, job: Job) -> Sequence[tuple[datetime, datetime]]:
        """Return the ranges that did not succeed, between the first and the last that is known."""
        return await (await self._reader()).gaps(job)
