"""The handle of a durable backfill. The backfill itself lives in the store and survives its makers."""

import asyncio
from typing import TYPE_CHECKING, Final

from mainspring.base import current_clock
from mainspring.errors import UnknownBackfillError
from mainspring.jobs.engine._results import BackfillProgress
from mainspring.jobs.stores import BackfillRow, BackfillState

if TYPE_CHECKING:
    from mainspring.jobs.engine._backfilling import Backfilling

_MOST_LISTED: Final = 1_000


class Backfill:
    """Steers one backfill; made by `JobApp.backfill()` and `JobApp.backfill_by_id()`."""

    __slots__ = ("_app", "_dry", "_first", "backfill_id", "job_id")

    def __init__(self, app: "Backfilling", row: BackfillRow) -> None:
        self._app = app
        self._dry: BackfillRow | None = None
        self.backfill_id = row.backfill_id
        self.job_id = row.job_id
        self._first = (current_clock().monotonic(), _ended_count(row))

    @classmethod
    def dry(cls, app: "Backfilling", row: BackfillRow) -> "Backfill":
        """Return the handle of a backfill that is not stored and will not run."""
        backfill = cls(app, row)
        backfill._dry = row
        return backfill

    async def progress(self) -> BackfillProgress:
        """Return how far it is."""
        row = await self._row()
        since, ended = self._first
        seconds = current_clock().monotonic() - since
        rate = (_ended_count(row) - ended) / seconds if seconds > 0 else 0.0
        return BackfillProgress.of(row, rate=rate)

    async def pause(self) -> None:
        """Make and start no more runs, on any node; those that run go on, and those that a schedule wants too.

        An interval that another backfill wants as well waits with the one that made its run.
        """
        await self._app.set_backfill_state(self.backfill_id, BackfillState.PAUSED)

    async def resume(self) -> None:
        """Go on after `pause()`."""
        await self._app.set_backfill_state(self.backfill_id, BackfillState.RUNNING)

    async def cancel(self) -> None:
        """Make no more runs and cancel those that exist."""
        await self._app.set_backfill_state(self.backfill_id, BackfillState.CANCELLED)

    async def wait(self) -> BackfillProgress:
        """Wait until nothing of it is left to run and return the outcome; cancelling the wait stops only it.

        Raises:
            ClosedError: the app was closed first; the backfill goes on with the next app on this store.
        """
        while True:
            changed = self._app.next_backfill_change()
            progress = await self.progress()
            if progress.done and progress.running == 0:
                return progress
            await self._app.waiting(asyncio.shield(changed))

    async def downstream(self) -> "list[Backfill]":
        """Return the backfills that come after this one, each behind those that it waits for.

        They are made with `downstream=True`, and wait for this one to end. One of a job whose needs failed here waits
        on until these have succeeded.
        """
        known, found = {self.backfill_id}, list[Backfill]()
        for row in sorted(await self._app.store.backfills(limit=_MOST_LISTED), key=lambda row: row.backfill_id):
            if not known.isdisjoint(row.after):
                known.add(row.backfill_id)
                found.append(Backfill(self._app, row))
        return found

    async def _row(self) -> BackfillRow:
        row = self._dry or await self._app.store.backfill(self.backfill_id)
        if row is None:
            raise UnknownBackfillError(backfill_id=self.backfill_id)
        return row

    def __repr__(self) -> str:
        return f"<Backfill {self.backfill_id} of {self.job_id}>"


def _ended_count(row: BackfillRow) -> int:
    return row.succeeded_count + row.failed_count + row.cancelled_count
