"""What the stores in memory share: the same tables and indexes that the SQLite store has in its file."""

import heapq
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import islice, takewhile
from typing import NamedTuple, TypeVar

from msgspec import structs

from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import BackfillRow, JobRow
from mainspring.jobs.stores._done import Range, joined_marks, painted, parts_to_skip
from mainspring.jobs.stores._ends import CLAIMABLE, REMEMBERED
from mainspring.jobs.stores._events import EventRow
from mainspring.jobs.stores._limits import Registered
from mainspring.jobs.stores._memory_index import ParkedRuns, ReadyRuns, RunHeap
from mainspring.jobs.stores._memory_rows import SinkRows
from mainspring.jobs.stores._records import COUNTED, AttemptLog, NewRun, NodeTakes, Progress, RunKind, RunRecord
from mainspring.jobs.stores._steering_records import ConfigRow, LeaseRow, ScheduleRow

K = TypeVar("K")

PROMOTED_AT_ONCE = 2000


class Place(Enum):
    """Where a live run stands; PARKED is under the key of a full limit."""

    NOT_CLAIMABLE = 0
    READY = 1
    TIMED = 2
    PARKED = 3


class LiveRun:
    """A run that has not ended: its record, and what a record does not tell."""

    __slots__ = ("config_as_of", "limits", "occurrence", "parked", "place", "record", "skips")

    def __init__(
        self,
        record: RunRecord,
        *,
        limits: tuple[tuple[str, int], ...],
        occurrence: str | None,
        config_as_of: int | None = None,
        skips: bool = False,
    ) -> None:
        self.record = record
        self.limits = limits
        self.skips = skips
        self.occurrence = occurrence
        self.config_as_of = config_as_of
        self.place = Place.NOT_CLAIMABLE
        self.parked = ""  # the key, if the place is PARKED

    @property
    def is_counted(self) -> bool:
        """True for what holds its job's limits."""
        return self.occurrence is not None and self.record.kind in COUNTED


class LiveNode(NamedTuple):
    """A node's epoch; it lives until `expires_at` (monotonic microseconds) or until its store is closed."""

    owner: object
    expires_at: float
    name: str
    started_at: int
    takes: NodeTakes | None = None


class KeptLimits(NamedTuple):
    """The keys under which an ended attempt still holds places, until its node lets them go or dies."""

    epoch: int
    keys: tuple[str, ...]


class KeyUse(NamedTuple):
    """What an idempotency key was used for."""

    run_id: str
    arguments_hash: bytes | None
    expires_at: int


class IdempotencyKeys:
    """Keys and their uses, forgotten when they expire."""

    def __init__(self) -> None:
        self._uses: dict[str, KeyUse] = {}
        self._names: Counter[str] = Counter()  # of each run that is named
        self._expiries: list[tuple[int, str]] = []

    def get(self, key: str, now: int) -> KeyUse | None:
        """Return the use of a key."""
        self._forget(now)
        return self._uses.get(key)

    def name(self, run_id: str, now: int) -> bool:
        """Tell whether a key names a run."""
        self._forget(now)
        return run_id in self._names

    def put(self, key: str, use: KeyUse) -> None:
        """Remember the use of a key that `get` did not know at the same instant."""
        self._uses[key] = use
        self._names[use.run_id] += 1
        heapq.heappush(self._expiries, (use.expires_at, key))

    def _forget(self, now: int) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            run_id = self._uses.pop(heapq.heappop(self._expiries)[1]).run_id
            self._names[run_id] -= 1
            if not self._names[run_id]:
                del self._names[run_id]


