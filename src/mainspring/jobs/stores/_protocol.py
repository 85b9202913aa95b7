"""The three protocols of a job store: the hot path, the catalogue, and what people list.

Writes travel in group commits: an awaitable returned here is resolved after its commit. Calls may be made
from the loop that opened the store only. Every command may be sent again after a lost reply.
"""

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from mainspring.jobs.stores._apps import AppName
from mainspring.jobs.stores._catalog_records import (
    Advance,
    AdvanceAnswer,
    BackfillRow,
    BackfillState,
    BackfillStep,
    DoneRange,
    JobRegistration,
    JobRow,
)
from mainspring.jobs.stores._events import EventRow
from mainspring.jobs.stores._records import (
    AttemptLog,
    Claim,
    ClaimAnswer,
    Enqueue,
    EnqueueAnswer,
    Finish,
    HeartbeatAnswer,
    NodeRow,
    NodeTakes,
    QueueRow,
    Report,
    RunFilter,
    RunRecord,
    StrandedRow,
)
from mainspring.jobs.stores._steering_records import (
    ConfigRow,
    LeaseRow,
    Prune,
    Pruned,
    ScheduleRow,
    SetSchedule,
    TakeLease,
)
from mainspring.sinks import SinkRun

if TYPE_CHECKING:
    from pathlib import Path


