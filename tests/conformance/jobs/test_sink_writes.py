"""Rows that travel with a finish: in its transaction, under its fence, failing alone."""

import asyncio
import sqlite3
from dataclasses import dataclass, field

import pytest
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    sink_run,
)

from mainspring.base import from_us
from mainspring.errors import SinkWriteError, StaleFenceError, StoreFullError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Enqueue, JobStore, RunRecord, _sqlite_writes
from mainspring.sinks import SinkRun, SinkSet, SqlTable, SqlTransaction


@dataclass
class Rows:
    """Writes rows, then what came of the stage, then fails if told to."""

    run: SinkRun
    values: list[int]
    statement: str | None = None
    sink_name: str = "table"
    swallows: bool = False
    goes_on: bool = False
    seen: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])

    @property
    def count(self) -> int:
        return len(self.values)

    def apply(self, tx: SqlTransaction) -> int:
        tx.execute("CREATE TABLE IF NOT EXISTS target(value INTEGER PRIMARY KEY)")
        tx.executemany("INSERT INTO target VALUES (?)", [(value,) for value in self.values])
        key = (self.run.run_id, self.run.fence)
        self.seen = tx.execute("SELECT payload FROM stage WHERE run_id = ? AND fence = ?", key)
        if self.statement is not None:
            try:
                tx.execute(self.statement)
            except sqlite3.Error:
                if not self.swallows:
                    raise
            if self.goes_on:
                tx.execute("INSERT INTO target VALUES (8)")
        return len(self.values)


@dataclass
class Look:
    """Reads the rows that others wrote."""

    run: SinkRun
    sink_name: str = "look"
    count: int = 0
    sql: str = "SELECT value FROM target ORDER BY value"
    error: Exception | None = None
    found: list[object] = field(default_factory=list[object])

    def apply(self, tx: SqlTransaction) -> int:
        if self.error is not None:
            raise self.error
        self.found = [row[0] for row in tx.execute(self.sql)]
        return 0


async def test_rows_come_with_the_finish_and_a_bad_run_fails_alone(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(4)])
        one, two, three, four = (await claim(store, epoch)).runs
        await store.stage(sink_run(one), "table", 1, b"staged")
        good = Rows(sink_run(one), [1, 2])
        bad = Rows(sink_run(two), [3, 2])
        control = Rows(sink_run(three), [4], statement=" commit")
        answers = await asyncio.gather(
            store.finish(ending(one, writes=(good,))),
            store.finish(ending(two, writes=(bad,))),
            store.finish(ending(three, writes=(control,))),
            return_exceptions=True,
        )
        assert good.seen == [(b"staged",)]
        assert isinstance(answers[0], RunRecord)
        for answer in answers[1:]:
            assert isinstance(answer, SinkWriteError)
            assert answer.__cause__ is not None
        still = await store.run(two.run_id)
        assert still is not None
        assert still.state is RunState.RUNNING
        look = Look(sink_run(four))
        await store.finish(ending(four, writes=(look,)))
        assert look.found == [1, 2]
        assert (await store.finish(ending(two, RunState.FAILED))).state is RunState.FAILED


LONG = (
    "INSERT INTO target WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
    " SELECT -i FROM n"
)


