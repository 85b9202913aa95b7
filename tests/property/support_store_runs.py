"""The part of the state machine over job stores that is about runs: what a dict of records says of them."""

import asyncio
import tempfile
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec import structs

from mainspring.base import new_id, use_clock
from mainspring.errors import LeaseLostError, StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    Claim,
    ClaimAnswer,
    ConfigRow,
    Enqueue,
    EnqueueAnswer,
    Finish,
    JobStore,
    NewRun,
    Progress,
    RunKind,
    RunRecord,
)

T = TypeVar("T")

JOBS = ("a", "b", "c")
LIMIT = 2
LEASE = 30
FREE = frozenset({RunState.AVAILABLE, RunState.RETRYING})
RUNS = st.builds(
    NewRun,
    run_id=st.just(""),
    job_id=st.sampled_from(JOBS),
    kind=st.sampled_from([RunKind.MANUAL, RunKind.BACKFILL]),
    available_at=st.just(0),
    priority=st.integers(0, 2),
    limits=st.sampled_from([(), (), (("k", LIMIT),)]),
)
ENDS = [RunState.SUCCEEDED, RunState.FAILED, RunState.RETRYING, RunState.AVAILABLE]


class StepClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.passed = 0

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def time(self) -> float:
        return 1_700_000_000.0 + self.passed

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


