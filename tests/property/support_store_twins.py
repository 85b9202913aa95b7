"""Job stores of two kinds side by side: what is sent to both, and what is compared."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from msgspec import structs
from tests.property.support_store_runs import StepClock

from mainspring.base import new_id, use_clock, use_random
from mainspring.errors import MainspringError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    NO_RUN,
    BackfillRow,
    JobStore,
    MemoryData,
    MemoryStore,
    NewRun,
    RunFilter,
    RunKind,
    RunRecord,
    SqliteStore,
    ran_in,
)
from mainspring.storage import InlineRunner

T = TypeVar("T")

JOBS = ("a", "b", "c")
HOUR = 3_600_000_000
LEASE = 30
LATER = 200_000_000_000_000_000  # an instant in the year 8307, which never comes
jobs = st.sampled_from(JOBS)
hours = st.integers(0, 3)


@st.composite
def new_runs(draw: st.DrawFn) -> NewRun:
    """Draw a call, or an occurrence of one of a few hours, in a shape that the engine would make."""
    kind = draw(st.sampled_from([RunKind.MANUAL, RunKind.SCHEDULE]))
    hour = draw(st.none() | hours) if kind is RunKind.MANUAL else draw(hours)
    key = draw(st.sampled_from([None, None, "k1", "k2"]))
    return NewRun(
        run_id=new_id(),
        job_id=draw(jobs),
        kind=kind,
        available_at=draw(st.sampled_from([0, 0, 0, LATER])),
        state=draw(st.sampled_from([RunState.AVAILABLE, RunState.AVAILABLE, RunState.WAITING])),
        scheduled_at=None if kind is RunKind.MANUAL else ((hour or 0) + 1) * HOUR,
        interval_start=None if hour is None else hour * HOUR,
        interval_end=None if hour is None else (hour + 1) * HOUR,
        generation=draw(st.sampled_from([0, 1])),
        queue=draw(st.sampled_from(["default", "default", "slow"])),
        priority=draw(st.integers(-1, 1)),
        limits=draw(st.sampled_from([(), (), (("k", 1),), (("k", 1), ("wide", 2))])),
        skips=draw(st.booleans()),
        idempotency_key=key,
        arguments_hash=None if key is None else draw(st.sampled_from([b"x", b"y"])),
    )


class Twins(RuleBasedStateMachine):
    """Two processes, each with a store in memory and one on a file; all four are of the same two data."""

    def __init__(self) -> None:
        super().__init__()
        self.asyncio = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = StepClock()
        self.cleanup = ExitStack()
        self.cleanup.enter_context(use_clock(self.clock))
        self.cleanup.enter_context(use_random(0))  # an example that is tried again has the same ids
        self.data = MemoryData()
        self.processes = [self.open_process(), self.open_process()]
        self.sent = 0
        self.epochs: list[int] = []  # that were opened, by process below
        self.process_of: dict[int, int] = {}
        self.claimed: list[RunRecord] = []  # every claim that was ever answered
        self.backfill_ids: list[str] = []
        self.names = {job: job for job in JOBS}  # by the first name of each job, that of today
        self.versions: dict[str, int] = {}  # that a beat told last, by the kind of store

    def open_process(self) -> tuple[JobStore, JobStore]:
        path = Path(self.folder.name) / "jobs.db"
        twins: tuple[JobStore, JobStore] = (
            MemoryStore(self.data, lease=LEASE),
            SqliteStore(path, durability="memory", lease=LEASE, runner=InlineRunner()),
        )
        for store in twins:
            self.asyncio.run(store.open())
        return twins

    def close_process(self, number: int) -> None:
        for store in self.processes[number]:
            self.asyncio.run(store.close())

    def teardown(self) -> None:
        try:
            self.both(self.everything)
            for store in self.processes[0]:
                assert [] == self.asyncio.run(store.check())
        finally:
            for number in range(len(self.processes)):
                self.close_process(number)
            self.asyncio.close()
            self.cleanup.close()
            self.folder.cleanup()

    def both(self, send: Callable[[JobStore], Awaitable[T]], process: int = 0) -> T | type[MainspringError]:
        """Send the same to both stores of a process; return their one answer, or the class of their one error.

        Each gets the same numbers and ids, since a store makes some of its own.
        """

        async def body(store: JobStore) -> T | type[MainspringError]:
            try:
                return await send(store)
            except MainspringError as error:
                return type(error)

        self.sent += 1
        answers: list[T | type[MainspringError]] = []
        for store in self.processes[process]:
            with use_random(self.sent):
                answers.append(self.asyncio.run(body(store)))
        first, second = answers
        assert first == second, difference(first, second)
        return first

    def of_epoch(self, send: Callable[[JobStore], Awaitable[T]], epoch: int) -> T | type[MainspringError]:
        """Send it from the process whose node has this epoch."""
        return self.both(send, self.process_of[epoch])

    def records(self) -> list[RunRecord]:
        """Return all runs, as both stores have them."""
        found = self.both(lambda store: store.runs(RunFilter(limit=1000)))
        assert not isinstance(found, type)
        return list(found)

    def some_runs(self, data: st.DataObject, most: int = 3, job: str | None = None) -> list[str]:
        """Draw ids of runs, and one that nobody has."""
        ids = [record.run_id for record in self.records() if job in (None, record.job_id)]
        return data.draw(st.lists(st.sampled_from([*ids, new_id()]), max_size=most, unique=True))

    def backfill(self, backfill_id: str) -> BackfillRow:
        found = self.both(lambda store: store.backfill(backfill_id))
        assert isinstance(found, BackfillRow)
        return found

    def named(self, run: NewRun) -> NewRun:
        """Return the run under the name that its job has today."""
        return structs.replace(run, job_id=self.names[run.job_id])

    async def everything(self, store: JobStore) -> list[object]:
        """Return all that can be read of a store."""
        names = [*JOBS, *self.names.values()]
        seen = await lists(store)
        seen += [await store.leases(), await store.watermarks(), await store.owner_label()]
        seen.append(await store.waiting(jobs=frozenset(names), limit=100))
        for job in names:
            seen += [await store.done(job, -LATER, LATER), await store.configs(job), await store.schedules(job)]
        ids = [record.run_id for record in await store.runs(RunFilter(limit=1000))]
        seen.append(sorted(record.run_id for record in await store.ended(ids)))
        for run_id in [NO_RUN, *ids]:
            seen += [await store.run(run_id), await store.events(run_id), await store.logs(run_id)]
        for row in await store.backfills(limit=100):
            seen += [await store.backfill(row.backfill_id), await store.done(ran_in(row.backfill_id), -LATER, LATER)]
        return seen


async def lists(store: JobStore) -> list[object]:
    """Return what the lists of a store tell, of nodes the living: a store may forget the others when it likes."""
    nodes = [row for row in await store.nodes(limit=1000) if row.alive]
    runs = await store.runs(RunFilter(limit=1000))
    return [runs, await store.jobs(), await store.backfills(limit=100), nodes, await store.job_counts()]


async def queued(store: JobStore) -> list[object]:
    """Return what waits for a claim; a store may notice only with the next one that the time of a run has come."""
    return [await store.queue_counts(), await store.queues(), await store.stranded()]


async def in_order(records: Awaitable[Sequence[RunRecord]]) -> list[RunRecord]:
    """Return records by their ids: of some answers no order is promised."""
    return sorted(await records, key=lambda record: record.run_id)


def difference(first: object, second: object) -> str:
    """Show where two answers differ."""
    if isinstance(first, list) and isinstance(second, list):
        pairs = zip_longest(cast("list[object]", first), cast("list[object]", second))  # casts: of whatever
        return "\n".join(difference(one, other) for one, other in pairs if one != other)
    return f"in memory: {first}\non a file: {second}"
