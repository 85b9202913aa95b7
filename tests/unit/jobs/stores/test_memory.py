import asyncio

import pytest

from mainspring.base import new_id
from mainspring.errors import ClosedError, InvalidArgumentError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Claim, Enqueue, Finish, MemoryData, MemoryStore, NewRun, RunFilter, RunKind


def plain() -> Enqueue:
    return Enqueue(run=NewRun(run_id=new_id(), job_id="job", kind=RunKind.MANUAL, available_at=0))


async def test_a_closed_store_says_so_and_its_data_stay() -> None:
    store = MemoryStore()
    await store.open()
    await store.enqueue(plain())
    await store.close()
    with pytest.raises(ClosedError, match="the job store in memory is closed"):
        await store.enqueue(plain())
    with pytest.raises(ClosedError):
        await store.open_node("a")
    await store.open()
    assert len(await store.runs(RunFilter())) == 1


async def test_a_node_lives_as_long_as_its_store_unless_told_otherwise() -> None:
    data = MemoryData()
    one, two = MemoryStore(data), MemoryStore(data)
    await one.open()
    await two.open()
    epoch = await one.open_node("a")
    await two.open_node("b")
    assert await two.rescue() == []
    assert (await one.heartbeat(epoch)).alive
    await one.close()
    await one.open()
    await two.rescue()
    assert not (await one.heartbeat(epoch)).alive


async def test_a_reader_sees_what_is_there_and_is_no_node() -> None:
    store = MemoryStore()
    reader = store.reader()
    await reader.open()
    await store.open()
    answer = await store.enqueue(plain())
    record = await reader.run(answer.run_id)
    assert record is not None
    assert record.state is RunState.AVAILABLE
    await reader.close()
    assert (reader.location, repr(reader), repr(store)) == ("memory", "<MemoryStoreReader>", "<MemoryStore>")


async def test_what_a_caller_gave_up_is_done_all_the_same() -> None:
    store = MemoryStore()
    await store.open()
    epoch = await store.open_node("a")
    enqueued = asyncio.ensure_future(store.enqueue(plain()))
    enqueued.cancel()
    (record,) = (await store.claim(Claim(epoch=epoch, limit=9, jobs=frozenset({"job"})))).runs
    end = Finish(
        run_id=record.run_id, epoch=epoch, fence=0, attempt=1, state=RunState.SUCCEEDED, finished_at=record.created_at
    )
    refused = asyncio.ensure_future(store.finish(end))
    refused.cancel()
    await asyncio.gather(enqueued, refused, return_exceptions=True)
    assert enqueued.cancelled()
    assert refused.cancelled()


async def test_who_asks_in_a_loop_leaves_room_to_others() -> None:
    store = MemoryStore()
    await store.open()
    others = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(others.set_result, None)
    await store.enqueue(plain())
    assert others.done()


def test_a_lease_is_longer_than_nothing() -> None:
    with pytest.raises(InvalidArgumentError, match="lease"):
        MemoryStore(lease=0)
