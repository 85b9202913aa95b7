"""The job store in memory: the promises of the SQLite store, but for surviving the program.

Every write happens in the call itself, in one go, and is answered in the loop's next turn.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, TypeVar

from mainspring.errors import ClosedError, InvalidArgumentError, MainspringError, StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import _memory_catalog as catalog
from mainspring.jobs.stores import _memory_nodes as nodes
from mainspring.jobs.stores._apps import AppName
from mainspring.jobs.stores._catalog_records import (
    Advance,
    AdvanceAnswer,
    BackfillRow,
    BackfillState,
    BackfillStep,
    JobRegistration,
    JobRow,
)
from mainspring.jobs.stores._claiming import Turns
from mainspring.jobs.stores._events import NO_RUN, refused
from mainspring.jobs.stores._instants import monotonic_us, now_us
from mainspring.jobs.stores._memory_claim import claim
from mainspring.jobs.stores._memory_configs import put_config
from mainspring.jobs.stores._memory_data import LiveNode, MemoryData
from mainspring.jobs.stores._memory_ends import cancel, finish, let_go
from mainspring.jobs.stores._memory_enqueue import enqueue, enqueue_all
from mainspring.jobs.stores._memory_events import keep_events, note_late, note_stranded
from mainspring.jobs.stores._memory_leases import drop_lease, take_lease
from mainspring.jobs.stores._memory_prune import prune
from mainspring.jobs.stores._memory_reads import MemoryReads, MemoryStoreReader
from mainspring.jobs.stores._memory_reports import keep_reports
from mainspring.jobs.stores._memory_schedules import set_paused, set_schedule
from mainspring.jobs.stores._records import (
    Claim,
    ClaimAnswer,
    Enqueue,
    EnqueueAnswer,
    Finish,
    HeartbeatAnswer,
    NodeTakes,
    Report,
    RunRecord,
)
from mainspring.jobs.stores._steering_records import ConfigRow, LeaseRow, Prune, Pruned, SetSchedule, TakeLease
from mainspring.sinks import SinkRun

T = TypeVar("T")


class MemoryStore(MemoryReads):
    """Keeps jobs and runs in memory, for tests and for programs whose work need not outlive them.

    Args:
        data: what it shares with other stores on the same loop; its own unless given.
        lease: seconds that a node lives without a heartbeat; by default as long as its store is open, since
            nodes on one loop cannot lose sight of one another.

    Raises:
        InvalidArgumentError: a value is outside its range.
    """

    kind: Literal["memory", "sqlite", "postgresql", "mysql"] = "memory"
    look_interval = 0.0

    def __init__(self, data: MemoryData | None = None, *, lease: float = math.inf) -> None:
        if lease <= 0:
            raise InvalidArgumentError(argument="lease", value=lease, expected="more than 0 seconds")
        super().__init__(MemoryData() if data is None else data)
        self._lease_us = lease * 1_000_000
        self._turns: Turns = {}
        self._owner: object | None = None

    async def open(self, *, app: AppName | None = None) -> None:
        """Take part; a store may be opened again after its end.

        Raises:
            StoreTakenError: the data belong to another app.
        """
        if app is not None:
            app.check(self._data.owner_label, store=self.location)
            self._data.owner_label = app.label
        self._owner = self._owner or object()
        self._data.owners.add(self._owner)

    async def close(self) -> None:
        """Take part no more; open epochs are left to die."""
        self._data.owners.discard(self._owner)
        self._owner = None

    async def schema(self) -> tuple[int | None, int]:
        """Return that there is none to bring up to date."""
        return 0, 0

    def reader(self) -> MemoryStoreReader:
        """Return what reads the same data without taking part."""
        return MemoryStoreReader(self._data)

    def now(self) -> int:
        """Return the host's instant in UTC microseconds."""
        return now_us()

    # ---- runs ----------------------------------------------------------------------------------------------

    async def open_node(self, name: str, *, takes: NodeTakes | None = None) -> int:
        """Register this process as a live node; see `RunStore`."""
        return nodes.open_node(self._opened(), LiveNode(self._owner, self._expiry(), name, now_us(), takes))

    async def close_node(self, epoch: int) -> None:
        """End the epoch; its runs become claimable at once."""
        nodes.close_node(self._opened(), epoch, now_us())

    def enqueue(self, command: Enqueue) -> Awaitable[EnqueueAnswer]:
        """Create one run; see `RunStore`."""
        return self._answer(partial(enqueue, command=command, now=now_us()))

    def enqueue_many(self, commands: Sequence[Enqueue]) -> Awaitable[Sequence[EnqueueAnswer]]:
        """Create many runs: all of them or none."""
        return self._answer(partial(enqueue_all, commands=commands, now=now_us()))

    def claim(self, command: Claim) -> Awaitable[ClaimAnswer]:
        """Take runs for a live epoch; see `RunStore`."""
        return self._answer(partial(claim, command=command, now=now_us(), turns=self._turns))

    def finish(self, command: Finish) -> Awaitable[RunRecord]:
        """End an attempt; see `RunStore`."""
        return self._answer(partial(finish, command=command, now=now_us()))

    def let_go(self, run_id: str, *, fence: int) -> Awaitable[None]:
        """Give back the places under limits that a finish has kept; see `RunStore`."""
        return self._answer(partial(let_go, run_id=run_id, fence=fence, now=now_us()))

    def lease_end(self, epoch: int) -> float:
        """Return until when the lease of an epoch holds; see `RunStore`."""
        node = self._data.nodes.get(epoch)
        return -math.inf if node is None else node.expires_at / 1_000_000

    def report(self, reports: Sequence[Report]) -> Awaitable[None]:
        """Keep what running attempts have said so far; see `RunStore`."""
        return self._answer(partial(keep_reports, reports=reports))

    def somebody_died(self) -> bool:
        """Return False: `rescue` finds out."""
        return False

    async def heartbeat(self, epoch: int) -> HeartbeatAnswer:
        """Renew the lease of an epoch; see `RunStore`."""
        return nodes.heartbeat(self._opened(), epoch, self._expiry(), now_us())

    async def rescue(self, *, max_rescues: int = 3) -> Sequence[RunRecord]:
        """Free the runs of dead epochs; see `RunStore`."""
        return nodes.rescue(self._opened(), max_rescues, monotonic=monotonic_us(), now=now_us())

    def cancel(self, run_id: str) -> Awaitable[RunRecord | None]:
        """Cancel a run, or ask its node to; see `RunStore`."""
        return self._answer(partial(cancel, run_id=run_id, now=now_us()))

    async def stage(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        """Keep a chunk of rows of a running run until its finish applies or drops it.

        Raises:
            StaleFenceError: the run is not held under this fence any more.
        """
        live = self._opened().live.get(run.run_id)
        if live is None or (live.record.state, live.record.fence) != (RunState.RUNNING, run.fence):
            raise StaleFenceError(run_id=run.run_id, fence=run.fence)
        self._data.rows.stage(run.run_id, run.fence, sink_name, sequence, payload)

    # ---- catalogue -----------------------------------------------------------------------------------------

    def register(self, jobs: Sequence[JobRegistration]) -> Awaitable[Sequence[JobRow]]:
        """Insert new jobs, rename those that `was` names, renew what has changed; see `JobRegistration`."""
        return self._answer(partial(catalog.register, jobs=jobs, now=now_us()))

    def advance(self, commands: Sequence[Advance]) -> Awaitable[Sequence[AdvanceAnswer]]:
        """Move cursors and create the runs that lie between; see `CatalogStore`."""
        return self._answer(partial(catalog.advance, commands=commands, now=now_us()))

    def set_paused(self, job_id: str, paused: bool) -> Awaitable[JobRow | None]:
        """Stop or resume making and claiming a job's scheduled runs; None for an unknown job."""
        return self._answer(partial(set_paused, job_id=job_id, paused=paused, now=now_us()))

    def set_schedule(self, command: SetSchedule) -> Awaitable[JobRow | None]:
        """Put a schedule over that of the code, or take it away; None for an unknown job."""
        return self._answer(partial(set_schedule, command=command, now=now_us()))

    def put_config(self, row: ConfigRow) -> Awaitable[ConfigRow]:
        """Add a version to a job's config unless its number is taken; return what has the number then."""
        return self._answer(partial(put_config, row=row))

    def take_lease(self, command: TakeLease) -> Awaitable[LeaseRow]:
        """Take a lease by its name; see `CatalogStore`."""
        return self._answer(partial(take_lease, command=command, now=now_us()))

    def drop_lease(self, lease: str, holder: str) -> Awaitable[None]:
        """Give a lease back, if this holder has it."""
        return self._answer(partial(drop_lease, lease=lease, holder=holder))

    def create_backfill(self, row: BackfillRow, *, downstream: Sequence[BackfillRow] = ()) -> Awaitable[None]:
        """Store a new backfill and those that come after it."""
        return self._answer(partial(catalog.create_backfills, rows=(row, *downstream)))

    def step_backfill(self, command: BackfillStep) -> Awaitable[BackfillRow]:
        """Apply one step if its cursor still holds; return the row as it then stands."""
        return self._answer(partial(catalog.step_backfill, step=command, now=now_us()))

    def set_backfill_state(self, backfill_id: str, state: BackfillState) -> Awaitable[BackfillRow]:
        """Pause, resume or cancel; see `CatalogStore`."""
        return self._answer(partial(catalog.set_backfill_state, backfill_id=backfill_id, state=state, now=now_us()))

    def prune(self, command: Prune) -> Awaitable[Pruned]:
        """Remove ended runs from the history; see `CatalogStore`."""
        return self._answer(partial(prune, command=command, now=now_us()))

    def settle_waiting(
        self, *, released: Sequence[str] = (), blocked: Sequence[tuple[str, str]] = ()
    ) -> Awaitable[None]:
        """Make `released` runs AVAILABLE and note why those in `blocked` still wait."""
        return self._answer(partial(catalog.settle_waiting, released=released, blocked=blocked, now=now_us()))

    def note_late(
        self, job_id: str, *, scheduled_before: int, ended: Sequence[str] = ()
    ) -> Awaitable[Sequence[RunRecord]]:
        """Note which runs of a job are late; see `CatalogStore`."""
        late = partial(note_late, job_id=job_id, scheduled_before=scheduled_before, ended=ended, now=now_us())
        return self._answer(late)

    def note_stranded(self, run_ids: Sequence[str]) -> Awaitable[Sequence[RunRecord]]:
        """Note that nobody takes these runs; see `CatalogStore`."""
        return self._answer(partial(note_stranded, run_ids=run_ids, now=now_us()))

    def note_refused(self, job_id: str, *, reason: str, error: str) -> Awaitable[None]:
        """Note that a call made no run; see `CatalogStore`."""
        events = [(now_us(), job_id, NO_RUN, refused(reason, error))]
        return self._answer(partial(keep_events, events=events))

    # ---- inside --------------------------------------------------------------------------------------------

    def _opened(self) -> MemoryData:
        if self._owner is None:
            raise ClosedError(what="the job store in memory")
        return self._data

    def _expiry(self) -> float:
        return monotonic_us() + self._lease_us

    def _answer(self, work: Callable[[MemoryData], T]) -> Awaitable[T]:
        """Do the work now and answer in the next turn, so that who asks in a loop leaves room to others."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        try:
            result = work(self._opened())
        except MainspringError as error:
            loop.call_soon(_set_error, answer, error)
        else:
            loop.call_soon(_set_result, answer, result)
        return answer


def _set_result(answer: "asyncio.Future[T]", result: T) -> None:
    if not answer.done():  # its caller may be gone
        answer.set_result(result)


def _set_error(answer: "asyncio.Future[T]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
