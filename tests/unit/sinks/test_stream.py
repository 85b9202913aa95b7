"""A stream's items are written in batches, for ever tried again, and a bad one takes no others along."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sinks.support_targets import Target, Trade

from mainspring.base import Backoff
from mainspring.errors import InvalidArgumentError, InvalidItemError, UnroutedItemError
from mainspring.sinks import (
    Csv,
    Delivery,
    JsonLines,
    SqlTable,
    TransactionalBatch,
    TransactionalSink,
    TypedSink,
    on,
)
from mainspring.sinks._stream import SinkStream, check_stream_sink
from mainspring.testing import VirtualClock, eventually

NEVER = 3600.0  # seconds that no test lasts


@dataclass
class Given:
    """What a stream told: receipts of what is done, items refused, how often there was room."""

    done: list[int] = field(default_factory=list[int])
    refused: list[Any] = field(default_factory=list[Any])
    rooms: int = 0

    async def refuse(self, item: Any, receipt: int, error: Exception) -> None:
        self.refused.append((item, receipt, type(error)))

    def note_room(self) -> None:
        self.rooms += 1


@asynccontextmanager
async def streaming(sink: object, **terms: Any) -> AsyncGenerator[tuple[SinkStream[int], Given]]:
    given = Given()
    stream = SinkStream[int](
        sink,
        owner="flow 1.0",
        delivery=Delivery(**terms) if terms else None,
        on_done=given.done.extend,
        on_refused=given.refuse,
        on_room=given.note_room,
    )
    await stream.open()
    running = asyncio.create_task(stream.run())
    try:
        yield stream, given
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await stream.close()


def put_all(stream: SinkStream[int], items: Sequence[object]) -> None:
    for number, item in enumerate(items):
        stream.check(item)
        stream.put(item, number)


async def test_a_batch_is_written_when_it_is_full_old_or_hurried(virtual_clock: VirtualClock) -> None:
    target = Target()
    async with streaming(target, max_count=3, max_seconds=10.0) as (stream, given):
        put_all(stream, "abcd")
        await eventually(lambda: given.done == [0, 1, 2])
        await virtual_clock.advance(9.0)
        assert given.done == [0, 1, 2]
        await virtual_clock.advance(1.0)
        await eventually(lambda: given.done == [0, 1, 2, 3])
        put_all(stream, "e")
        stream.hurry()
        await eventually(lambda: stream.waiting_count == 0)
        put_all(stream, "f")
        await eventually(lambda: target.got == list("abcdef"))
        assert (6, 0, given.rooms) == (stream.written_count, stream.waiting_bytes, target.attempts)


async def test_a_sink_that_is_down_is_tried_until_it_is_back(virtual_clock: VirtualClock) -> None:
    target = Target(down=True)
    retry = Backoff(1.0, maximum=1.0, max_tries=2)
    async with streaming(target, max_seconds=0.0, retry=retry) as (stream, given):
        put_all(stream, "ab")
        for _ in range(20):
            await virtual_clock.advance(1.0)
        assert (given.done, given.refused, stream.waiting_count) == ([], [], 2)
        assert target.attempts > 10
        target.down = False
        await virtual_clock.advance(2.0)
        await eventually(lambda: given.done == [0, 1])


async def test_what_a_sink_can_never_write_is_refused_alone(tmp_path: Path) -> None:
    rows: list[Any] = [{"n": n} for n in range(20)]
    rows[7] = {"n": 1 << 70}
    rows[8] = {"n": 0, "not a column": 1}
    table = SqlTable("rows", key=("n",), database=tmp_path / "rows.db")
    async with streaming(table, max_seconds=NEVER) as (stream, given):
        put_all(stream, rows)
        stream.hurry()
        await eventually(lambda: stream.waiting_count == 0)
    assert given.done == list(range(20))
    assert [7, 8] == [receipt for _, receipt, _ in given.refused]
    with sqlite3.connect(tmp_path / "rows.db") as connection:
        found = [n for (n,) in connection.execute("SELECT n FROM rows ORDER BY n")]
    connection.close()
    assert [n for n in range(20) if n not in (7, 8)] == found


async def test_a_sink_that_says_never_is_believed(virtual_clock: VirtualClock) -> None:
    got: list[Trade] = []

    async def send(batch: Sequence[Trade]) -> None:
        if any(one.price < 0 for one in batch):
            raise InvalidItemError(sink="send", reason="a price below 0")
        got.extend(batch)

    terms = {"max_count": 3, "retry": Backoff.constant(0.0, max_tries=1)}
    async with streaming(send, **terms) as (stream, given):
        put_all(stream, [Trade("A", 1.0), Trade("B", -1.0), Trade("C", 2.0)])
        await eventually(lambda: len(given.done) == 3)
    assert [Trade("A", 1.0), Trade("C", 2.0)] == got
    assert [(Trade("B", -1.0), 1, InvalidItemError)] == given.refused


class Trades(TypedSink):
    """Takes trades only."""

    @on(Trade)
    async def write(self, batch: list[Trade]) -> None: ...


async def test_an_item_without_a_place_is_refused_at_once(tmp_path: Path) -> None:
    async with streaming(Trades()) as (stream, _):
        stream.check(Trade("A", 1.0))
        with pytest.raises(UnroutedItemError, match="dict"):
            stream.check({"symbol": "A"})
    async with streaming(SqlTable("rows", key=("n",), database=tmp_path / "rows.db")) as (stream, _):
        with pytest.raises(InvalidItemError, match="'n' has no value"):
            stream.check({"m": 1})
        with pytest.raises(InvalidItemError):
            stream.check(7)


async def test_a_row_may_be_used_again_by_whoever_gave_it() -> None:
    target, row = Target(), {"n": 0}
    async with streaming(target, max_seconds=NEVER) as (stream, _):
        for number in range(3):
            row["n"] = number
            stream.put(row, number)
        stream.hurry()
        await target.until(3)
    assert [{"n": 0}, {"n": 1}, {"n": 2}] == target.got


@pytest.mark.parametrize("bound", [{"max_queue": 2}, {"max_queue_bytes": 2}])
async def test_a_full_queue_is_written_though_the_batch_is_not_full(bound: dict[str, int]) -> None:
    target = Target()
    target.gate.clear()
    async with streaming(target, max_seconds=NEVER, **bound) as (stream, given):
        put_all(stream, "ab")
        assert stream.is_full
        await target.tried.wait()
        target.gate.set()
        await eventually(lambda: given.done == [0, 1])
        assert not stream.is_full


async def test_each_batch_is_a_file_of_its_own(tmp_path: Path) -> None:
    async with streaming(JsonLines(tmp_path / "{job}" / "{run}.jsonl"), max_count=2) as (stream, given):
        put_all(stream, [{"n": 1}, {"n": 2}, {"n": 3}])
        stream.hurry()
        await eventually(lambda: len(given.done) == 3)
    assert [[{"n": 1}, {"n": 2}], [{"n": 3}]] == documents_in(tmp_path)


def documents_in(folder: Path) -> list[list[Any]]:
    """Return the lines of each file below a folder, decoded."""
    files = [path.read_text().splitlines() for path in folder.rglob("*.jsonl")]
    return sorted(([json.loads(line) for line in one] for one in files), key=str)


async def test_a_stream_shares_no_open_database_with_others(tmp_path: Path) -> None:
    table = SqlTable("rows", key=("n",), database=tmp_path / "rows.db")
    async with streaming(table, max_seconds=0.0) as (one, first), streaming(table, max_seconds=0.0) as (two, second):
        put_all(one, [{"n": 1}])
        await eventually(lambda: first.done == [0])
        put_all(two, [{"n": 2}])
        await eventually(lambda: second.done == [0])
    assert table.own is not None
    with pytest.raises(InvalidArgumentError, match="an open database"):
        await table.own.put(one._run_of_batch(), "rows", 0, b"")


async def test_a_database_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "rows.db").write_bytes(b"no database at all, but long enough to be taken for one" * 40)
    with pytest.raises(Exception, match=r"rows\.db"):
        async with streaming(SqlTable("rows", database=tmp_path / "rows.db")):
            pass


class Bookings(TransactionalSink):
    """Writes with the finish of a run."""

    def write(self, tx: Any, batch: TransactionalBatch) -> int:
        return len(batch)


class Blocking:
    """No sink at all."""


async def spooled(batch: Sequence[object]) -> None: ...


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: SqlTable("rows"), "database=FILE"),
    (lambda: SqlTable("rows", database="x.db", replace="interval"), "key="),
    (lambda: SqlTable("rows", database="x.db", item_key=True), "key="),
    (lambda: JsonLines("{start:%Y}/{run}.jsonl"), r"\{run\}"),
    (lambda: Csv("rows.csv"), r"\{run\}"),
    (Bookings, "async function"),
    (Blocking, "expected"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_a_sink_that_needs_a_run_is_refused_with_what_would_do(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        check_stream_sink(make())


def test_terms_that_spool_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="on_failure='fail'"):
        check_stream_sink(spooled, Delivery(on_failure="spool"))


def test_the_terms_are_those_given_or_the_sinks_own() -> None:
    target: Any = Target()
    assert Delivery() == check_stream_sink(target)
    target.delivery = Delivery(max_count=7)
    assert 7 == check_stream_sink(target).max_count
    assert 8 == check_stream_sink(target, Delivery(max_count=8)).max_count
