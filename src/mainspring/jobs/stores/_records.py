"""Runs as they go into a job store and come out: frozen commands, answers and rows.

Instants are UTC microseconds (`int`), half-open intervals are two of them, ids are text. Blobs are JSON as
`base.encode_json` writes it. A command can be sent again after a lost reply: the store compares what it
already has and answers the same.

What every run passes through is a msgspec Struct and not a dataclass: a frozen dataclass of 29 fields takes 4 us to
make, its Struct 0.7 us, which saves 15 us of CPU in the life of a run (`benchmarks/bench_jobs.py`). Those that hold
plain values only are kept out of the garbage collector's sight. The others are Structs because a dataclass costs ten
times as much to define, in every start of a program.
"""

from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct

from mainspring.base import from_us, quicken
from mainspring.jobs.model import DataInterval, RunState
from mainspring.jobs.stores._events import Happened
from mainspring.sinks import TransactionalWrite


class RunKind(StrEnum):
    """What made a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"
    SPAWN = "spawn"


quicken(RunKind)


COUNTED: Final = frozenset({RunKind.SCHEDULE, RunKind.MANUAL})
"""The kinds of runs of occurrences that hold their job's limits: what schedules make, and what does such runs again."""

NEXT_GENERATION = 0
"""`NewRun.generation` that asks the store for one more than the occurrence has had."""


class NewRun(Struct, frozen=True, kw_only=True, gc=False):
    """A run to create.

    With an interval (or, for `RunKind.SCHEDULE`, an instant) it belongs to an occurrence: the store keeps at
    most one live run per occurrence (a second creator joins it and raises its priority) and one run per
    (occurrence, generation) for ever.
    """

    run_id: str
    job_id: str
    kind: RunKind
    available_at: int
    state: RunState = RunState.AVAILABLE  # or SCHEDULED (available_at in the future) or WAITING
    scheduled_at: int | None = None
    interval_start: int | None = None
    interval_end: int | None = None
    generation: int = 1
    previous_run: str | None = None
    queue: str = "default"
    priority: int = 0
    config: bytes | None = None
    config_version: int | None = None  # of the stored config; None: fixed when it first starts, 0: none of them
    config_as_of: int | None = None  # the instant whose version that then is; None: the start itself
    limits: tuple[tuple[str, int], ...] = ()  # (counter key, maximum held at once); claim raises, the end lowers
    skips: bool = False  # at a full limit, a run that never began ends as SKIPPED and does not wait
    backfill_id: str | None = None
    parent_run: str | None = None
    idempotency_key: str | None = None
    arguments_hash: bytes | None = None  # of the call, compared when the key is used again
    key_expires_at: int | None = None

    @property
    def occurrence(self) -> str | None:
        """The text that, with job and generation, names this run for ever; None for a plain call."""
        if self.interval_start is not None:
            return f"{self.interval_start}/{self.interval_end}"
        return f"@{self.scheduled_at}" if self.kind is RunKind.SCHEDULE else None


class Progress(Struct, frozen=True, kw_only=True, gc=False):
    """How far an attempt said that it has come: `done` of `total`, None for a total that it does not know."""

    done: float
    total: float | None
    at: int  # when it said so


class RunRecord(Struct, frozen=True, gc=False):
    """A run as the store has it, live or ended. Its fields stand in the order of the columns: made by place it costs
    0.2 us, by keywords 2 us."""

    run_id: str
    job_id: str
    kind: RunKind
    state: RunState
    queue: str
    priority: int
    generation: int
    attempt: int  # claims so far, rescues not counted
    rescues: int
    fence: int  # grows with every claim in this store
    epoch: int | None  # of the node that holds or ended it
    created_at: int
    available_at: int
    scheduled_at: int | None = None
    interval_start: int | None = None
    interval_end: int | None = None
    started_at: int | None = None  # of the latest attempt
    config: bytes | None = None
    backfill_id: str | None = None
    previous_run: str | None = None
    parent_run: str | None = None
    blocked_by: str | None = None
    cancel_requested: bool = False
    error_type: str | None = None
    error_message: str | None = None
    error_detail: str | None = None  # the traceback
    config_version: int | None = None  # of the stored config, fixed at the first start; None or 0: none of them
    finished_at: int | None = None
    value: bytes | None = None
    item_count: int = 0
    progress: Progress | None = None  # of the latest attempt; only `ReadStore.run` and `runs` tell it

    @property
    def error(self) -> str | None:
        """The error's type and message in one text, or why the run was skipped or cancelled."""
        if self.error_type is None and self.error_message is None:
            return None
        return ": ".join(part for part in (self.error_type, self.error_message) if part) or None

    def interval(self, zone: str) -> DataInterval | None:
        """Return its data interval in a zone, None when it has none."""
        if self.interval_start is None or self.interval_end is None:
            return None
        return DataInterval(from_us(self.interval_start), from_us(self.interval_end), zone)


class Enqueue(Struct, frozen=True, kw_only=True, gc=False):
    """Create one run; with `claim_epoch` it may come back already claimed (the hot claim).

    The store claims at once only when the run is AVAILABLE now, has neither limits nor a priority, its job is not
    paused and no run of its queue that is not below it (a priority less than 0) waits before it.
    """

    run: NewRun
    claim_epoch: int | None = None


class EnqueueAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """`created`: a row was made. `joined`: a live run of the occurrence was there. `existing`: the idempotency
    key or the generation was used before, `record` is that run as it stands.

    `claimed` is set when the run was made and claimed in one step.
    """

    outcome: Literal["created", "joined", "existing"]
    run_id: str
    claimed: RunRecord | None = None
    record: RunRecord | None = None


Part = Literal["live", "backfill"] | None
"""Which ready runs a claim looks at: those that no backfill made, those that one made, or None: all."""


class Claim(Struct, frozen=True, kw_only=True):
    """Take up to `limit` runs whose time has come for the node of `epoch`.

    Highest priority first, then fair between jobs (their queues' heads in turn), then by `available_at`.
    Only jobs in `jobs` (those this node knows) and queues in `queues`. With a number in `backfills` at most so many are
    `RunKind.BACKFILL`, and in each priority those that are not come first.
    """

    epoch: int
    limit: int
    jobs: frozenset[str]
    queues: tuple[str, ...] = ("default",)
    backfills: int | None = None

    @property
    def parts(self) -> tuple["Part", ...]:
        """What to look for in each priority, one after the other."""
        return (None,) if self.backfills is None or self.backfills >= self.limit else ("live", "backfill")


class ClaimAnswer(Struct, frozen=True, kw_only=True):
    """The claimed runs, those that a full limit skipped, and the earliest future `available_at` (None: nothing is
    timed)."""

    runs: tuple[RunRecord, ...]
    next_available_at: int | None
    skipped: tuple[RunRecord, ...] = ()


class Finish(Struct, frozen=True, kw_only=True):
    """End an attempt: a terminal state, RETRYING (with `available_at`), or AVAILABLE (handed back unharmed:
    the attempt is not counted).

    A SUCCEEDED finish applies `writes` under a savepoint, after the fence was checked. With an interval the
    done-set is updated, with a backfill its counters, both in the same transaction.

    With `keeps_limits` the run's places under its limits stay taken until `RunStore.let_go`, or the end of the epoch.
    """

    run_id: str
    epoch: int
    fence: int
    attempt: int
    state: RunState
    finished_at: int
    available_at: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_detail: str | None = None
    value: bytes | None = None
    item_count: int = 0
    writes: tuple[TransactionalWrite, ...] = ()
    events: tuple[Happened, ...] = ()
    log: bytes | None = None  # JSON of a RunLog, what the attempt said
    progress: Progress | None = None  # what it said last
    keeps_limits: bool = False  # something of the attempt still runs
    claimed: RunRecord | None = (
        None  # as its claim gave it: a store that finds the run unchanged need not read it again
    )


class Report(Struct, frozen=True, kw_only=True):
    """What an attempt has said so far, while it runs; None for what is not new. Its finish brings the rest."""

    run_id: str
    fence: int
    attempt: int
    log: bytes | None = None
    progress: Progress | None = None


class AttemptLog(Struct, frozen=True, kw_only=True):
    """What one claim of a run logged, as its end or its last report brought it; lives as long as the run's record."""

    run_id: str
    fence: int
    attempt: int
    log: bytes  # JSON of a RunLog


class HeartbeatAnswer(Struct, frozen=True, kw_only=True):
    """`cancelled`: runs of this node whose cancel was asked for. `version` grows with every change of jobs,
    pauses, configs and backfills, made by any node."""

    alive: bool
    cancelled: tuple[str, ...]
    version: int
    now: int


class NodeRow(Struct, frozen=True, kw_only=True):
    """A node's epoch as the store knows it: one that died is `alive` until somebody rescues its runs."""

    epoch: int
    name: str
    alive: bool
    started_at: int
    ended_at: int | None
    running_count: int


class QueueRow(Struct, frozen=True, kw_only=True):
    """A queue in which runs wait that could be claimed; `oldest_at` is since when the oldest of them could."""

    queue: str
    oldest_at: int


class NodeTakes(Struct, frozen=True, kw_only=True):
    """Which jobs a node knows, and of which queues it takes runs."""

    jobs: frozenset[str]
    queues: frozenset[str]


class StrandedRow(Struct, frozen=True, kw_only=True):
    """Runs that could be claimed, of a job that no living node knows or in a queue from which none takes it.

    `oldest_at` is since when the oldest of them could, `oldest_run` its id.
    """

    job_id: str
    queue: str
    oldest_at: int
    oldest_run: str


ID_CLOCKS_APART = 86_400_000_000
"""Microseconds by which the time in a run's id may differ from its `created_at`."""


class RunFilter(Struct, frozen=True, kw_only=True):
    """Which runs to list, newest first (by run id, which grows with time); `before` is the last id seen.

    `created_from` and `created_to` are the ends of a half-open range of `created_at`.
    """

    job_id: str | None = None
    states: frozenset[RunState] = frozenset()
    backfill_id: str | None = None
    created_from: int | None = None
    created_to: int | None = None
    before: str | None = None
    limit: int = 50