class RunStore(Protocol):
    """The hot path: runs come, are claimed under a fence, and end.

    Attributes:
        look_interval: seconds between looks for nodes that have died; 0.0 when only `rescue` can find out.
    """

    look_interval: float

    def now(self) -> int:
        """Return the store's instant in UTC microseconds."""
        ...

    async def open_node(self, name: str, *, takes: NodeTakes | None = None) -> int:
        """Register this process as a live node and return its epoch, which grows and is never used again."""
        ...

    async def close_node(self, epoch: int) -> None:
        """End the epoch; its runs become claimable at once, and what it kept of limits is let go."""
        ...

    def enqueue(self, command: Enqueue) -> Awaitable[EnqueueAnswer]:
        """Create one run.

        Raises:
            IdempotencyError: the key was used with other arguments.
        """
        ...

    def enqueue_many(self, commands: Sequence[Enqueue]) -> Awaitable[Sequence[EnqueueAnswer]]:
        """Create many runs in one transaction; answers in order."""
        ...

    def claim(self, command: Claim) -> Awaitable[ClaimAnswer]:
        """Take runs for a live epoch.

        Raises:
            LeaseLostError: the epoch is dead.
        """
        ...

    def finish(self, command: Finish) -> Awaitable[RunRecord]:
        """End an attempt and return the run as it then stands.

        Raises:
            StaleFenceError: another claim or a rescue came first; nothing was written.
            SinkWriteError: a transactional write failed; nothing was written and the run is still running.
        """
        ...

    def let_go(self, run_id: str, *, fence: int) -> Awaitable[None]:
        """Give back the places under limits that a finish with `keeps_limits` has kept for this claim of a run, if they
        still are; runs that wait for them may be claimed then."""
        ...

    def report(self, reports: Sequence[Report]) -> Awaitable[None]:
        """Keep what running attempts have said so far; what another claim or a finish has overtaken is dropped."""
        ...

    def heartbeat(self, epoch: int) -> Awaitable[HeartbeatAnswer]:
        """Renew the lease of an epoch and learn what other nodes asked for."""
        ...

    def lease_end(self, epoch: int) -> float:
        """Return until when, on the monotonic clock of this process, the lease of an epoch is known to hold.

        Counted from when the last good renewal was sent; never waits. Minus infinity for an epoch that is not ours.
        """
        ...

    def somebody_died(self) -> bool:
        """Tell whether a node is seen to be dead that was not at the last look; `rescue` then frees its runs.

        Costs next to nothing and never waits.
        """
        ...

    def rescue(self, *, max_rescues: int = 3) -> Awaitable[Sequence[RunRecord]]:
        """Free the runs of epochs that are dead and return them as they stand: AVAILABLE, or FAILED after
        `max_rescues` deaths."""
        ...

    def cancel(self, run_id: str) -> Awaitable[RunRecord | None]:
        """Cancel a run: at once when nobody runs it, else as a request that the heartbeat carries to its node."""
        ...

    def stage(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> Awaitable[None]:
        """Keep a chunk of rows of a running run until its finish applies or drops it."""
        ...


class CatalogStore(Protocol):
    """Jobs, cursors, done-sets, backfills."""

    def register(self, jobs: Sequence[JobRegistration]) -> Awaitable[Sequence[JobRow]]:
        """Insert new jobs, rename those that `was` names, renew what has changed; see `JobRegistration`."""
        ...

    def advance(self, commands: Sequence[Advance]) -> Awaitable[Sequence[AdvanceAnswer]]:
        """Move cursors and create the runs that lie between, each command in whole or not at all."""
        ...

    def set_paused(self, job_id: str, paused: bool) -> Awaitable[JobRow | None]:
        """Stop or resume making and claiming a job's scheduled runs; None for an unknown job."""
        ...

    def set_schedule(self, command: SetSchedule) -> Awaitable[JobRow | None]:
        """Put a schedule over that of the code, or take it away; None for an unknown job."""
        ...

    def put_config(self, row: ConfigRow) -> Awaitable[ConfigRow]:
        """Add a version to a job's config unless its number is taken; return what has the number then.

        A run takes the version with the highest number that is effective when it first starts, and keeps it.
        """
        ...

    def take_lease(self, command: TakeLease) -> Awaitable[LeaseRow]:
        """Take a lease that no living node holds; return who holds it then. It ends with its node's epoch.

        Raises:
            LeaseLostError: the epoch is dead.
        """
        ...

    def drop_lease(self, lease: str, holder: str) -> Awaitable[None]:
        """Give a lease back, if this holder has it."""
        ...

    def create_backfill(self, row: BackfillRow, *, downstream: Sequence[BackfillRow] = ()) -> Awaitable[None]:
        """Store a new backfill and those that come after it: all of them or none."""
        ...

    def step_backfill(self, command: BackfillStep) -> Awaitable[BackfillRow]:
        """Apply one step if its cursor still holds; return the row as it then stands."""
        ...

    def set_backfill_state(self, backfill_id: str, state: BackfillState) -> Awaitable[BackfillRow]:
        """Pause (no claim gives its runs then), resume or cancel (which also cancels its runs: as a request to the node
        that runs one).

        Raises:
            UnknownBackfillError: there is none of this id.
        """
        ...

    def prune(self, command: Prune) -> Awaitable[Pruned]:
        """Remove ended runs, with what belongs to them, from the history. The done-set stays."""
        ...

    def settle_waiting(
        self, *, released: Sequence[str] = (), blocked: Sequence[tuple[str, str]] = ()
    ) -> Awaitable[None]:
        """Make `released` runs AVAILABLE and note for (run id, reason) in `blocked` why they still wait."""
        ...

    def note_late(
        self, job_id: str, *, scheduled_before: int, ended: Sequence[str] = ()
    ) -> Awaitable[Sequence[RunRecord]]:
        """Note, once for each run, which are late; return those that were not noted before.

        Late are the scheduled runs of the job that have not ended and whose fire time is at most `scheduled_before`,
        and those in `ended`.
        """
        ...

    def note_stranded(self, run_ids: Sequence[str]) -> Awaitable[Sequence[RunRecord]]:
        """Note, once for each run, that nobody takes it; return those that live and were not noted before."""
        ...

    def note_refused(self, job_id: str, *, reason: str, error: str) -> Awaitable[None]:
        """Keep an event of NO_RUN: a call for a job of this id, which may be known to nobody, made no run.

        The one write that is kept as often as it is sent.
        """
        ...


class ReadStore(Protocol):
    """What web, command line and handles list. Never waits for the writer."""

    location: str

    async def owner_label(self) -> str | None:
        """Return the label of the app that the store belongs to; None before an app has opened it."""
        ...

    async def run(self, run_id: str) -> RunRecord | None:
        """Return one run, live or ended; an unambiguous prefix of at least 6 characters is enough."""
        ...

    async def runs(self, which: RunFilter) -> Sequence[RunRecord]:
        """List runs, newest first."""
        ...

    async def ended(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
        """Return those of `run_ids` that are in a terminal state."""
        ...

    async def unknown(self, run_ids: Sequence[str]) -> Sequence[str]:
        """Return those of `run_ids` that no run has, neither a live one nor one that has ended, in their order."""
        ...

    async def logs(self, run_id: str) -> Sequence[AttemptLog]:
        """Return what the attempts of a run logged, oldest first.

        Of one that runs, or died with its node, as far as the node has reported it.
        """
        ...

    async def events(self, run_id: str) -> Sequence[EventRow]:
        """Return what befell a run and its record cannot say, oldest first."""
        ...

    async def jobs(self) -> Sequence[JobRow]:
        """List every job ever registered."""
        ...

    async def job_counts(self) -> Sequence[tuple[str, str, int]]:
        """Return (job id, state, number of runs kept), live and ended."""
        ...

    async def done(self, job_id: str, start: int, end: int) -> Sequence[DoneRange]:
        """Return the ranges of the done-set that touch [start, end), oldest first, neighbours merged."""
        ...

    async def waiting(self, *, jobs: frozenset[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        """Return runs that wait for what they need, oldest interval first; `after` is the last one seen."""
        ...

    async def schedules(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ScheduleRow]:
        """List the versions of a job's schedule, newest first; `before` is the last number seen."""
        ...

    async def check(self) -> Sequence[str]:
        """Look for what contradicts itself; return a sentence for each thing that does. May take long."""
        ...

    async def backup(self, file: "Path") -> int:
        """Write one moment of the store into a new file; return its size in bytes.

        Raises:
            InvalidArgumentError: the file exists, or this store lies in no file.
            StorageError: one of the two cannot be read or written.
        """
        ...

    async def configs(self, job_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[ConfigRow]:
        """List the versions of a job's config, newest first; `before` is the last number seen."""
        ...

    async def backfill(self, backfill_id: str) -> BackfillRow | None:
        """Return one backfill."""
        ...

    async def backfills(
        self,
        *,
        job_id: str | None = None,
        states: frozenset[BackfillState] = frozenset(),
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[BackfillRow]:
        """List backfills, newest first; `before` is the last id seen."""
        ...

    async def nodes(self, *, before: int | None = None, limit: int = 100) -> Sequence[NodeRow]:
        """List nodes, the latest first; `before` is the last epoch seen. Those that ended are forgotten some time."""
        ...

    async def leases(self) -> Sequence[LeaseRow]:
        """List the leases that living nodes hold, by name."""
        ...

    async def queues(self) -> Sequence[QueueRow]:
        """List the queues in which runs wait for a claim, by name."""
        ...

    async def queue_counts(self) -> Sequence[tuple[str, str, int]]:
        """Return (job id, queue, number of runs) of what waits for a claim, or for a place under a limit."""
        ...

    async def stranded(self) -> Sequence[StrandedRow]:
        """List runs that no living node takes, by job and queue; nothing when none lives, or one tells not what."""
        ...

    async def watermarks(self, jobs: Sequence[str] | None = None) -> Sequence[tuple[str, int]]:
        """Return (job id, end of the unbroken beginning of what succeeded or was skipped), of all jobs by default.

        Jobs without a done-set are missing; one whose first range failed has its start.
        """
        ...


class StoreReader(ReadStore, Protocol):
    """Reads a store without taking part in it; made by `JobStore.reader()`."""

    location: str

    async def open(self) -> None:
        """Look whether there is a store that can be read.

        Raises:
            StorageError: there is none, or it cannot be read (each its own class).
        """
        ...

    async def close(self) -> None:
        """Leave no thread, task or descriptor."""
        ...


class JobStore(RunStore, CatalogStore, ReadStore, Protocol):
    """One store that does all three; opened and closed by the app."""

    kind: Literal["memory", "sqlite", "postgresql", "mysql"]
    location: str

    async def open(self, *, app: AppName | None = None) -> None:
        """Open or create it, migrating an older one.

        Args:
            app: the app that opens it. A store that belongs to none is its own from then on, and so is that of what
                it was; of two that come together, one is first. None to look after a store, whosever it is.

        Raises:
            StoreTakenError: it belongs to another app; nothing was changed, the schema not either.
            StorageError: it is read-only, corrupted, from a newer version, or out of reach (each its own class).
        """
        ...

    async def schema(self) -> tuple[int | None, int]:
        """Return (the version of the schema that is there, or None without any; ours). Needs no open store."""
        ...

    def reader(self) -> StoreReader:
        """Return what reads this store without taking part; needs no open store, creates nothing."""
        ...

    async def close(self) -> None:
        """Commit what was accepted, then leave no thread, task or descriptor."""
        ...
