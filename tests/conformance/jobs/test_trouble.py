"""Nodes that are killed, suspended or cut off in the middle of a write, and others that take over."""

import asyncio
from dataclasses import dataclass, field

import pytest
from tests.conformance.jobs.support_clock import Ahead
from tests.conformance.jobs.support_stores import (
    StoreFactory,
    claim,
    claim_one,
    ending,
    enqueue,
    new_run,
    sink_run,
)

from mainspring.base import use_clock
from mainspring.errors import LeaseLostError, StaleFenceError, StorageError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import NO_RUN, Enqueue, JobStore, RunFilter
from mainspring.sinks import SinkRun, SqlTransaction


@dataclass
class Append:
    """Adds the run's fence to a table unless it is a look, and reads the table and what was staged."""

    run: SinkRun
    sink_name: str = "table"
    count: int = 1
    rows: list[object] = field(default_factory=list[object])
    staged: list[object] = field(default_factory=list[object])

    def apply(self, tx: SqlTransaction) -> int:
        tx.execute("CREATE TABLE IF NOT EXISTS target(fence INTEGER)")
        if self.run.job_id != "look":
            tx.execute("INSERT INTO target VALUES (?)", (self.run.fence,))
        self.rows = [row[0] for row in tx.execute("SELECT fence FROM target ORDER BY fence")]
        key = (self.run.run_id, self.run.fence)
        self.staged = [row[0] for row in tx.execute("SELECT payload FROM stage WHERE run_id = ? AND fence = ?", key)]
        return 1


async def rows_in(store: JobStore, epoch: int) -> list[object]:
    """Return what is in the table, by a run that looks."""
    await enqueue(store, new_run(store, "look"))
    record = await claim_one(store, epoch, "look")
    look = Append(sink_run(record))
    await store.finish(ending(record, writes=(look,)))
    return look.rows


