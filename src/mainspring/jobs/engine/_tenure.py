"""The epoch of a node: taken, renewed, watched, and replaced once it is lost.

One task beats, one looks at how long the lease still holds, and one at neighbours that died, where the store can tell
that sooner than a beat. When no beat came through and the lease is about to end, the handlers are cancelled and their
runs handed back. When the epoch turns out to be dead, they are cancelled without a record (another node has the runs)
and a new epoch is taken.
"""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from mainspring.base import current_clock, current_random
from mainspring.errors import LeaseLostError, StorageError
from mainspring.jobs.engine._execution import StopReason
from mainspring.jobs.engine._metrics import RunMetrics
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.stores import JobStore, NodeTakes, RunRecord

log = logging.getLogger(__name__)

_LEASE_MARGIN: Final = 5.0  # seconds before its lease ends at which a node stops its handlers
_LEAST_WAIT: Final = 0.001  # seconds: a shorter one may be lost in the rounding of the clock, again and again


class Holder(Protocol):
    """Whose epoch it is: what runs under it."""

    @property
    def takes(self) -> NodeTakes:
        """What the others are told that it runs."""
        ...

    def stop_all(self, reason: StopReason) -> int:
        """Ask every handler to stop; return how many had not been asked before."""
        ...

    def stop_run(self, run_id: str) -> None:
        """Ask the handler of a run to stop, if it runs here."""
        ...

    def wake(self) -> None:
        """Look for runs now."""
        ...

    async def report(self) -> None:
        """Tell the store what the handlers have said so far."""
        ...


class Tenure:
    """Keeps an epoch alive for its holder, from `start` to `close`.

    Args:
        poll_interval: seconds between two beats.
        on_rescue: called with each run that a dead node left and this one has freed.
        on_change: called when a beat tells that another node changed the catalogue.
        on_lease_end: called when the epoch has ended, or is about to end since it cannot be renewed.

    Attributes:
        epoch: the present one; 0 before `start`.
        is_ending: no beat renews the lease: nothing may begin that another node could do as well.
        is_closing: nobody is rescued and no epoch is taken any more.
    """

    def __init__(
        self,
        store: JobStore,
        holder: Holder,
        *,
        poll_interval: float,
        metrics: RunMetrics,
        on_rescue: Callable[[RunRecord], None],
        on_change: Callable[[], None],
        on_lease_end: Callable[[], None],
    ) -> None:
        self._store = store
        self._holder = holder
        self._poll_interval = poll_interval
        self._metrics = metrics
        self._on_rescue = on_rescue
        self._on_change = on_change
        self._on_lease_end = on_lease_end
        self._replacing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._version = -1
        self._margin = _LEASE_MARGIN
        self.epoch = 0
        self.is_ending = False
        self.is_closing = False

    async def start(self) -> None:
        """Take an epoch, free the runs of dead nodes, begin to beat."""
        await self._open()
        await self._rescue()
        beating = keep_doing(self._beat_and_rescue, asyncio.Event(), what="renew the lease")
        watching = keep_doing(self._watch, asyncio.Event(), what="watch the lease")
        self._tasks = [
            asyncio.create_task(beating, name="mainspring-heartbeat"),
            asyncio.create_task(watching, name="mainspring-lease"),
        ]
        if 0.0 < self._store.look_interval < self._poll_interval:  # else every heartbeat finds out as fast
            looking = keep_doing(self._look_for_deaths, asyncio.Event(), what="rescue runs of dead nodes")
            self._tasks.append(asyncio.create_task(looking, name="mainspring-neighbours"))

    async def close(self) -> None:
        """Beat no more and end the epoch; what it still holds is free then."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._store.close_node(self.epoch)
        except StorageError as error:  # those who wait for its runs must still be told that the app is closed
            log.warning("cannot end epoch %d, its runs are free when its lease ends: %s", self.epoch, error)

    def is_cut_off(self) -> bool:
        """Tell whether all tasks of the loop are cancelled, as at its end: these are, and nobody here did it."""
        return all(task.cancelling() or task.done() for task in self._tasks)

    async def replace(self, lost: int) -> None:
        """Take a new epoch in the place of one that was lost, unless that was done already."""
        async with self._replacing:  # whoever claims and whoever beats may find the lease lost
            if self.epoch != lost or self.is_closing:
                return
            self._on_lease_end()
            self._holder.stop_all(StopReason.LEASE_LOST)
            await self._open()
        log.warning("the lease of epoch %d ended, its handlers were cancelled; now epoch %d", lost, self.epoch)

    async def beat(self) -> None:
        """Renew the lease, and pass on what the store says.

        Raises:
            LeaseLostError: the epoch is dead.
        """
        sent = current_clock().monotonic()
        answer = await self._store.heartbeat(self.epoch)
        self._metrics.stored("heartbeat", current_clock().monotonic() - sent)
        if not answer.alive:
            raise LeaseLostError(epoch=self.epoch)
        for run_id in answer.cancelled:
            self._holder.stop_run(run_id)
        if answer.version != self._version:
            self._version = answer.version
            self._on_change()

    async def _open(self) -> None:
        self.epoch = await self._store.open_node(node_name(), takes=self._holder.takes)
        self._margin = min(_LEASE_MARGIN, (self._store.lease_end(self.epoch) - current_clock().monotonic()) / 3)

    async def _beat_and_rescue(self) -> float:
        epoch = self.epoch
        try:
            await self.beat()
            if not self.is_closing:
                await self._rescue()
            await self._holder.report()
        except LeaseLostError:
            await self.replace(epoch)
        return self._poll_interval * current_random().uniform(0.9, 1.1)

    async def _rescue(self) -> None:
        rescued = await self._store.rescue()
        if rescued:
            counts = Counter((record.job_id, record.state) for record in rescued)
            said = ", ".join(f"{count} of {job_id} now {state}" for (job_id, state), count in counts.items())
            log.warning("runs were left by a dead node: %s", said)
        for record in rescued:
            log.debug("run %s was left by a dead node", record.run_id)
            self._on_rescue(record)
            self._holder.wake()

    async def _look_for_deaths(self) -> float:
        if self._store.somebody_died() and not self.is_closing:
            await self._rescue()
        return self._store.look_interval

    async def _watch(self) -> float:
        """Stop the handlers while the lease still holds if no beat renews it: another node may then have their runs.

        They hand their runs back, as soon as the store takes that.
        """
        left = self._store.lease_end(self.epoch) - self._margin - current_clock().monotonic()
        was_ending, self.is_ending = self.is_ending, left <= 0
        if left > 0:
            if was_ending:
                self._holder.wake()
            return min(self._poll_interval, max(left, _LEAST_WAIT))
        self._on_lease_end()
        stopped = self._holder.stop_all(StopReason.LEASE_ENDING)
        if stopped:
            log.warning("the lease of epoch %d cannot be renewed: %d handlers are cancelled", self.epoch, stopped)
        return min(self._poll_interval, max(self._margin / 3, _LEAST_WAIT))  # for those that were on their way


def node_name() -> str:
    """Return host:pid, as people look for it."""
    return f"{socket.gethostname()}:{os.getpid()}"
