"""Retention in memory looks at each run and each key once in a pass, however many keys spare."""

from typing import Any

from tests.conformance.jobs.support_stores import HOUR, claim_one, ending, enqueue, new_run

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import MemoryData, MemoryStore, Prune, RunRecord
from mainspring.jobs.stores._memory_prune import prune

RUNS = 20


class Looked(dict[str, RunRecord]):
    """Counts the records that it gives."""

    count = 0

    def get(self, key: str, default: Any = None) -> Any:  # Any: as dict has it
        self.count += 1
        return super().get(key, default)

    def values(self) -> Any:  # Any: a view that has no public name
        self.count += len(self)
        return super().values()


async def test_a_pass_over_runs_that_keys_name_looks_at_each_once() -> None:
    data = MemoryData()
    store = MemoryStore(data)
    await store.open()
    epoch = await store.open_node("a")
    for number in range(RUNS):
        key = str(number) if number % 2 else None
        await enqueue(store, new_run(store, idempotency_key=key, key_expires_at=store.now() + HOUR))
        await store.finish(ending(await claim_one(store, epoch)))
    data.ended = looked = Looked(data.ended)
    now, gone, spared = store.now(), 0, 0
    last: str | None = ""
    while last is not None:
        command = Prune(job_id="job", state=RunState.SUCCEEDED, ended_before=now + 1, limit=3, after=last)
        pruned = prune(data, command, now)
        last, gone, spared = pruned.last, gone + pruned.gone, spared + pruned.spared
    assert (RUNS // 2, RUNS // 2) == (gone, spared)
    assert RUNS >= looked.count
    assert set(looked) == set(data.run_ids)
