from tests.conformance.jobs.support_stores import claim, claim_one, ending, enqueue, new_run

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import MemoryData, MemoryStore


async def test_a_place_that_a_dead_epoch_still_keeps_is_let_go() -> None:
    data = MemoryData()
    store = MemoryStore(data)
    await store.open()
    epoch, gone = await store.open_node("a"), await store.open_node("b")
    await enqueue(store, new_run(store, limits=(("k", 1),)))
    await store.finish(ending(await claim_one(store, gone), RunState.FAILED, keeps_limits=True))
    await enqueue(store, waits := new_run(store, limits=(("k", 1),)))
    del data.nodes[gone]
    assert not (await claim(store, epoch)).runs
    assert [] == await store.rescue(), "its run had ended"
    assert [] == await store.check()
    assert waits.run_id == (await claim_one(store, epoch)).run_id
    await store.close()
