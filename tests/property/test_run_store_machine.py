"""A job store against a dict: whatever the order of calls, both tell the same story."""

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from mainspring.base import new_id
from mainspring.errors import StaleFenceError
from mainspring.jobs.model import TRANSITIONS, RunState
from mainspring.jobs.stores import (
    Claim,
    ConfigRow,
    Enqueue,
    Finish,
    JobStore,
    MemoryStore,
    NewRun,
    RunFilter,
    RunKind,
    RunRecord,
    SqliteStore,
)
from mainspring.storage import InlineRunner

T = TypeVar("T")

JOBS = ("a", "b", "c")
LIMIT = 2
FREE = frozenset({RunState.AVAILABLE, RunState.RETRYING})
ENDS = [RunState.SUCCEEDED, RunState.FAILED, RunState.RETRYING, RunState.AVAILABLE]


class RunStoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.store = self.make_store(Path(self.folder.name))
        self.wait(self.store.open())
        self.known: dict[str, RunRecord] = {}
        self.limited: set[str] = set()
        self.configs: dict[str, list[bool]] = {}  # of each version of a job, whether it is put ahead of its time
        self.stale: list[RunRecord] = []
        self.epoch = 0

    def make_store(self, folder: Path) -> JobStore:
        raise NotImplementedError

    def wait(self, awaitable: Awaitable[T]) -> T:
        async def body() -> T:
            return await awaitable

        return self.runner.run(body())

    def teardown(self) -> None:
        assert [] == self.wait(self.store.check())
        self.wait(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    @initialize()
    def open_node(self) -> None:
        self.epoch = self.wait(self.store.open_node("machine"))

    def held(self) -> int:
        return sum(self.known[i].state is RunState.RUNNING for i in self.limited)

    def running(self) -> list[RunRecord]:
        return [record for record in self.known.values() if record.state is RunState.RUNNING]

    @rule(job=st.sampled_from(JOBS), priority=st.integers(0, 2), limited=st.booleans(), hot=st.booleans())
    def enqueue(self, job: str, priority: int, limited: bool, hot: bool) -> None:
        limits = (("k", LIMIT),) if limited else ()
        run = NewRun(
            run_id=new_id(),
            job_id=job,
            kind=RunKind.MANUAL,
            available_at=0,
            priority=priority,
            limits=limits,
        )
        answer = self.submit(Enqueue(run=run, claim_epoch=self.epoch if hot else None))
        if answer is None:
            record = self.wait(self.store.run(run.run_id))
            assert record is not None
            assert record.state is RunState.AVAILABLE
        else:
            assert hot
            assert not limited
            record = answer
            assert record.config_version == self.in_force(job)
        self.known[run.run_id] = record
        if limited:
            self.limited.add(run.run_id)

    def submit(self, command: Enqueue) -> RunRecord | None:
        async def body() -> RunRecord | None:
            return (await self.store.enqueue(command)).claimed

        return self.runner.run(body())

    @rule(limit=st.integers(1, 4), jobs=st.sets(st.sampled_from(JOBS), min_size=1))
    def claim(self, limit: int, jobs: set[str]) -> None:
        free = [r for r in self.known.values() if r.state in FREE and r.job_id in jobs]
        unlimited = [r for r in free if r.run_id not in self.limited]
        startable = len(unlimited) + min(len(free) - len(unlimited), LIMIT - self.held())

        async def body() -> tuple[RunRecord, ...]:
            command = Claim(epoch=self.epoch, limit=limit, jobs=frozenset(jobs))
            return (await self.store.claim(command)).runs

        taken = self.runner.run(body())
        assert len(taken) == min(limit, startable)
        for record in taken:
            before = self.known[record.run_id]
            assert before.state in FREE
            assert record.fence > before.fence
            assert record.attempt == before.attempt + 1
            first = before.started_at is None
            assert record.config_version == (self.in_force(record.job_id) if first else before.config_version)
            self.known[record.run_id] = record
        if taken and len(taken) < startable:
            left = [r.priority for r in unlimited if self.known[r.run_id].state in FREE]
            assert max(left, default=0) <= min(r.priority for r in taken)

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
    @rule(data=st.data(), state=st.sampled_from(ENDS), again=st.booleans())
    def finish(self, data: st.DataObject, state: RunState, again: bool) -> None:
        record = data.draw(st.sampled_from(self.running()))
        command = self.ending(record, state)

        async def body() -> tuple[RunRecord, RunRecord]:
            first = await self.store.finish(command)
            return first, await self.store.finish(command) if again else first

        first, second = self.runner.run(body())
        assert first == second
        expected = RunState.CANCELLED if record.cancel_requested and not state.terminal else state
        assert first.state is expected
        self.known[record.run_id] = first
        self.stale.append(record)

    def ending(self, record: RunRecord, state: RunState) -> Finish:
        return Finish(
            run_id=record.run_id,
            epoch=record.epoch or 0,
            fence=record.fence,
            attempt=record.attempt,
            state=state,
            finished_at=1,
            available_at=0,
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

    @precondition(lambda self: bool(self.known))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        before = data.draw(st.sampled_from(list(self.known.values())))

        async def body() -> RunRecord | None:
            return await self.store.cancel(before.run_id)

        after = self.runner.run(body())
        assert after is not None
        if before.state is RunState.RUNNING:
            assert after == structs.replace(before, cancel_requested=True)
        elif before.state.terminal:
            assert after == before
        else:
            assert after.state is RunState.CANCELLED
        self.known[before.run_id] = after

    @rule()
    def die_and_come_back(self) -> None:
        self.stale += self.running()
        before = {record.run_id: record for record in self.running()}
        self.wait(self.store.close_node(self.epoch))
        self.epoch = self.wait(self.store.open_node("machine"))
        for run_id, record in before.items():
            after = self.wait(self.store.run(run_id))
            assert after is not None
            wanted = RunState.CANCELLED if record.cancel_requested else RunState.AVAILABLE
            assert (after.state, after.epoch, after.attempt) == (wanted, None, record.attempt - 1)
            self.known[run_id] = after

    @invariant()
    def both_tell_the_same(self) -> None:
        records = {r.run_id: r for r in self.wait(self.store.runs(RunFilter(limit=10_000)))}
        assert set(records) == set(self.known)
        for run_id, record in records.items():
            known = self.known[run_id]
            assert (record.state, record.fence, record.attempt) == (known.state, known.fence, known.attempt)
            assert record.state.terminal == (not TRANSITIONS[record.state])
        assert self.held() <= LIMIT


class SqliteMachine(RunStoreMachine):
    def make_store(self, folder: Path) -> JobStore:
        return SqliteStore(folder / "jobs.db", durability="memory", runner=InlineRunner())


class MemoryMachine(RunStoreMachine):
    def make_store(self, folder: Path) -> JobStore:
        return MemoryStore()


SqliteMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
MemoryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSqliteStore = SqliteMachine.TestCase
TestMemoryStore = MemoryMachine.TestCase
