"""Rows on their way to a transaction: bounded in memory by count and bytes, the same whether staged or not."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from tests.unit.sinks.support_tables import Database, run_of

from mainspring.errors import ClosedError, InvalidItemError, SinkWriteError
from mainspring.sinks import (
    SinkRun,
    SinkSession,
    SinkSet,
    SqlTable,
    SqlTransaction,
    TransactionalBatch,
    TransactionalSink,
)
from mainspring.sinks._staged import CHUNK_BYTES, SMALL_CHUNK_BYTES, MemoryBudget, RowsWrite, RunRows


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


async def test_accept_takes_what_emit_takes_and_waits_for_as_little(database: Database) -> None:
    sinks = SinkSet()
    await sinks.open(database)
    session = sinks.session(run_of(), default=SqlTable("t"))
    first = session.accept({"n": 0})
    assert first is not None  # the way to the table is not known yet
    await first
    waits = 0
    for n in range(1, 5_001):
        pending = session.accept({"n": n})
        if pending is not None:
            waits += 1
            await pending
    assert 1 == waits  # for a full chunk
    (write,) = await session.finish()
    assert (5_001, {"t": 5_001}) == (write.count, session.counts)
    late = session.accept({"n": 0})
    assert late is not None
    with pytest.raises(ClosedError):
        await late


class Numbers(TransactionalSink):
    """All that a sink has to say: how it writes."""

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        tx.executemany("INSERT INTO numbers VALUES (?)", [(item["n"],) for item in batch])
        return len(batch)


class Column(TransactionalSink):
    """Two of these have one label, that of their class."""

    def __init__(self, table: str) -> None:
        self.table = table

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        tx.execute(f"CREATE TABLE IF NOT EXISTS {self.table}(item)")
        tx.executemany(f"INSERT INTO {self.table} VALUES (?)", [(item,) for item in batch])
        return len(batch)


@pytest.mark.parametrize("how", ["registered", "overridden", "own"])
async def test_sinks_of_one_label_keep_their_chunks_apart(database: Database, how: str) -> None:
    sinks, ints, texts = SinkSet(), Column("ints"), Column("texts")
    sinks.add(Column("nowhere") if how == "overridden" else ints, types=[int], name="ints")
    if how == "own":
        sinks.bind("job load", texts)
    else:
        sinks.add(Column("nowhere") if how == "overridden" else texts, types=[str], name="texts")
    if how == "overridden":
        sinks.override("ints", ints)
        sinks.override("texts", texts)
    await sinks.open(database)
    session = sinks.session(run_of(), default=texts if how == "own" else None)
    for number in range(5_001):
        await session.emit(number, sink="ints")
        await session.emit(str(number))
    for write in await session.finish():
        write.apply(database)
    assert [(n,) for n in range(5_001)] == database.execute("SELECT item FROM ints")
    assert [(str(n),) for n in range(5_001)] == database.execute("SELECT item FROM texts")


async def test_a_sink_of_no_name_is_refused_beside_a_registered_one_of_its_label(database: Database) -> None:
    sinks = SinkSet()
    sinks.add(Column("ints"))
    await sinks.open(database)
    session = sinks.session(run_of(), default=Column("texts"))
    with pytest.raises(InvalidItemError, match="a registered sink has its name"):
        await session.emit(1)


class Forgetful(Numbers):
    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> Any:  # Any: it returns nothing
        super().write(tx, batch)


@pytest.mark.parametrize(("kind", "counted"), [(Numbers, 5_001), (Forgetful, 0)])
async def test_a_transactional_sink_only_says_how_it_writes(
    database: Database, kind: type[Numbers], counted: int
) -> None:
    database.execute("CREATE TABLE numbers(n)")
    sinks = SinkSet()
    await sinks.open(database)
    session = sinks.session(run_of(), default=kind())
    for n in range(5_001):
        await session.emit({"n": n})
    (write,) = await session.finish()
    assert (kind.__name__, counted) == (write.sink_name, write.apply(database))
    assert [(5_001,)] == database.execute("SELECT count(*) FROM numbers")


async def test_a_staged_chunk_that_is_gone_fails_the_write(database: Database) -> None:
    sinks = SinkSet()
    await sinks.open(database)
    session = sinks.session(run_of(), default=SqlTable("t"))
    for n in range(5_001):
        await session.emit({"n": n})
    (write,) = await session.finish()
    assert isinstance(write, RowsWrite)
    assert repr(write) == "<RowsWrite of 5001 for t>"
    assert (write.count, write.sink_name) == (5_001, "t")
    database.execute("DELETE FROM stage")
    with pytest.raises(SinkWriteError, match="chunk 0 is gone"):
        write.apply(database)


@dataclass
class Trade:
    symbol: str
    price: Decimal
    at: datetime


class Pair(NamedTuple):
    a: int
    b: str


class Keeper:
    """A transactional sink that remembers what it was given."""

    label = "keeper"

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.batches: list[tuple[str, bool, int]] = []

    def check(self, item: object, run: SinkRun) -> None:
        if item is None:
            raise InvalidItemError(sink=self.label, reason="nothing is no item")

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        self.got += batch
        self.batches.append((batch.run.run_id, batch.first, len(batch)))
        return len(batch)


async def _session(stage: Database | None, sink: object) -> SinkSession:
    sinks = SinkSet()
    await sinks.open(stage)
    return sinks.session(run_of(), default=sink)


async def test_many_bytes_are_staged_though_they_are_few_rows(database: Database) -> None:
    session = await _session(database, SqlTable("t"))
    for n in range(7):
        await session.emit({"n": n, "text": "x" * (CHUNK_BYTES // 2)})
    (write,) = await session.finish()
    assert [(3,)] == database.execute("SELECT count(*) FROM stage")
    assert 7 == write.apply(database)


async def test_the_bytes_of_all_runs_together_are_bounded(database: Database) -> None:
    budget, row = MemoryBudget(3 * SMALL_CHUNK_BYTES), {"text": "x" * 1000}
    runs = [RunRows(SqlTable("t"), run_of(n), database, name="t", budget=budget) for n in range(10)]
    for _ in range(50):
        for rows in runs:
            if rows.take(row, None):
                await rows.relieve()
            assert budget.used <= budget.limit + 10 * (SMALL_CHUNK_BYTES + 1100)
    assert 500 == sum([(await rows.closed()).apply(database) for rows in runs])
    assert 0 == budget.used


async def test_a_sink_gets_items_as_they_were_emitted_staged_or_not(database: Database) -> None:
    at = datetime(2013, 1, 1, tzinfo=UTC)
    items: list[object] = [Trade("A", Decimal("1.5"), at), {"a": 1}, Pair(1, "x"), Pair(2, "y"), "text", 7, [1, 2]]
    keeper = Keeper()
    session = await _session(database, keeper)
    filler = "x" * CHUNK_BYTES
    for item in (*items, filler, *items):
        await session.emit(item)
    (write,) = await session.finish()
    assert len(items) * 2 + 1 == write.apply(database)
    assert keeper.got == [*items, filler, *items]
    assert [("run-0-1", True, 8), ("run-0-1", False, 7)] == keeper.batches


async def test_what_a_handler_does_to_an_item_later_changes_nothing(database: Database) -> None:
    session = await _session(database, SqlTable("t"))
    row = {"n": 1}
    await session.emit(row)
    row["n"] = 2
    (write,) = await session.finish()
    write.apply(database)
    assert database.execute("SELECT n FROM t") == [(1,)]


class Plain:
    pass


@dataclass
class Holder:
    value: object


@pytest.mark.parametrize("item", [Plain(), {"a": Plain()}, Holder(Plain()), None, {"a": 2**70}])
async def test_an_item_that_cannot_be_kept_is_refused_when_it_is_emitted(database: Database, item: object) -> None:
    session = await _session(database, Keeper())
    with pytest.raises(InvalidItemError):
        await session.emit(item)
    assert session.counts == {}


async def test_a_type_that_cannot_be_read_again_is_refused(database: Database) -> None:
    @dataclass
    class Local:
        value: "Unknown"  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]  # the point

    session = await _session(database, Keeper())
    with pytest.raises(InvalidItemError, match="cannot be stored and read again"):
        await session.emit(Local(1))


async def test_without_a_stage_rows_stay_in_memory(database: Database) -> None:
    keeper = Keeper()
    session = await _session(None, keeper)
    for _ in range(3):
        await session.emit("x" * CHUNK_BYTES)
    (write,) = await session.finish()
    assert 3 == write.apply(database)


class SlowStage(Database):
    """A stage that fails when it is told to, or waits."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def put(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        await super().put(run, sink_name, sequence, payload)


