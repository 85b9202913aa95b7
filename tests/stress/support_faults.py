"""A job store that gets into trouble by the numbers of a seed, and an audit of all that it answers."""

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from mainspring.base import current_clock, current_random
from mainspring.errors import StoreBusyError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    Advance,
    AdvanceAnswer,
    AppName,
    AttemptLog,
    BackfillRow,
    BackfillState,
    BackfillStep,
    Claim,
    ClaimAnswer,
    ConfigRow,
    DoneRange,
    Enqueue,
    EnqueueAnswer,
    EventRow,
    Finish,
    HeartbeatAnswer,
    JobRegistration,
    JobRow,
    JobStore,
    LeaseRow,
    NodeRow,
    NodeTakes,
    Prune,
    Pruned,
    QueueRow,
    Report,
    RunFilter,
    RunRecord,
    ScheduleRow,
    SetSchedule,
    StoreReader,
    StrandedRow,
    TakeLease,
)
from mainspring.sinks import SinkRun

T = TypeVar("T")

LEASE = 5.0


class Audit:
    """What all nodes together were told; complains as soon as two answers do not fit."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.held: dict[str, RunRecord] = {}
        self.fences: dict[str, int] = {}
        self.config_versions: dict[str, int | None] = {}
        self.ended: set[tuple[str, int]] = set()  # (run, fence) of accepted finishes
        self.retried: Counter[str] = Counter()
        self.successes: Counter[tuple[str, int | None, int]] = Counter()
        self.owners: dict[int, FaultyStore] = {}
        self.alone: set[FaultyStore] = set()  # who holds the lease, by what they were told

        self.trace: list[tuple[float, object]] = []  # all that befell the nodes and all that they were told, and when
        self.numbers = itertools.count(1)

    def tell(self, what: object) -> None:
        self.trace.append((asyncio.get_running_loop().time(), what))

    def complain(self, problem: str) -> None:
        self.problems.append(problem)

    def claimed(self, record: RunRecord) -> None:
        before = self.held.get(record.run_id)
        if before is not None and before.fence == record.fence:
            return  # the same answer again
        if before is not None:
            self.complain(f"{record.run_id} was claimed while epoch {before.epoch} held it")
        if record.fence <= self.fences.get(record.run_id, 0):
            self.complain(f"{record.run_id} was claimed under an old fence")
        if self.config_versions.setdefault(record.run_id, record.config_version) != record.config_version:
            self.complain(f"{record.run_id} was claimed with another version of the config than at first")
        self.held[record.run_id] = record
        self.fences[record.run_id] = record.fence

    def finished(self, command: Finish, record: RunRecord) -> None:
        mine = (command.run_id, command.fence)
        held = self.held.get(command.run_id)
        if held is not None and held.fence == command.fence:
            del self.held[command.run_id]
            self.ended.add(mine)
            self.retried[record.run_id] += record.state is RunState.RETRYING
            if record.state is RunState.SUCCEEDED and record.interval_start is not None:
                self._succeeded(record)
        elif mine not in self.ended:
            self.complain(f"a finish of {command.run_id} was accepted, which fence {command.fence} did not hold")

    def _succeeded(self, record: RunRecord) -> None:
        key = (record.job_id, record.interval_start, record.generation)
        self.successes[key] += 1
        if self.successes[key] > 1:
            self.complain(f"{key} succeeded twice")

    def rescued(self, records: Sequence[RunRecord]) -> None:
        for record in records:
            held = self.held.pop(record.run_id, None)
            if held is None:
                self.complain(f"{record.run_id} was rescued, which nobody held")
            elif self.owners[held.epoch or 0].is_well():
                self.complain(f"{record.run_id} was taken from epoch {held.epoch}, whose node is well")

    def closed(self, epoch: int) -> None:
        for run_id in [run_id for run_id, record in self.held.items() if record.epoch == epoch]:
            del self.held[run_id]


class FaultyStore:
    """One node's way to the store: slow, refused, cut off, its answers lost; at last gone, like its process.

    Args:
        rate: the share of calls that get into trouble.
    """

    kind: Literal["memory", "sqlite", "postgresql", "mysql"] = "memory"
    location = "simulated"
    look_interval = 0.0

    def __init__(self, inner: JobStore, audit: Audit, *, rate: float) -> None:
        self.inner = inner
        self.audit = audit
        self.rate = rate
        self.name = f"node {next(audit.numbers)}"  # no process is part of a story
        self.cut = False
        self.gone = False
        self._trouble_at = -math.inf
        self._lease_ends: dict[int, float] = {}

    def is_well(self) -> bool:
        """Tell whether nothing befell this node for longer than a lease."""
        now = asyncio.get_running_loop().time()
        return not self.gone and not self.cut and now - self._trouble_at > 2 * LEASE

    @contextmanager
    def alone(self) -> Generator[None]:
        """Complain when two nodes that live are within at the same time."""
        others = [other for other in self.audit.alone if not other.gone]
        if others and not self.gone:
            self.audit.complain("two nodes hold one lease")
        self.audit.alone.add(self)
        try:
            yield
        finally:
            self.audit.alone.discard(self)

    def heal(self) -> None:
        self.cut, self.rate = False, 0.0
        self._note_trouble()

    async def _call(
        self, work: Callable[[], Awaitable[T]], saw: Callable[[T], None] | None = None, *, vital: bool = False
    ) -> T:
        """Do a call, or not; `vital` ones are those without which a lease runs out."""
        random = current_random()
        fault = random.choice(["slow", "refused", "lost"]) if random.random() < self.rate else ""
        if fault:
            self.audit.tell(fault)
        if fault and vital:
            self._note_trouble()
        await asyncio.sleep(random.uniform(0.1, 4.0) if fault == "slow" else random.random() * 0.02)
        if fault == "refused":
            raise self._trouble("refused")
        self._look()
        result = await work()
        self.audit.tell(result)
        if saw is not None:
            saw(result)
        await asyncio.sleep(random.random() * 0.02)
        self._look()
        if fault == "lost":
            raise self._trouble("the answer is lost")
        return result

    def _look(self) -> None:
        if self.cut or self.gone:
            self._note_trouble()
            self.audit.tell("out of reach")
            raise self._trouble("out of reach")

    def _trouble(self, reason: str) -> StoreBusyError:
        return StoreBusyError(store=self.location, reason=reason)

    def _note_trouble(self) -> None:
        self._trouble_at = asyncio.get_running_loop().time()

    # ---- its life ------------------------------------------------------------------------------------------

    async def open(self, *, app: AppName | None = None) -> None:
        await self.inner.open(app=app)
        self._note_trouble()

    async def close(self) -> None:
        await self.inner.close()

    def reader(self) -> StoreReader:
        return self.inner.reader()

    def now(self) -> int:
        return self.inner.now()

    async def open_node(self, name: str, *, takes: NodeTakes | None = None) -> int:
        def saw(epoch: int) -> None:
            self.audit.owners[epoch] = self

        sent = current_clock().monotonic()
        epoch = await self._call(lambda: self.inner.open_node(self.name, takes=takes), saw, vital=True)
        self._lease_ends[epoch] = sent + LEASE
        return epoch

    async def close_node(self, epoch: int) -> None:
        await self._call(lambda: self.inner.close_node(epoch), lambda _: self.audit.closed(epoch))

    # ---- runs ----------------------------------------------------------------------------------------------

    async def enqueue(self, command: Enqueue) -> EnqueueAnswer:
        def saw(answer: EnqueueAnswer) -> None:
            if answer.claimed is not None:
                self.audit.claimed(answer.claimed)

        return await self._call(lambda: self.inner.enqueue(command), saw)

    async def enqueue_many(self, commands: Sequence[Enqueue]) -> Sequence[EnqueueAnswer]:
        return await self._call(lambda: self.inner.enqueue_many(commands))

    async def claim(self, command: Claim) -> ClaimAnswer:
        def saw(answer: ClaimAnswer) -> None:
            for record in answer.runs:
                self.audit.claimed(record)

        return await self._call(lambda: self.inner.claim(command), saw)

    async def finish(self, command: Finish) -> RunRecord:
        return await self._call(lambda: self.inner.finish(command), lambda record: self.audit.finished(command, record))

    async def let_go(self, run_id: str, *, fence: int) -> None:
        await self._call(lambda: self.inner.let_go(run_id, fence=fence))

    async def report(self, reports: Sequence[Report]) -> None:
        await self._call(lambda: self.inner.report(reports))

    async def heartbeat(self, epoch: int) -> HeartbeatAnswer:
        sent = current_clock().monotonic()
        answer = await self._call(lambda: self.inner.heartbeat(epoch), vital=True)
        if answer.alive:
            self._lease_ends[epoch] = sent + LEASE * 0.9  # what SQLite promises of a renewal
        return answer

    def somebody_died(self) -> bool:
        return self.inner.somebody_died()

    def lease_end(self, epoch: int) -> float:
        return self._lease_ends.get(epoch, -math.inf)

    async def rescue(self, *, max_rescues: int = 3) -> Sequence[RunRecord]:
        return await self._call(lambda: self.inner.rescue(max_rescues=max_rescues), self.audit.rescued, vital=True)

    async def cancel(self, run_id: str) -> RunRecord | None:
        return await self._call(lambda: self.inner.cancel(run_id))

    async def stage(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        await self._call(lambda: self.inner.stage(run, sink_name, sequence, payload))

    # ---- catalogue -----------------------------------------------------------------------------------------

    async def register(self, jobs: Sequence[JobRegistration]) -> Sequence[JobRow]:
        return await self._call(lambda: self.inner.register(jobs))

    async def advance(self, commands: Sequence[Advance]) -> Sequence[AdvanceAnswer]:
        return await self._call(lambda: self.inner.advance(commands))

    async def set_paused(self, job_id: str, paused: bool) -> JobRow | None:
        return await self._call(lambda: self.inner.set_paused(job_id, paused))

    async def set_schedule(self, command: SetSchedule) -> JobRow | None:
        return await self._call(lambda: self.inner.set_schedule(command))

    async def schema(self) -> tuple[int | None, int]:
        return await self.inner.schema()

    async def check(self) -> Sequence[str]:
        return await self.inner.check()

    async def backup(self, file: Path) -> int:
        return await self.inner.backup(file)

    async def schedules(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ScheduleRow]:
        return await self._call(lambda: self.inner.schedules(job_id, before=before, limit=limit))

    async def put_config(self, row: ConfigRow) -> ConfigRow:
        return await self._call(lambda: self.inner.put_config(row))

    async def configs(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ConfigRow]:
        return await self._call(lambda: self.inner.configs(job_id, before=before, limit=limit))

    async def take_lease(self, command: TakeLease) -> LeaseRow:
        return await self._call(lambda: self.inner.take_lease(command))

    async def drop_lease(self, lease: str, holder: str) -> None:
        await self._call(lambda: self.inner.drop_lease(lease, holder))

    async def stranded(self) -> Sequence[StrandedRow]:
        return await self._call(self.inner.stranded)

    async def leases(self) -> Sequence[LeaseRow]:
        return await self._call(self.inner.leases)

    async def create_backfill(self, row: BackfillRow, *, downstream: Sequence[BackfillRow] = ()) -> None:
        await self._call(lambda: self.inner.create_backfill(row, downstream=downstream))

    async def step_backfill(self, command: BackfillStep) -> BackfillRow:
        return await self._call(lambda: self.inner.step_backfill(command))

    async def set_backfill_state(self, backfill_id: str, state: BackfillState) -> BackfillRow:
        return await self._call(lambda: self.inner.set_backfill_state(backfill_id, state))

    async def prune(self, command: Prune) -> Pruned:
        return await self._call(lambda: self.inner.prune(command))

    async def settle_waiting(self, *, released: Sequence[str] = (), blocked: Sequence[tuple[str, str]] = ()) -> None:
        await self._call(lambda: self.inner.settle_waiting(released=released, blocked=blocked))

    async def note_late(self, job_id: str, *, scheduled_before: int, ended: Sequence[str] = ()) -> Sequence[RunRecord]:
        return await self._call(lambda: self.inner.note_late(job_id, scheduled_before=scheduled_before, ended=ended))

    async def note_stranded(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
        return await self._call(lambda: self.inner.note_stranded(run_ids))

    async def note_refused(self, job_id: str, *, reason: str, error: str) -> None:
        await self._call(lambda: self.inner.note_refused(job_id, reason=reason, error=error))

    # ---- reads ---------------------------------------------------------------------------------------------

    async def owner_label(self) -> str | None:
        return await self._call(self.inner.owner_label)

    async def run(self, run_id: str) -> RunRecord | None:
        return await self._call(lambda: self.inner.run(run_id))

    async def runs(self, which: RunFilter) -> Sequence[RunRecord]:
        return await self._call(lambda: self.inner.runs(which))

    async def ended(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
        return await self._call(lambda: self.inner.ended(run_ids))

    async def unknown(self, run_ids: Sequence[str]) -> Sequence[str]:
        return await self._call(lambda: self.inner.unknown(run_ids))

    async def logs(self, run_id: str) -> Sequence[AttemptLog]:
        return await self._call(lambda: self.inner.logs(run_id))

    async def events(self, run_id: str) -> Sequence[EventRow]:
        return await self._call(lambda: self.inner.events(run_id))

    async def jobs(self) -> Sequence[JobRow]:
        return await self._call(self.inner.jobs)

    async def job_counts(self) -> Sequence[tuple[str, str, int]]:
        return await self._call(self.inner.job_counts)

    async def queue_counts(self) -> Sequence[tuple[str, str, int]]:
        return await self._call(self.inner.queue_counts)

    async def done(self, job_id: str, start: int, end: int) -> Sequence[DoneRange]:
        return await self._call(lambda: self.inner.done(job_id, start, end))

    async def waiting(self, *, jobs: frozenset[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        return await self._call(lambda: self.inner.waiting(jobs=jobs, limit=limit, after=after))

    async def backfill(self, backfill_id: str) -> BackfillRow | None:
        return await self._call(lambda: self.inner.backfill(backfill_id))

    async def nodes(self, *, before: int | None = None, limit: int = 100) -> Sequence[NodeRow]:
        return await self._call(lambda: self.inner.nodes(before=before, limit=limit))

    async def queues(self) -> Sequence[QueueRow]:
        return await self._call(self.inner.queues)

    async def watermarks(self, jobs: Sequence[str] | None = None) -> Sequence[tuple[str, int]]:
        return await self._call(lambda: self.inner.watermarks(jobs))

    async def backfills(
        self,
        *,
        job_id: str | None = None,
        states: frozenset[BackfillState] = frozenset(),
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[BackfillRow]:
        return await self._call(lambda: self.inner.backfills(job_id=job_id, states=states, before=before, limit=limit))
