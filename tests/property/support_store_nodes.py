"""The part of the state machine over job stores that is about nodes: leases that end, rescue, and what they say."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec import structs
from tests.property.support_store_runs import LEASE, RunMachine

from mainspring.errors import LeaseLostError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import HeartbeatAnswer, JobStore, LeaseRow, Progress, Report, RunRecord, TakeLease

NAMES = ("x", "y")
HOLDERS = ("h1", "h2", "h3")
WORDS = st.lists(
    st.tuples(st.none() | st.binary(min_size=1, max_size=3), st.none() | st.integers(0, 9)), min_size=6, max_size=6
)


class NodeMachine(RunMachine):
    """Nodes that beat, or do not, and die; leases by name; reports of what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[int, tuple[int, int]] = {}  # by epoch, between which instants its lease ends
        self.orphans: set[int] = set()  # epochs whose process is gone
        self.leases: dict[str, LeaseRow] = {}

    def open_node(self, store: JobStore) -> int:
        epoch = super().open_node(store)
        self.ends[epoch] = (self.clock.passed + LEASE, self.clock.passed + LEASE)
        return epoch

    @precondition(lambda self: len(self.living) < 4)
    @rule(second=st.booleans())
    def join(self, second: bool) -> None:
        self.open_node(self.second if second else self.store)

    @rule(seconds=st.sampled_from([1, 10, 25, 31]))
    def time_passes(self, seconds: int) -> None:
        self.clock.passed += seconds

    @precondition(lambda self: self.last_epoch > 0)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        epoch = data.draw(st.integers(1, self.last_epoch))
        store = self.living.get(epoch, self.store)

        async def body() -> HeartbeatAnswer:
            return await store.heartbeat(epoch)

        answer = self.runner.run(body())
        assert answer.alive == (epoch in self.living)
        wanted = {r.run_id for r in self.running() if r.epoch == epoch and r.cancel_requested}
        assert wanted == set(answer.cancelled)
        if answer.alive:
            now = self.clock.passed
            low, _ = self.ends[epoch]
            self.ends[epoch] = (max(low, now + LEASE * 9 // 10), now + LEASE)
            promised = store.lease_end(epoch) - self.clock.monotonic()
            assert LEASE * 0.9 <= promised <= LEASE

    @precondition(lambda self: len(self.living) > 1)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A node that leaves in good order hands its runs back, which is no rescue."""
        epoch = data.draw(st.sampled_from(sorted(self.living)))
        self.wait(self.living[epoch].close_node(epoch))
        self.buried({epoch}, max_rescues=None)

    @rule()
    def kill_the_second(self) -> None:
        """A process that is gone leaves its nodes to be found, however long their leases still hold."""
        self.wait(self.second.close())
        self.orphans |= {epoch for epoch, store in self.living.items() if store is self.second}
        self.living = {epoch: self.store if store is self.second else store for epoch, store in self.living.items()}
        self.second = self.open_store()

    @rule(max_rescues=st.integers(1, 3))
    def rescue(self, max_rescues: int) -> None:
        async def body() -> Sequence[RunRecord]:
            return await self.store.rescue(max_rescues=max_rescues)

        freed = {record.run_id: record for record in self.runner.run(body())}
        alive = {row.epoch for row in self.wait(self.store.nodes()) if row.alive}
        assert alive <= set(self.living)
        died = set(self.living) - alive
        now = self.clock.passed
        for epoch in self.living:
            low, high = self.ends[epoch]
            if epoch in self.orphans or high < now:
                assert epoch in died
            elif now < low:
                assert epoch in alive
        assert set(freed) == self.buried(died, max_rescues=max_rescues)
        for run_id, record in freed.items():
            assert record.state is self.known[run_id].state

    def buried(self, epochs: set[int], *, max_rescues: int | None) -> set[str]:
        """Check where the runs of dead nodes went; return them."""
        freed = {record.run_id for record in self.running() if record.epoch in epochs}
        self.stale += [self.known[run_id] for run_id in freed]
        for run_id in freed:
            before, after = self.known[run_id], self.wait(self.store.run(run_id))
            assert after is not None
            rescues = before.rescues + (max_rescues is not None)
            wanted = RunState.CANCELLED if before.cancel_requested else RunState.AVAILABLE
            if wanted is RunState.AVAILABLE and max_rescues is not None and rescues >= max_rescues:
                wanted = RunState.FAILED
            assert (wanted, None, before.attempt - 1, rescues) == (
                after.state,
                after.epoch,
                after.attempt,
                after.rescues,
            )
            self.known[run_id] = structs.replace(after, progress=None)
        for epoch in epochs:
            del self.living[epoch]
        self.dead |= epochs
        self.orphans -= epochs
        self.kept = {key: epoch for key, epoch in self.kept.items() if epoch not in epochs}
        self.leases = {name: row for name, row in self.leases.items() if row.epoch not in epochs}
        return freed

    @precondition(lambda self: self.last_epoch > 0)
    @rule(data=st.data(), lease=st.sampled_from(NAMES), holder=st.sampled_from(HOLDERS))
    def take_lease(self, data: st.DataObject, lease: str, holder: str) -> None:
        epoch = data.draw(st.integers(1, self.last_epoch))

        async def body() -> LeaseRow | None:
            try:
                return await self.second.take_lease(TakeLease(lease=lease, holder=holder, epoch=epoch))
            except LeaseLostError:
                return None

        row = self.runner.run(body())
        assert (row is None) == (epoch in self.dead)
        if row is None:
            return
        if lease not in self.leases:
            assert (lease, holder, epoch) == (row.lease, row.holder, row.epoch)
            self.saw_fence(row.fence)
            self.leases[lease] = row
        assert self.leases[lease] == row

    @rule(lease=st.sampled_from(NAMES), holder=st.sampled_from(HOLDERS))
    def drop_lease(self, lease: str, holder: str) -> None:
        async def body() -> None:
            await self.store.drop_lease(lease, holder)

        self.runner.run(body())
        if lease in self.leases and self.leases[lease].holder == holder:
            del self.leases[lease]

    @precondition(lambda self: bool(self.running() or self.stale))
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        """What an attempt says is kept while it holds its run, and never after."""
        some = st.lists(st.sampled_from([*self.running(), *self.stale]), min_size=1, max_size=6)
        said = [self.report_of(record, *what) for record, what in zip(data.draw(some), data.draw(WORDS), strict=False)]

        async def body() -> None:
            await self.second.report(said)

        self.runner.run(body())
        for one in said:
            now = self.known[one.run_id]
            if (now.state, now.fence) == (RunState.RUNNING, one.fence):
                self.said(now, one.log, one.progress)

    def report_of(self, record: RunRecord, log: bytes | None, done: int | None) -> Report:
        progress = None if done is None else Progress(done=done, total=10, at=self.clock.passed)
        return Report(run_id=record.run_id, fence=record.fence, attempt=record.attempt, log=log, progress=progress)