async def test_several_tasks_of_a_run_may_emit_while_the_stage_is_slow() -> None:
    stage, keeper = SlowStage(), Keeper()
    session = await _session(stage, keeper)

    async def emit(number: int) -> None:
        for n in range(4):
            await session.emit(f"{number}-{n}" + "x" * CHUNK_BYTES)

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(emit(number))
        await asyncio.sleep(0)
        stage.gate.set()
    (write,) = await session.finish()
    assert 12 == write.apply(stage)
    assert {f"{number}-{n}" for number in range(3) for n in range(4)} == {text.rstrip("x") for text in keeper.got}
    stage.connection.close()


async def test_a_cancelled_emit_loses_no_item() -> None:
    stage, keeper = SlowStage(), Keeper()
    session = await _session(stage, keeper)
    await session.emit("0" + "x" * CHUNK_BYTES)  # on its way from now on
    for number in (1, 2):
        emitting = asyncio.create_task(session.emit(f"{number}" + "x" * CHUNK_BYTES))
        await asyncio.sleep(0)
        emitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await emitting
    stage.gate.set()
    (write,) = await session.finish()
    assert 3 == write.apply(stage)
    assert ["0", "1", "2"] == [text.rstrip("x") for text in keeper.got]
    stage.connection.close()


async def test_a_chunk_that_could_not_be_staged_fails_the_run_whatever_the_handler_catches() -> None:
    stage = SlowStage()
    stage.error = OSError("full")
    stage.gate.set()
    session = await _session(stage, Keeper())
    await session.emit("x" * CHUNK_BYTES)
    with pytest.raises(OSError, match="full"):
        await session.emit("x" * CHUNK_BYTES)
    with pytest.raises(OSError, match="full"):
        await session.finish()
    await session.discard()
    stage.connection.close()


async def test_an_ended_run_emits_nothing_more(database: Database) -> None:
    for end in ("finish", "discard"):
        session = await _session(database, Keeper())
        await session.emit(1)
        await getattr(session, end)()
        with pytest.raises(ClosedError):
            await session.emit(2)
