"""Removes the records of runs that ended long ago: a few at a time, so that nobody waits for it."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from mainspring.base import current_random
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.model import Retention, RunState
from mainspring.jobs.stores import JobStore, Prune

log = logging.getLogger(__name__)

SPARED: Final = 600.0  # seconds that a run stays after its end in any case: somebody may wait for its result
_BATCH: Final = 500  # runs in one transaction
_INTERVAL: Final = 3600.0  # seconds between two passes, at least
_BREATH: Final = 0.02  # seconds between two transactions


async def prune(store: JobStore, retention: Retention, *, jobs: Collection[str] | None = None) -> int:
    """Remove what `retention` does not keep, of these jobs or of all that the store knows; return how many runs."""
    total = 0
    for job_id, name, _ in await store.job_counts():
        state = RunState(name)
        if state.terminal and (jobs is None or job_id in jobs):
            total += await _prune_one(store, retention, job_id, state)
    return total


async def _prune_one(store: JobStore, retention: Retention, job_id: str, state: RunState) -> int:
    keep, now, total = retention.of(state), store.now(), 0
    spared_since = now - int(SPARED * 1e6)
    command = Prune(job_id=job_id, state=state, ended_before=spared_since, limit=_BATCH)
    if keep.age is not None:
        total += await _prune_all(store, replace(command, ended_before=min(now - int(keep.age * 1e6), spared_since)))
    if keep.count is not None:
        total += await _prune_all(store, replace(command, count=keep.count))
    return total


async def _prune_all(store: JobStore, command: Prune) -> int:
    total = 0
    while True:
        pruned = await store.prune(command)
        total += pruned.gone
        if pruned.last is None:
            return total
        # what a key has spared stays beside the newest, and does not push them out
        command = replace(command, after=pruned.last, count=command.count + pruned.spared)
        await asyncio.sleep(_BREATH)


class Pruner:
    """Prunes the history of an app's jobs now and then while it is open.

    Args:
        retention: returns what is to stay, asked before each pass.
        poll_interval: the app's; one that seldom asks the store does not prune it more often.
    """

    def __init__(
        self, store: JobStore, retention: Callable[[], Retention], jobs: Collection[str], *, poll_interval: float
    ) -> None:
        self._store = store
        self._retention = retention
        self._jobs = jobs
        self._interval = max(_INTERVAL, poll_interval)
        self._first = True

    async def run(self) -> None:
        """Prune for ever; ends by cancellation."""
        await keep_doing(self._pass, asyncio.Event(), what="prune the history")

    async def _pass(self) -> float:
        pause = self._interval * current_random().uniform(0.5, 1.0)  # so that nodes do not do it at the same time
        if self._first:  # a program that was started for a minute has other things to do
            self._first = False
            return pause
        pruned = await prune(self._store, self._retention(), jobs=self._jobs)
        if pruned:
            log.info("%d runs that ended long ago were removed from the history", pruned)
        return pause