class RunMachine(RuleBasedStateMachine):
    """Two processes with nodes on one store, and what is known of its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = StepClock()
        self.cleanup = ExitStack()
        self.cleanup.enter_context(use_clock(self.clock))
        self.store = self.open_store()
        self.second = self.open_store()
        self.known: dict[str, RunRecord] = {}
        self.limited: set[str] = set()
        self.kept: dict[tuple[str, int], int] = {}  # limited runs that ended and keep their place: their epochs
        self.configs: dict[str, list[bool]] = {}  # of each version of a job, whether it is put ahead of its time
        self.stale: list[RunRecord] = []
        self.logs: dict[str, dict[int, bytes]] = {}  # by run and fence
        self.progress: dict[str, tuple[int, Progress]] = {}
        self.living: dict[int, JobStore] = {}  # epochs that nobody has found dead
        self.dead: set[int] = set()
        self.last_epoch = self.last_fence = 0

    def make_store(self, folder: Path) -> JobStore:
        raise NotImplementedError

    def open_store(self) -> JobStore:
        store = self.make_store(Path(self.folder.name))
        self.wait(store.open())
        return store

    def wait(self, awaitable: Awaitable[T]) -> T:
        async def body() -> T:
            return await awaitable

        return self.runner.run(body())

    def teardown(self) -> None:
        try:
            assert [] == self.wait(self.store.check())
        finally:
            self.wait(self.second.close())
            self.wait(self.store.close())
            self.runner.close()
            self.cleanup.close()
            self.folder.cleanup()

    @initialize()
    def open_first_node(self) -> None:
        self.open_node(self.store)

    def open_node(self, store: JobStore) -> int:
        epoch = self.wait(store.open_node("machine"))
        assert epoch > self.last_epoch
        self.last_epoch = epoch
        self.living[epoch] = store
        return epoch

    def held(self) -> int:
        return sum(self.known[i].state is RunState.RUNNING for i in self.limited) + len(self.kept)

    def running(self) -> list[RunRecord]:
        return [record for record in self.known.values() if record.state is RunState.RUNNING]

    @rule(runs=st.lists(RUNS, min_size=1, max_size=6))
    def enqueue(self, runs: list[NewRun]) -> None:
        runs = [structs.replace(run, run_id=new_id()) for run in runs]

        async def body() -> Sequence[EnqueueAnswer]:
            return await self.second.enqueue_many([Enqueue(run=run) for run in runs])

        assert [run.run_id for run in runs] == [answer.run_id for answer in self.runner.run(body())]
        for run in runs:
            self.entered(run, None)

    @precondition(lambda self: bool(self.living))
    @rule(data=st.data(), run=RUNS)
    def enqueue_hot(self, data: st.DataObject, run: NewRun) -> None:
        run = structs.replace(run, run_id=new_id())
        epoch = data.draw(st.sampled_from(sorted(self.living)))

        async def body() -> EnqueueAnswer:
            return await self.living[epoch].enqueue(Enqueue(run=run, claim_epoch=epoch))

        claimed = self.runner.run(body()).claimed
        if claimed is not None:
            assert not run.limits
            assert not run.priority
            assert (claimed.state, claimed.epoch) == (RunState.RUNNING, epoch)
            assert claimed.config_version == self.in_force(run.job_id)
            self.saw_fence(claimed.fence)
        self.entered(run, claimed)

    def entered(self, run: NewRun, record: RunRecord | None) -> None:
        if record is None:
            record = self.wait(self.store.run(run.run_id))
            assert record is not None
            assert record.state is RunState.AVAILABLE
        self.known[run.run_id] = record
        if run.limits:
            self.limited.add(run.run_id)

    def saw_fence(self, fence: int) -> None:
        """Check that a fence is larger than all before."""
        assert fence > self.last_fence
        self.last_fence = fence

    @precondition(lambda self: bool(self.living))
    @rule(
        data=st.data(),
        limit=st.integers(1, 4),
        backfills=st.none() | st.integers(0, 3),
        jobs=st.sets(st.sampled_from(JOBS), min_size=1),
    )
    def claim(self, data: st.DataObject, limit: int, backfills: int | None, jobs: set[str]) -> None:
        epoch = data.draw(st.sampled_from(sorted(self.living)))
        free = [r for r in self.known.values() if r.state in FREE and r.job_id in jobs]
        unlimited = [r for r in free if r.run_id not in self.limited]
        startable = len(unlimited) + min(len(free) - len(unlimited), LIMIT - self.held())

        async def body() -> ClaimAnswer:
            command = Claim(epoch=epoch, limit=limit, jobs=frozenset(jobs), backfills=backfills)
            return await self.living[epoch].claim(command)

        answer = self.runner.run(body())
        taken = answer.runs
        if taken:
            self.saw_fence(max(record.fence for record in taken))
        for record in taken:
            self.check_claimed(record, epoch)
            self.known[record.run_id] = record
        assert len(taken) <= min(limit, startable)
        if answer.next_available_at is None:  # it has looked at all that was ready
            left = [r for r in free if self.known[r.run_id].state in FREE]
            self.check_share(taken, left, limit=limit, share=limit if backfills is None else backfills)

    def check_claimed(self, record: RunRecord, epoch: int) -> None:
        before = self.known[record.run_id]
        assert before.state in FREE
        assert (record.state, record.epoch) == (RunState.RUNNING, epoch)
        assert record.fence > before.fence
        assert record.attempt == before.attempt + 1
        first = before.started_at is None
        assert record.config_version == (self.in_force(record.job_id) if first else before.config_version)

    def check_share(self, taken: tuple[RunRecord, ...], left: list[RunRecord], *, limit: int, share: int) -> None:
        """Check that a claim took as many as it could, the more urgent first, and of backfills no more than it may."""
        backfills = [r for r in taken if r.kind is RunKind.BACKFILL]
        unlimited = [r for r in left if r.run_id not in self.limited]
        live = max((r.priority for r in unlimited if r.kind is not RunKind.BACKFILL), default=-1)
        urgent = max((r.priority for r in unlimited), default=-1)
        assert len(backfills) <= share
        if len(taken) < limit:
            could = left if self.held() < LIMIT else unlimited
            assert all(r.kind is RunKind.BACKFILL for r in could)
            assert not could or len(backfills) == share
        if share < limit:
            assert all(live < r.priority for r in backfills)
        assert all((live if share == len(backfills) < limit else urgent) <= r.priority for r in taken)

    @rule(job=st.sampled_from(JOBS), ahead=st.booleans())
    def put_config(self, job: str, ahead: bool) -> None:
        versions = self.configs.setdefault(job, [])
        versions.append(ahead)
        since = 2**60 if ahead else 0
        row = ConfigRow(job_id=job, version=len(versions), value=b"{}", effective_from=since, created_at=0)

        async def body() -> ConfigRow:
            return await self.store.put_config(row)

        assert row == self.runner.run(body())

    def in_force(self, job: str) -> int | None:
        """Return the highest version of a job's config that is not put ahead of its time."""
        numbers = [number for number, ahead in enumerate(self.configs.get(job, []), start=1) if not ahead]
        return max(numbers, default=None)

    @precondition(lambda self: bool(self.running()))
    @rule(
        data=st.data(),
        state=st.sampled_from(ENDS),
        keeps=st.booleans(),
        again=st.booleans(),
        log=st.none() | st.binary(min_size=1, max_size=3),
        done=st.none() | st.integers(0, 9),
    )
    def finish(
        self, data: st.DataObject, state: RunState, keeps: bool, again: bool, log: bytes | None, done: int | None
    ) -> None:
        record = data.draw(st.sampled_from(self.running()))
        progress = None if done is None else Progress(done=done, total=None, at=1)
        command = structs.replace(self.ending(record, state), log=log, progress=progress, keeps_limits=keeps)

        async def body() -> tuple[RunRecord, RunRecord]:
            first = await self.store.finish(command)
            return first, await self.second.finish(command) if again else first

        first, second = self.runner.run(body())
        assert first == second
        expected = RunState.CANCELLED if record.cancel_requested and not state.terminal else state
        assert first.state is expected
        self.known[record.run_id] = first
        self.stale.append(record)
        self.said(record, log, progress)
        if keeps and record.run_id in self.limited:
            self.kept[record.run_id, record.fence] = record.epoch or 0

    @precondition(lambda self: bool(self.known))
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        """What an attempt has kept is let go once; of a running one, or under another fence, nothing is."""
        some = [(record.run_id, record.fence) for record in (*self.known.values(), *self.stale)]
        run_id, fence = data.draw(st.sampled_from([*self.kept, *some]))

        async def body() -> None:
            await self.second.let_go(run_id, fence=fence)

        self.runner.run(body())
        self.kept.pop((run_id, fence), None)

    def said(self, record: RunRecord, log: bytes | None, progress: Progress | None) -> None:
        """Note what the attempt that holds a run has said."""
        if log is not None:
            self.logs.setdefault(record.run_id, {})[record.fence] = log
        if progress is not None:
            self.progress[record.run_id] = (record.fence, progress)

    def ending(self, record: RunRecord, state: RunState) -> Finish:
        return Finish(
            run_id=record.run_id,
            epoch=record.epoch or 0,
            fence=record.fence,
            attempt=record.attempt,
            state=state,
            finished_at=1,
            available_at=0,
            claimed=record,
        )

    @precondition(lambda self: bool(self.stale))
    @rule(data=st.data())
    def finish_late(self, data: st.DataObject) -> None:
        record = data.draw(st.sampled_from(self.stale))
        now = self.known[record.run_id]
        if now.fence == record.fence and now.epoch == record.epoch:
            return

        async def body() -> None:
            await self.store.finish(self.ending(record, RunState.SUCCEEDED))

        try:
            self.runner.run(body())
        except StaleFenceError:
            return
        raise AssertionError("a late finish was accepted")

    @precondition(lambda self: bool(self.dead))
    @rule(data=st.data())
    def claim_for_the_dead(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(sorted(self.dead)))

        async def body() -> None:
            await self.store.claim(Claim(epoch=epoch, limit=1, jobs=frozenset(JOBS)))

        try:
            self.runner.run(body())
        except LeaseLostError:
            return
        raise AssertionError("a dead node has claimed runs")

    @precondition(lambda self: bool(self.known))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        before = data.draw(st.sampled_from(list(self.known.values())))

        async def body() -> RunRecord | None:
            return await self.second.cancel(before.run_id)

        after = self.runner.run(body())
        assert after is not None
        if before.state is RunState.RUNNING:
            assert after == structs.replace(before, cancel_requested=True)
        elif before.state.terminal:
            assert after == before
        else:
            assert after.state is RunState.CANCELLED
        self.known[before.run_id] = after
