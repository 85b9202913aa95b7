"""Looks for runs that nobody takes: their job is gone from the code of all nodes, or no node serves their queue."""

import asyncio
import logging
from typing import Final

from mainspring.base import current_random, from_us
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.stores import JobStore

log = logging.getLogger(__name__)

GRACE: Final = 60.0  # seconds that a run may wait while programs are replaced
_INTERVAL: Final = 60.0  # seconds between two looks, at least


class Strays:
    """Says it in the log when runs wait that no living node takes, once for each job and queue.

    Args:
        poll_interval: the app's; one that seldom asks the store does not look more often.
    """

    def __init__(self, store: JobStore, *, poll_interval: float) -> None:
        self._store = store
        self._interval = max(_INTERVAL, poll_interval)
        self._told: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        await keep_doing(self._look, asyncio.Event(), what="look for runs that nobody takes")

    async def _look(self) -> float:
        since = self._store.now() - int(GRACE * 1e6)
        found = {(row.job_id, row.queue): row for row in await self._store.stranded() if row.oldest_at <= since}
        for key in sorted(found.keys() - self._told):
            row = found[key]
            waits = f"{from_us(row.oldest_at):%Y-%m-%d %H:%M:%SZ}"
            said = "runs of job %r wait in queue %r since %s: no node that runs knows the job and takes from the queue"
            log.warning(said, row.job_id, row.queue, waits)
        self._told = set(found)
        return self._interval * current_random().uniform(0.9, 1.1)
