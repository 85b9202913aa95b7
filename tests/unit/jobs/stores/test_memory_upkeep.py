"""What contradicts itself in memory is named."""

from tests.conformance.jobs.support_stores import HOUR, backfill_of, claim_one, ending, enqueue, interval_run, new_run

from mainspring.jobs.stores import MemoryData, MemoryStore
from mainspring.jobs.stores._memory_upkeep import find_problems


async def test_each_contradiction_is_named() -> None:
    data = MemoryData()
    store = MemoryStore(data)
    await store.open()
    epoch = await store.open_node("a")
    await enqueue(store, interval_run(store, 0))
    ended = await store.finish(ending(await claim_one(store, epoch)))
    await enqueue(store, new_run(store, limits=(("k", 1),)))
    live = await claim_one(store, epoch)
    await store.create_backfill(backfill_of(backfill_id="b", live_count=2))
    data.ended[live.run_id] = ended
    data.counters["k"] = 3
    data.done["job"] += [(HOUR // 2, 2 * HOUR, "failed")]
    data.done["empty"] = [(5, 5, "failed")]
    assert find_problems(data) == [
        f"run {live.run_id} is live and ended at the same time",
        "job job has 2 runs that ended as succeeded, and 1 are counted",
        "1 runs hold the limit k, and 3 are counted",
        "the done-set of job job has ranges that overlap or are empty",
        "the done-set of job empty has ranges that overlap or are empty",
        "backfill b has 0 live runs, and 2 are counted",
    ]


async def test_a_count_of_live_runs_that_is_off_is_named() -> None:
    data = MemoryData()
    store = MemoryStore(data)
    await store.open()
    await enqueue(store, new_run(store))
    assert find_problems(data) == []
    (key,) = data.live_counts
    data.live_counts[key] = 4
    (problem,) = find_problems(data)
    assert problem.startswith("runs that have not ended are counted as")
    assert ": 4}" in problem
    assert ": 1}" in problem
