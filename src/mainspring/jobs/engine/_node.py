"""A node: takes runs from the store under its epoch, and runs them as far as it has slots.

One task claims; those of the node's tenure keep its epoch alive. A run's own task is owned here until it has ended.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, TypeVar, TypeVarTuple

from mainspring.base import current_clock
from mainspring.errors import ClosedError, LeaseLostError, MisuseError, StorageError
from mainspring.jobs.engine._capture import current_hearer
from mainspring.jobs.engine._execution import Execution, StopReason
from mainspring.jobs.engine._left_threads import LeftThreads
from mainspring.jobs.engine._metrics import RunMetrics
from mainspring.jobs.engine._recording import record_end
from mainspring.jobs.engine._reports import Reporter
from mainspring.jobs.engine._slots import Slots
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.engine._tenure import Tenure
from mainspring.jobs.engine._work import Work
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    Claim,
    Enqueue,
    EnqueueAnswer,
    Finish,
    JobStore,
    NewRun,
    NodeTakes,
    RunFilter,
    RunKind,
    RunRecord,
)
from mainspring.resilience import timeout
from mainspring.storage import Reply, reply_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = logging.getLogger(__name__)

CLAIM_BATCH: Final = 1000
_HELD: Final = frozenset({RunState.RUNNING})
_LIMITED: Final = frozenset({RunKind.SCHEDULE, RunKind.BACKFILL})  # runs whose end may let another one go
_MARGIN: Final = 0.5  # seconds beyond a grace: executions use up the whole of it for their threads


class Node:
    """Runs the jobs of one app in this process; made, started and closed by the app.

    Args:
        works: job id to what its runs share; only these jobs are claimed.
        slots: handlers that may run at once.
        live_reserve: slots that backfills leave to other runs.
        poll_interval: seconds between heartbeats, and between claims when nothing woke the node.
        cancel_grace: seconds that a handler may take to stop before that is said.
        metrics: what the node counts.
        on_start: called with the record of each attempt that begins here.
        on_end: called with the record of each run that ended here (terminal, retrying or handed back).
        on_change: called when a heartbeat tells that another node changed the catalogue.
        on_lease_end: called when the epoch has ended, or is about to end since it cannot be renewed.
    """

    def __init__(
        self,
        store: JobStore,
        works: Mapping[str, Work],
        *,
        slots: int,
        live_reserve: int,
        queues: tuple[str, ...],
        poll_interval: float,
        cancel_grace: float,
        metrics: RunMetrics,
        on_start: Callable[[RunRecord], None],
        on_end: Callable[[RunRecord], None],
        on_change: Callable[[], None],
        on_lease_end: Callable[[], None],
    ) -> None:
        self._store = store
        self._works = works
        self._reporter = Reporter(store)
        self._slots = Slots(slots, on_free=self.wake)
        self._backfill_slots = slots - live_reserve
        self._backfills = 0  # that run here
        self._queues = queues
        self._poll_interval = poll_interval
        self._cancel_grace = cancel_grace
        self._metrics = metrics
        self._on_start = on_start
        self._on_end = on_end
        self._running: dict[Execution, None] = {}  # oldest first
        self._left = LeftThreads(store, on_end=self._leave, on_free=self.wake)
        # invariant: the slots are held by those that run, and by those whose threads are left
        self._latest: dict[str, Execution] = {}  # by run: one that lost its lease may run beside the next
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._asked: set[str] | None = None  # the jobs of a guest
        self._all_jobs = frozenset(works)
        self._is_full = False  # the last look may have left runs for which there was no slot
        self._is_unsure = False  # an answer was lost that may have given us runs
        self._hot: set[str] = set()  # runs on their way to the store that may be claimed there
        self._begun: set[str] | None = None  # runs that began while we look for those of a lost answer
        self._claiming: asyncio.Task[None] | None = None
        self.tenure = Tenure(
            store,
            self,
            poll_interval=poll_interval,
            metrics=metrics,
            on_rescue=on_end,
            on_change=on_change,
            on_lease_end=on_lease_end,
        )

    async def start(self, *, guest: bool = False) -> None:
        """Take an epoch, free the runs of dead nodes, begin to claim: a guest only jobs that it was asked for."""
        self._asked = set() if guest else None
        await self.tenure.start()
        claiming = keep_doing(self._claim, self._wake, what="claim runs")
        self._claiming = asyncio.create_task(claiming, name="mainspring-claim")

    async def close(self, *, drain_timeout: float) -> None:
        """Stop claiming, let handlers end for `drain_timeout` seconds, then hand their runs back."""
        self.tenure.is_closing = True
        if self._claiming is not None:
            self._claiming.cancel()
        if self._running:
            await self._until_idle(drain_timeout)
        self.stop_all(StopReason.DRAIN)
        if self._running:
            await self._until_idle(self._cancel_grace + _MARGIN)
        await self._give_up_ends()
        for execution in self._running:
            log.error("run %s of %s does not stop; left behind", execution.record.run_id, execution.record.job_id)
        if self._claiming is not None:
            await asyncio.gather(self._claiming, return_exceptions=True)
        await self._left.close()
        await self.tenure.close()

    async def _give_up_ends(self) -> None:
        """End the tasks that still send ends to a store which does not take them."""
        recorders = {one: task for one in self._running if (task := one.recorder) is not None}
        for execution, task in recorders.items():
            record = execution.record
            log.error("the end of run %s of %s was not recorded: it will run again", record.run_id, record.job_id)
            task.cancel()
        await asyncio.gather(*recorders.values(), return_exceptions=True)

    def wake(self) -> None:
        """Look for runs now: something was enqueued or released."""
        self._wake.set()

    def take_on(self, job_id: str) -> None:
        """Claim runs of this job too: somebody asked for them here."""
        if self._asked is not None and job_id not in self._asked:
            self._asked.add(job_id)
            self.wake()

    @property
    def epoch(self) -> int:
        """The epoch under which runs are claimed; 0 before `start`."""
        return self.tenure.epoch

    @property
    def takes(self) -> NodeTakes:
        """What the other nodes are told that this one runs."""
        jobs = self._all_jobs if self._asked is None else frozenset[str]()
        return NodeTakes(jobs=jobs, queues=frozenset(self._queues))

    @property
    def running_count(self) -> int:
        """Handlers that run now, and threads that go on after their runs had to end."""
        return len(self._running) + len(self._left)

    async def enqueue(self, run: NewRun, *, claim: bool) -> EnqueueAnswer:
        """Create a run; with `claim` it may begin here at once. A cancelled caller does not touch the run.

        Raises:
            MisuseError: its job was declared too late for this node.
        """
        waiter: asyncio.Future[EnqueueAnswer] = asyncio.get_running_loop().create_future()
        self.submit(run, _resolve, waiter, claim=claim)
        return await waiter

    def submit(
        self, run: NewRun, then: Callable[[*Ts, EnqueueAnswer | BaseException], None], *args: *Ts, claim: bool
    ) -> None:
        """Create a run as `enqueue` does, without waiting; `then(*args, answer)` is told, or what came in its way.

        Raises:
            MisuseError: its job was declared too late for this node.
        """
        epoch = self.tenure.epoch
        if epoch and run.job_id not in self._works:
            raise MisuseError(
                what=f"the job {run.job_id!r}",
                problem="was declared after the app was opened",
                hint="declare it before the app is opened",
            )
        self.take_on(run.job_id)
        hot = claim and not run.priority and self._has_slot() and run.queue in self._queues
        command = Enqueue(run=run, claim_epoch=epoch if hot else None)
        reply = reply_of(self._store.enqueue(command))
        if hot:
            self._slots.reserved += 1
            self._hot.add(run.run_id)
        reply.then(self._enqueued, run.run_id if hot else None, then, args)

    def _has_slot(self) -> bool:
        return not self.tenure.is_closing and not self.tenure.is_ending and self._slots.free > 0

    def _enqueued(
        self,
        hot: str | None,
        then: Callable[[*Ts, EnqueueAnswer | BaseException], None],
        args: tuple[*Ts],
        reply: Reply[EnqueueAnswer],
    ) -> None:
        error = reply.error
        if hot is not None:
            self._slots.reserved -= 1
            self._hot.discard(hot)
            self._is_unsure |= error is not None
        if error is not None:
            if isinstance(error, StorageError):
                self._metrics.store_failed("enqueue")
            then(*args, ClosedError(what="the app") if isinstance(error, asyncio.CancelledError) else error)
            return
        answer = reply.result()
        if answer.claimed is None:
            self._slots.settle()
            self._wake.set()
        elif not self.tenure.is_closing:  # else it is freed with the epoch
            self._metrics.claim_count += 1
            self.begin(answer.claimed)
        then(*args, answer)

    def begin(self, record: RunRecord) -> None:
        """Run a claimed run in a task of its own."""
        work, grace, is_cut_off = self._works[record.job_id], self._cancel_grace, self.tenure.is_cut_off
        execution = Execution(work, record, cancel_grace=grace, is_cut_off=is_cut_off, on_end=self._handled)
        self._on_start(record)
        self._running[execution] = None
        self._slots.holders.add(execution)
        self._backfills += record.kind is RunKind.BACKFILL
        self._latest[record.run_id] = execution
        if self._begun is not None:
            self._begun.add(record.run_id)
        self._idle.clear()
        execution.begin()

    def running_record(self, run_id: str) -> RunRecord | None:
        """Return the record of a run that runs here, as it was claimed."""
        execution = self._latest.get(run_id)
        return None if execution is None else execution.record

    @property
    def in_handler(self) -> bool:
        """True in the code of a handler that runs here."""
        return current_hearer() in self._slots.holders

    async def waiting(self, awaitable: Awaitable[T]) -> T:
        """Wait for what other runs do; a handler gives its slot back meanwhile."""
        return await self._slots.lend(current_hearer(), awaitable)

    def stop_run(self, run_id: str) -> None:
        """Cancel the handler of a run whose cancel was asked for, if it runs here."""
        execution = self._latest.get(run_id)
        if execution is not None:
            execution.stop(StopReason.CANCEL)

    def stop_all(self, reason: StopReason) -> int:
        """Ask all handlers that run here to stop; return how many had not been asked before."""
        return sum(execution.stop(reason) for execution in list(self._running))

    async def report(self) -> None:
        """Tell the store what the handlers have said so far."""
        await self._reporter.report(self._running)

    def _handled(self, execution: Execution, finish: Finish | None) -> None:
        if finish is None:
            self._ended(execution, None)
        else:
            record_end(execution, finish, self._ended)

    def _ended(self, execution: Execution, record: RunRecord | None) -> None:
        run_id = execution.record.run_id
        if execution in self._running:
            del self._running[execution]
            if execution.thread_left is None:
                self._leave(execution)
            else:
                self._left.add(execution, execution.thread_left)
        if self._latest.get(run_id) is execution:
            del self._latest[run_id]
        if not self._running:
            self._idle.set()
        if self._is_full or record is None or not record.state.terminal or record.kind in _LIMITED:
            self._wake.set()
        if record is not None:
            self._on_end(record)

    def _leave(self, execution: Execution) -> None:
        """Give back the slot of a handler that is gone."""
        self._backfills -= execution.record.kind is RunKind.BACKFILL
        self._slots.leave(execution)
        self._slots.settle()
        if execution.thread_left is not None:
            self._wake.set()

    async def _until_idle(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with timeout(seconds):
                await self._idle.wait()

    async def _claim(self) -> float:
        epoch = self.epoch
        try:
            return await self._claim_once()
        except LeaseLostError:
            await self.tenure.replace(epoch)
            return 0.0

    async def _claim_once(self) -> float:
        """Claim one batch and start it; return the seconds until it is worth to try again."""
        if self._is_unsure and not self.tenure.is_ending:
            await self._begin_lost()
        free = self._slots.free
        self._is_full = free <= 0
        if free <= 0 or self.tenure.is_ending:
            return self._poll_interval
        limit = min(free, CLAIM_BATCH)
        command = Claim(
            epoch=self.epoch,
            limit=limit,
            jobs=self._all_jobs if self._asked is None else self._all_jobs & self._asked,
            queues=self._queues,
            backfills=max(self._backfill_slots - self._backfills, 0),
        )
        self._slots.reserved += limit  # a hot claim in the meantime must not take the same slots
        sent = current_clock().monotonic()
        try:
            answer = await self._store.claim(command)
        except LeaseLostError:
            raise
        except Exception:
            self._is_unsure = True
            self._metrics.store_failed("claim")
            raise
        finally:
            self._slots.reserved -= limit
        self._metrics.stored("claim", current_clock().monotonic() - sent)
        self._metrics.claimed(len(answer.runs))
        for record in answer.skipped:
            self._on_end(record)
        for record in answer.runs:
            self.begin(record)
        self._slots.settle()
        self._is_full = len(answer.runs) == limit
        if self._is_full:
            return 0.0
        if answer.next_available_at is None:
            return self._poll_interval
        return min(self._poll_interval, max((answer.next_available_at - self._store.now()) / 1e6, 0.001))

    async def _begin_lost(self) -> None:
        """Begin the runs that an answer which never came has given to this epoch."""
        epoch, last = self.epoch, None
        self._is_unsure, self._begun = False, {*self._latest, *self._hot}
        try:
            while page := await self._store.runs(RunFilter(states=_HELD, before=last, limit=CLAIM_BATCH)):
                last = page[-1].run_id
                if self.tenure.is_ending or epoch != self.epoch:
                    self._is_unsure = epoch == self.epoch
                    break
                for record in page:
                    known = record.run_id in self._begun or record.run_id in self._hot
                    if record.epoch == epoch and not known and record.job_id in self._works:
                        log.warning(
                            "run %s of %s begins: the answer that gave it was lost", record.run_id, record.job_id
                        )
                        self.begin(record)
        except BaseException:
            self._is_unsure = True
            raise
        finally:
            self._begun = None


def _resolve(waiter: "asyncio.Future[EnqueueAnswer]", answer: EnqueueAnswer | BaseException) -> None:
    if waiter.done():
        return
    if isinstance(answer, BaseException):
        waiter.set_exception(answer)
    else:
        waiter.set_result(answer)