async def test_rows_of_a_finish_whose_reply_was_lost_are_there_once(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        end = ending(record, writes=(Append(sink_run(record)),))
        with stores.cut(store), pytest.raises(StorageError):
            await store.finish(end)
        assert [] == await rows_in(store, epoch)
        with stores.lose_replies(store), pytest.raises(StorageError):
            await store.finish(end)
        assert RunState.SUCCEEDED is (await store.finish(end)).state
        assert [record.fence] == await rows_in(store, epoch)


async def test_a_chunk_that_is_staged_again_is_there_once(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        write = Append(sink_run(record))
        with stores.cut(store), pytest.raises(StorageError):
            await store.stage(write.run, "table", 0, b"cut")
        with stores.lose_replies(store), pytest.raises(StorageError):
            await store.stage(write.run, "table", 1, b"lost")
        await store.stage(write.run, "table", 1, b"lost")
        await store.finish(ending(record, writes=(write,)))
        assert [b"lost"] == write.staged


async def test_a_claim_whose_reply_was_lost_holds_its_runs(stores: StoreFactory) -> None:
    """Nobody else gets them; whoever asks for the runs of its epoch finds them, and may end them."""
    async with stores() as store, stores() as other:
        epoch, second = await store.open_node("a"), await other.open_node("b")
        run = new_run(store)
        await enqueue(store, run)
        with stores.cut(store), pytest.raises(StorageError):
            await claim(store, epoch)
        assert [RunState.AVAILABLE] == [record.state for record in await store.runs(RunFilter())]
        with stores.lose_replies(store), pytest.raises(StorageError):
            await claim(store, epoch)
        assert () == (await claim(other, second)).runs
        assert () == (await claim(store, epoch)).runs
        (held,) = await store.runs(RunFilter(states=frozenset({RunState.RUNNING})))
        assert (run.run_id, epoch, 1) == (held.run_id, held.epoch, held.attempt)
        assert RunState.SUCCEEDED is (await store.finish(ending(held))).state


async def test_a_place_let_go_with_a_lost_reply_is_given_back_once(stores: StoreFactory) -> None:
    limits = (("k", 1),)
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.enqueue_many([Enqueue(run=new_run(store, limits=limits)) for _ in range(3)])
        record = await claim_one(store, epoch)
        await store.finish(ending(record, RunState.FAILED, keeps_limits=True))
        with stores.cut(store), pytest.raises(StorageError):
            await store.let_go(record.run_id, fence=record.fence)
        assert () == (await claim(store, epoch)).runs
        with stores.lose_replies(store), pytest.raises(StorageError):
            await store.let_go(record.run_id, fence=record.fence)
        await store.let_go(record.run_id, fence=record.fence)
        assert 1 == len((await claim(store, epoch)).runs), "one place, and not two"


async def test_a_node_whose_opening_was_not_answered_opens_again(stores: StoreFactory) -> None:
    """What was opened unheard is nobody's, and hinders nobody."""
    async with stores() as store, stores() as other:
        with stores.lose_replies(store), pytest.raises(StorageError):
            await store.open_node("a")
        epoch = await store.open_node("a")
        unheard = [node.epoch for node in await store.nodes() if node.epoch != epoch]
        assert 1 == len(unheard)
        assert unheard[0] < epoch
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        assert [] == await other.rescue()
        assert RunState.SUCCEEDED is (await store.finish(ending(record))).state


async def test_a_node_whose_opening_was_cut_off_is_none(stores: StoreFactory) -> None:
    """Its number may go to another one, whose death is seen."""
    async with stores() as store:
        with stores.cut(store), pytest.raises(StorageError):
            await store.open_node("a")
        assert [] == await store.nodes()
        async with stores() as other:
            epoch = await other.open_node("b")
            await enqueue(other, new_run(store))
            await claim_one(other, epoch)
        assert 1 == len(await store.rescue())


async def test_a_rescue_whose_reply_was_lost_is_one_rescue(stores: StoreFactory) -> None:
    async with stores() as store:
        await enqueue(store, new_run(store))
        async with stores() as other:
            await claim_one(other, await other.open_node("b"))
        with stores.cut(store), pytest.raises(StorageError):
            await store.rescue()
        assert [(RunState.RUNNING, 0)] == [(one.state, one.rescues) for one in await store.runs(RunFilter())]
        with stores.lose_replies(store), pytest.raises(StorageError):
            await store.rescue()
        assert [] == await store.rescue()
        assert [(RunState.AVAILABLE, 1)] == [(one.state, one.rescues) for one in await store.runs(RunFilter())]


async def test_a_refused_call_is_noted_as_often_as_it_is_told(stores: StoreFactory) -> None:
    async with stores() as store:
        with stores.cut(store), pytest.raises(StorageError):
            await store.note_refused("job", reason="unknown_job", error="E")
        assert [] == await store.events(NO_RUN)
        with stores.lose_replies(store), pytest.raises(StorageError):
            await store.note_refused("job", reason="unknown_job", error="E")
        assert 1 == len(await store.events(NO_RUN))


async def test_a_beat_that_was_cut_off_renews_nothing(stores: StoreFactory) -> None:
    clock = Ahead()
    with use_clock(clock):
        async with stores() as other, stores(lease=1000.0) as store:
            epoch = await store.open_node("a")
            end = store.lease_end(epoch)
            clock.ahead = 500.0
            with stores.cut(store), pytest.raises(StorageError):
                await store.heartbeat(epoch)
            assert end == store.lease_end(epoch)
            clock.ahead = 2000.0
            await other.rescue()
            assert not (await store.heartbeat(epoch)).alive


async def test_a_group_without_a_reply_is_done_as_a_whole(stores: StoreFactory) -> None:
    async with stores() as store:
        commands = [Enqueue(run=new_run(store)) for _ in range(3)]
        for trouble, kept in ((stores.cut, 0), (stores.lose_replies, 3)):
            with trouble(store):
                sent = await asyncio.gather(*(store.enqueue(one) for one in commands), return_exceptions=True)
            assert [True] * 3 == [isinstance(answer, StorageError) for answer in sent]
            assert kept == len(await store.runs(RunFilter()))
        again = await asyncio.gather(*(store.enqueue(one) for one in commands))
        assert [one.run.run_id for one in commands] == [answer.run_id for answer in again]
        assert 3 == len(await store.runs(RunFilter()))


async def test_a_node_that_stood_still_for_longer_than_its_lease_is_refused(stores: StoreFactory) -> None:
    """It goes on with a finish, rows and all, that it had begun; another one has ended the run meanwhile."""
    clock = Ahead()
    with use_clock(clock):
        async with stores(lease=9000.0) as other, stores(lease=1000.0) as store:
            second = await other.open_node("b")
            epoch = await store.open_node("a")
            run = new_run(store)
            await enqueue(store, run)
            record = await claim_one(store, epoch)
            await store.stage(sink_run(record), "table", 0, b"rows")
            with stores.stand_still(store):
                late = ending(record, value=b"1", writes=(Append(sink_run(record)),))
                ends = asyncio.gather(
                    store.finish(late), store.stage(sink_run(record), "table", 1, b"more"), return_exceptions=True
                )
                beat = asyncio.ensure_future(store.heartbeat(epoch))
                await asyncio.sleep(0)
                clock.ahead = 2000.0
                assert [run.run_id] == [freed.run_id for freed in await other.rescue()]
                taken = await claim_one(other, second)
                write = Append(sink_run(taken))
                ended = await other.finish(ending(taken, value=b"2", writes=(write,)))
                assert not ends.done()
            assert [StaleFenceError, StaleFenceError] == [type(answer) for answer in await ends]
            assert not (await beat).alive
            assert ([], [taken.fence]) == (write.staged, write.rows)
            assert [taken.fence] == await rows_in(other, second)
            assert ended == await store.run(run.run_id)
            assert (b"2", 1) == (ended.value, ended.rescues)
            with pytest.raises(LeaseLostError):
                await claim(store, epoch)


async def test_a_node_that_stood_still_for_less_than_its_lease_goes_on(stores: StoreFactory) -> None:
    clock = Ahead()
    with use_clock(clock):
        async with stores() as other, stores(lease=1000.0) as store:
            epoch = await store.open_node("a")
            await enqueue(store, new_run(store))
            record = await claim_one(store, epoch)
            with stores.stand_still(store):
                end = asyncio.gather(store.finish(ending(record)))
                await asyncio.sleep(0)
                clock.ahead = 500.0
                assert [] == await other.rescue()
                assert not end.done()
            (ended,) = await end
            assert (RunState.SUCCEEDED, 0) == (ended.state, ended.rescues)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_node_killed_before_the_reply_of_its_finish(stores: StoreFactory, kept: bool) -> None:
    """What was done stays, and what was not is done by another node."""
    async with stores() as other:
        second = await other.open_node("b")
        async with stores() as store:
            epoch = await store.open_node("a")
            await enqueue(store, new_run(store))
            record = await claim_one(store, epoch)
            trouble = stores.lose_replies if kept else stores.cut
            with trouble(store), pytest.raises(StorageError):
                await store.finish(ending(record, writes=(Append(sink_run(record)),)))
        freed = await other.rescue()
        assert (0 if kept else 1) == len(freed)
        fences = [record.fence] if kept else []
        assert fences == await rows_in(other, second)
        for again in (await claim(other, second)).runs:
            await other.finish(ending(again, writes=(Append(sink_run(again)),)))
        assert 1 == len(await rows_in(other, second))