class MemoryData:
    """The data of stores in memory: every `MemoryStore` on it is one more node of the same cluster.

    It lives as long as somebody holds it, whichever stores are opened and closed. Not thread-safe: all stores on
    it belong to one loop.
    """

    def __init__(self) -> None:
        self.owner_label: str | None = None  # of the app that the data belong to
        self.owners: set[object] = set()  # one per open store
        self.nodes: dict[int, LiveNode] = {}
        self.leases: dict[str, LeaseRow] = {}  # by name
        self.last_epoch = 0
        self.last_fence = 0
        self.version = 1
        self.live: dict[str, LiveRun] = {}
        self.ended: dict[str, RunRecord] = {}
        self.events: dict[str, list[EventRow]] = {}  # by run
        self.logs: dict[str, list[AttemptLog]] = {}  # by run
        self.progress: dict[str, tuple[int, Progress]] = {}  # by run: the fence of who said it
        self.run_ids: list[str] = []  # of both, sorted
        self.tally: Counter[tuple[str, str]] = Counter()
        self.live_counts: Counter[tuple[str, str]] = Counter()  # (job, state) -> runs that have not ended
        self.live_occurrences: dict[tuple[str, str], str] = {}
        self.ended_occurrences: dict[tuple[str, str], dict[int, str]] = {}  # generation -> run id
        self.ready = ReadyRuns()
        self.timed = RunHeap()
        self.parked = ParkedRuns()
        self.held: dict[int, set[str]] = {}  # by epoch
        self.cancel_requested: dict[int, set[str]] = {}  # by epoch
        self.waiting: list[tuple[int, str]] = []  # (start of the interval, run id), sorted
        self.counters: Counter[str] = Counter()
        self.kept: dict[tuple[str, int], KeptLimits] = {}  # by run and fence
        self.keys = IdempotencyKeys()
        self.rows = SinkRows()
        self.jobs: dict[str, JobRow] = {}
        self.registered: dict[str, Registered] = {}  # by job, of those whose code says it
        self.schedules: dict[str, list[ScheduleRow]] = {}
        self.configs: dict[str, dict[int, ConfigRow]] = {}  # job id -> number -> version
        self.done: dict[str, list[Range]] = {}
        self.backfills: dict[str, BackfillRow] = {}
        self.runs_of_backfill: dict[str, set[str]] = {}  # live ones
        self.joined: dict[str, set[str]] = {}  # run id -> backfills that count it beside its own

    # ---- runs ----------------------------------------------------------------------------------------------

    def insert(self, run: LiveRun, now: int) -> None:
        """Add a new run and put it where it belongs."""
        record = run.record
        self.live[record.run_id] = run
        insort(self.run_ids, record.run_id)
        if run.occurrence is not None:
            self.live_occurrences[record.job_id, run.occurrence] = record.run_id
        if record.backfill_id is not None:
            self.runs_of_backfill.setdefault(record.backfill_id, set()).add(record.run_id)
        self._note_state(record)
        self.move(run, self.place_of(record, now))

    def find(self, run_id: str) -> RunRecord | None:
        """Return the record of a run, live or ended."""
        run = self.live.get(run_id)
        return self.ended.get(run_id) if run is None else run.record

    def change(self, run: LiveRun, record: RunRecord, place: Place, *, key: str = "") -> None:
        """Give a live run another record and place, and bring every index up to date."""
        before = run.record
        self.move(run, Place.NOT_CLAIMABLE)
        self._forget_state(before)
        if before.backfill_id != record.backfill_id:
            self._leave_backfill(before)
            if record.backfill_id is not None:
                self.runs_of_backfill.setdefault(record.backfill_id, set()).add(record.run_id)
        if before.job_id != record.job_id and run.occurrence is not None:
            del self.live_occurrences[before.job_id, run.occurrence]
            self.live_occurrences[record.job_id, run.occurrence] = record.run_id
        run.record = record
        self._note_state(record)
        self.move(run, place, key=key)

    def end(self, run: LiveRun, record: RunRecord) -> None:
        """Move a run to history, as `record`."""
        before = run.record
        self.move(run, Place.NOT_CLAIMABLE)
        self._forget_state(before)
        self._leave_backfill(before)
        del self.live[record.run_id]
        self._remember(record)
        if run.occurrence is not None:
            key = (record.job_id, run.occurrence)
            del self.live_occurrences[key]
            self.ended_occurrences.setdefault(key, {})[record.generation] = record.run_id
        if record.interval_start is not None and record.interval_end is not None and record.state in REMEMBERED:
            self.paint([(record.job_id, record.interval_start, record.interval_end, record.state.value)])

    def add_ended(self, record: RunRecord) -> None:
        """Add a run that never lived: the record of a skipped range."""
        insort(self.run_ids, record.run_id)
        self._remember(record)

    def _remember(self, record: RunRecord) -> None:
        self.ended[record.run_id] = record
        self.tally[record.job_id, record.state.value] += 1

    def move(self, run: LiveRun, place: Place, *, key: str = "") -> None:
        """Put a live run where claims find it, or not."""
        record = run.record
        if run.place is Place.READY:
            self.ready.discard(record.queue, -record.priority, record.job_id, record.run_id)
        elif run.place is Place.TIMED:
            self.timed.discard(record.run_id)
        elif run.place is Place.PARKED:
            self.parked.discard(run.parked, record.job_id, record.run_id)
        run.place, run.parked = place, key
        if place is Place.READY:
            self.ready.add(record.queue, -record.priority, record.job_id, record.run_id, record.available_at)
        elif place is Place.TIMED:
            self.timed.add(record.run_id, (record.available_at,))
        elif place is Place.PARKED:
            self.parked.add(key, record.job_id, record.run_id, (-record.priority, record.available_at))

    def place_of(self, record: RunRecord, now: int) -> Place:
        """Return where a run belongs that waits for nothing but its time: scheduled runs of paused jobs are held."""
        job = self.jobs.get(record.job_id)
        held = record.kind is RunKind.SCHEDULE and job is not None and job.paused
        if held or record.state not in CLAIMABLE:
            return Place.NOT_CLAIMABLE
        is_ready = record.available_at <= now and record.state is not RunState.SCHEDULED
        return Place.READY if is_ready else Place.TIMED

    def promote(self, now: int) -> int | None:
        """Make runs ready whose time has come; return when the next one's time comes."""
        for _ in range(PROMOTED_AT_ONCE):
            order = self.timed.first_order()
            if order is None or order[0] > now:
                break
            (run,) = self._taken([self.timed.pop()])
            if run.record.state is RunState.SCHEDULED:
                self._forget_state(run.record)
                run.record = structs.replace(run.record, state=RunState.AVAILABLE)
                self._note_state(run.record)
            self.move(run, Place.READY)
        order = self.timed.first_order()
        return None if order is None else order[0]

    def take_ready(
        self,
        queue: str,
        rank: int,
        jobs: Sequence[str],
        wanted: int,
        accept: Callable[[str], bool] | None = None,
    ) -> list[LiveRun]:
        """Take ready runs of these jobs out of their queue, in turn, or those of them that `accept` accepts."""
        return self._taken(self.ready.take_in_turn(queue, rank, jobs, wanted, accept))

    def unpark(self, key: str, count: int, now: int) -> None:
        """Let `count` runs of every job that waits for this key try again."""
        for run in self._taken(self.parked.take(key, count)):
            self.move(run, self.place_of(run.record, now))

    def _taken(self, run_ids: Sequence[str]) -> list[LiveRun]:
        runs = [self.live[run_id] for run_id in run_ids]
        for run in runs:
            run.place, run.parked = Place.NOT_CLAIMABLE, ""
        return runs

    def next_fence(self) -> int:
        """Return a fence that no claim had."""
        self.last_fence += 1
        return self.last_fence

    def _note_state(self, record: RunRecord) -> None:
        self.live_counts[record.job_id, record.state.value] += 1
        if record.state is RunState.RUNNING and record.epoch is not None:
            self.held.setdefault(record.epoch, set()).add(record.run_id)
            if record.cancel_requested:
                self.cancel_requested.setdefault(record.epoch, set()).add(record.run_id)
        elif record.state is RunState.WAITING and record.interval_start is not None:
            insort(self.waiting, (record.interval_start, record.run_id))

    def _forget_state(self, record: RunRecord) -> None:
        self.live_counts[record.job_id, record.state.value] -= 1
        if record.state is RunState.RUNNING and record.epoch is not None:
            _discard(self.held, record.epoch, record.run_id)
            _discard(self.cancel_requested, record.epoch, record.run_id)
        elif record.state is RunState.WAITING and record.interval_start is not None:
            del self.waiting[bisect_left(self.waiting, (record.interval_start, record.run_id))]

    def _leave_backfill(self, record: RunRecord) -> None:
        if record.backfill_id is not None:
            _discard(self.runs_of_backfill, record.backfill_id, record.run_id)

    # ---- the done-set --------------------------------------------------------------------------------------

    def paint(self, marks: Iterable[tuple[str, int, int, str]]) -> None:
        """Add (job id, start, end, state) marks."""
        for job_id, mark in joined_marks(marks):
            known = self.done.setdefault(job_id, [])
            low = bisect_left(known, mark[0], key=_end_of)
            high = low
            while high < len(known) and known[high][0] <= mark[1]:
                high += 1
            known[low:high] = painted(known[low:high], mark)

    def parts_to_skip(self, job_id: str, span: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the parts of a range that are not done in any way."""
        known = self.done.get(job_id, [])
        touching = takewhile(
            lambda one: one[0] < span[1], islice(known, bisect_left(known, span[0], key=_end_of), None)
        )
        return parts_to_skip(touching, span)

    def has_succeeded(self, run: NewRun) -> bool:
        """Tell whether the whole interval of a run is done already; false for a run without one."""
        start, end = run.interval_start, run.interval_end
        if start is None or end is None:
            return False
        known = self.done.get(run.job_id, [])
        place = bisect_left(known, end, key=_end_of)
        return place < len(known) and known[place][0] <= start and known[place][2] == "succeeded"


def _end_of(one: Range) -> int:
    return one[1]


def _discard(index: dict[K, set[str]], key: K, run_id: str) -> None:
    """Drop a run from one set of an index, and the set when it is empty."""
    found = index.get(key)
    if found is not None:
        found.discard(run_id)
        if not found:
            del index[key]
