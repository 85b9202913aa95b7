"""A job store against a dict: whatever the order of calls, both tell the same story."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from tests.property.support_store_nodes import NodeMachine
from tests.property.support_store_runs import LEASE, LIMIT

from mainspring.jobs.model import TRANSITIONS
from mainspring.jobs.stores import JobStore, MemoryData, MemoryStore, RunFilter, SqliteStore
from mainspring.storage import InlineRunner

LOGS_KEPT = 10


class StoreMachine(NodeMachine):
    @precondition(lambda self: bool(self.logs))
    @rule(data=st.data())
    def read_what_was_logged(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.logs)))
        kept = sorted(self.logs[run_id].items())[-LOGS_KEPT:]
        assert kept == [(one.fence, one.log) for one in self.wait(self.second.logs(run_id))]

    @invariant()
    def both_tell_the_same(self) -> None:
        records = {r.run_id: r for r in self.wait(self.store.runs(RunFilter(limit=10_000)))}
        assert set(records) == set(self.known)
        for run_id, record in records.items():
            known = self.known[run_id]
            fence, progress = self.progress.get(run_id, (0, None))
            assert record.progress == (progress if fence == known.fence else None)
            assert (record.state, record.fence, record.attempt) == (known.state, known.fence, known.attempt)
            assert (record.epoch, record.rescues) == (known.epoch, known.rescues)
            assert record.cancel_requested == known.cancel_requested
            assert record.state.terminal == (not TRANSITIONS[record.state])
        assert self.held() <= LIMIT

    @invariant()
    def leases_are_held_by_living_nodes(self) -> None:
        assert [row for _, row in sorted(self.leases.items())] == self.wait(self.second.leases())


class SqliteMachine(StoreMachine):
    def make_store(self, folder: Path) -> JobStore:
        return SqliteStore(folder / "jobs.db", durability="memory", lease=LEASE, runner=InlineRunner())


class MemoryMachine(StoreMachine):
    def make_store(self, folder: Path) -> JobStore:
        return MemoryStore(self.shared(), lease=LEASE)

    def shared(self) -> MemoryData:
        """Return the data that both stores open."""
        store = vars(self).get("store")
        return store._data if isinstance(store, MemoryStore) else MemoryData()


@pytest.mark.stress
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("machine", "examples"), [(SqliteMachine, 25), (MemoryMachine, 60)])
def test_whatever_is_called_in_whatever_order(
    machine: type[StoreMachine], examples: int, mainspring_count: Callable[[int, int], int]
) -> None:
    count = mainspring_count(examples, 20 * examples)
    run_state_machine_as_test(machine, settings=settings(max_examples=count, stateful_step_count=50, deadline=None))
