"""Looks for runs that nobody takes: their job is gone from the code of all nodes, or no node serves their queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from mainspring.base import current_random, from_us
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.stores import JobStore, StrandedRow

log = logging.getLogger(__name__)

GRACE: Final = 60.0  # seconds that a run may wait while programs are replaced
_INTERVAL: Final = 60.0  # seconds between two looks, at least


class Strays:
    """Says it in the log when runs wait that no living node takes, once for each job and queue; `tell`s of each job.

    Args:
        poll_interval: the app's; one that seldom asks the store does not look more often.
        tell: sends the alerts of jobs that are found, each with the oldest of its runs; called again if it fails.
    """

    def __init__(
        self, store: JobStore, *, poll_interval: float, tell: Callable[[Sequence[StrandedRow]], Awaitable[None]]
    ) -> None:
        self._store = store
        self._tell = tell
        self._interval = max(_INTERVAL, poll_interval)
        self._told: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        await keep_doing(self._look, asyncio.Event(), what="look for runs that nobody takes")

    async def _look(self) -> float:
        since = self._store.now() - int(GRACE * 1e6)
        found = {(row.job_id, row.queue): row for row in await self._store.stranded() if row.oldest_at <= since}
        new = [found[key] for key in sorted(found.keys() - self._told)]
        if new:
            await self._tell(_oldest_of_jobs(new, but={job_id for job_id, _ in self._told}))
        for row in new:
            waits = f"{from_us(row.oldest_at):%Y-%m-%d %H:%M:%SZ}"
            said = "runs of job %r wait in queue %r since %s: no node that runs knows the job and takes from the queue"
            log.warning(said, row.job_id, row.queue, waits)
        self._told = set(found)
        return self._interval * current_random().uniform(0.9, 1.1)


def _oldest_of_jobs(rows: Sequence[StrandedRow], *, but: set[str]) -> list[StrandedRow]:
    """Return one row for each job, `but` those: of several queues the one whose run waits longest."""
    oldest: dict[str, StrandedRow] = {}
    for row in sorted(rows, key=lambda one: (one.oldest_at, one.oldest_run)):
        if row.job_id not in but:
            oldest.setdefault(row.job_id, row)
    return list(oldest.values())