@pytest.mark.parametrize("sql", [LONG, "INSERT OR ROLLBACK INTO target VALUES (7), (7)"])
async def test_rows_that_end_the_transaction_fail_their_run_only(
    stores: StoreFactory, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives up a transaction with a write that is interrupted, or whose conflict is to roll it back."""
    monkeypatch.setattr(_sqlite_writes, "WRITE_LIMIT", 0.0)
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(6)])
        one, two, three, four, five, last = (await claim(store, epoch)).runs
        bad = Rows(sink_run(two), [3], statement=sql)
        worse = Rows(sink_run(four), [4], statement=sql, swallows=True)
        worst = Rows(sink_run(five), [5], statement=sql, swallows=True, goes_on=True)
        answers = await asyncio.gather(
            store.finish(ending(one, writes=(Rows(sink_run(one), [1, 2]),))),
            store.finish(ending(two, writes=(bad,))),
            store.finish(ending(three, RunState.FAILED)),
            store.finish(ending(four, writes=(worse,))),
            store.finish(ending(five, writes=(worst,))),
            enqueue(store, new_run(store)),
            return_exceptions=True,
        )
        for place in (1, 3, 4):
            assert isinstance(answers[place], SinkWriteError)
        assert "the transaction has ended" in str(answers[4])
        assert ("took longer than 0 s" in str(answers[1])) == (sql is LONG)
        assert [RunState.SUCCEEDED, RunState.FAILED] == [
            answer.state for answer in answers if isinstance(answer, RunRecord)
        ]
        look = Look(sink_run(last))
        await store.finish(ending(last, writes=(look,)))
        assert [1, 2] == look.found
        assert RunState.FAILED is (await store.finish(ending(two, RunState.FAILED))).state


class Full(Rows):
    """Meets a full disk, with which SQLite may give up the transaction."""

    def apply(self, tx: SqlTransaction) -> int:
        super().apply(tx)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error


async def test_a_full_disk_is_blamed_on_no_rows(stores: StoreFactory) -> None:
    """The end of the run is sent again, as long as it takes."""
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        full = Full(sink_run(record), [1], statement="INSERT OR ROLLBACK INTO target VALUES (7), (7)", swallows=True)
        with pytest.raises((StoreFullError, sqlite3.OperationalError)):
            await store.finish(ending(record, writes=(full,)))
        assert RunState.SUCCEEDED is (await store.finish(ending(record, writes=(Rows(sink_run(record), [1]),)))).state


@pytest.mark.parametrize("sql", ["/* as I like it */ COMMIT", "-- so\nROLLBACK", "; COMMIT", "\ufeffEND"])
async def test_rows_cannot_end_the_transaction_by_themselves(stores: StoreFactory, sql: str) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        with pytest.raises(SinkWriteError, match="leaves the transaction alone"):
            await store.finish(ending(record, writes=(Rows(sink_run(record), [1], statement=sql),)))


@pytest.mark.parametrize("state", [RunState.AVAILABLE, RunState.RETRYING, RunState.FAILED])
async def test_whatever_ends_an_attempt_clears_its_stage(stores: StoreFactory, state: RunState) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(2)])
        one, two = (await claim(store, epoch)).runs
        await store.stage(sink_run(one), "table", 1, b"staged")
        await store.finish(ending(one, state))
        look = Look(sink_run(two), sql="SELECT run_id FROM stage")
        await store.finish(ending(two, writes=(look,)))
        assert [] == look.found


async def test_a_stale_fence_writes_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(2)])
        one, two = (await claim(store, epoch)).runs
        await store.finish(ending(one, writes=(Rows(sink_run(one), [1]),)))
        stale = Rows(sink_run(two), [2])
        with pytest.raises(StaleFenceError):
            await store.finish(ending(two, fence=two.fence - 1, writes=(stale,)))
        again = Rows(sink_run(one), [3])
        await store.finish(ending(one, writes=(again,)))
        look = Look(sink_run(two))
        await store.finish(ending(two, writes=(look,)))
        assert look.found == [1]


class Stage:
    """The store's stage, as sinks want it."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def put(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        await self._store.stage(run, sink_name, sequence, payload)


async def test_a_table_holds_the_rows_of_the_last_generation_once(stores: StoreFactory) -> None:
    """Many rows, staged in chunks, replace those that the interval had before."""
    async with stores() as store:
        epoch = await store.open_node("a")
        sinks = SinkSet()
        table = SqlTable("numbers", replace="interval")
        await sinks.open(Stage(store))
        for count in (5000, 7):
            await enqueue(store, interval_run(store, 0, generation=0))
            record = await claim_one(store, epoch)
            run = SinkRun(record.run_id, "job", record.fence, 1, None, from_us(0), from_us(HOUR))
            session = sinks.session(run, default=table)
            for number in range(count):
                await session.emit({"number": number, "text": "x" * 500})
            await store.finish(ending(record, writes=await session.finish()))
        await sinks.close()
        await enqueue(store, new_run(store))
        last = await claim_one(store, epoch)
        look = Look(sink_run(last), sql="SELECT count(*) FROM numbers")
        await store.finish(ending(last, writes=(look,)))
        assert look.found == [7]


def _counting(rows: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n"


@pytest.mark.parametrize("statement", [_counting(1001), f"INSERT INTO target {_counting(1001)} RETURNING value"])
async def test_a_statement_that_returns_too_many_rows_fails_its_run_alone(stores: StoreFactory, statement: str) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(3)])
        one, two, three = (await claim(store, epoch)).runs
        within = Look(sink_run(one), sql=_counting(1000))
        beyond = Rows(sink_run(two), [-1], statement=statement)
        answers = await asyncio.gather(
            store.finish(ending(one, writes=(Rows(sink_run(one), [-2]), within))),
            store.finish(ending(two, writes=(beyond,))),
            return_exceptions=True,
        )
        assert (1000, 1000) == (len(within.found), within.found[-1])
        assert isinstance(answers[0], RunRecord)
        assert isinstance(answers[1], SinkWriteError)
        assert "a statement that returns at most 1000 rows" in str(answers[1])
        assert "read a page at a time" in (answers[1].hint or "")
        look = Look(sink_run(three))
        await store.finish(ending(three, writes=(look,)))
        assert [-2] == look.found
        still = await store.run(two.run_id)
        assert still is not None
        assert still.state is RunState.RUNNING


async def test_a_failed_sink_write_comes_as_it_is(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        own = SinkWriteError(sink="mine", items=1, reason="a staged chunk is gone")
        with pytest.raises(SinkWriteError, match="a staged chunk is gone"):
            await store.finish(ending(record, writes=(Look(sink_run(record), error=own),)))
