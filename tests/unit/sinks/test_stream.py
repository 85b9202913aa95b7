"""A stream's items are written in batches, for ever tried again, and a bad one takes no others along."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sinks.support_targets import Target, Trade

from mainspring.base import Backoff
from mainspring.errors import InvalidArgumentError, InvalidItemError, UnroutedItemError
from mainspring.sinks import (
    Delivery,
    JsonLines,
    SqlTable,
    TypedSink,
    on,
)
from mainspring.sinks._stream import QUIET_SECONDS, SinkStream
from mainspring.testing import VirtualClock, eventually

NEVER = 3600.0  # seconds that no test lasts


@dataclass
class Given:
    """What a stream told: receipts of what is done, items refused, how often there was room."""

    done: list[int] = field(default_factory=list[int])
    refused: list[Any] = field(default_factory=list[Any])
    rooms: int = 0
    is_last: bool = False

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
        nothing_comes=lambda: given.is_last,
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
        stream.put(item, number)


async def test_a_batch_is_written_when_it_is_full_or_old_or_nothing_comes(virtual_clock: VirtualClock) -> None:
    target = Target()
    async with streaming(target, max_count=3, max_seconds=10.0) as (stream, given):
        put_all(stream, "abcd")
        await eventually(lambda: given.done == [0, 1, 2])
        await virtual_clock.advance(9.0)
        assert given.done == [0, 1, 2]
        await virtual_clock.advance(1.0)
        await eventually(lambda: given.done == [0, 1, 2, 3])
        given.is_last = True
        put_all(stream, "e")
        await virtual_clock.advance(QUIET_SECONDS / 2)
        put_all(stream, "f")
        await virtual_clock.advance(QUIET_SECONDS / 2)
        assert target.got == list("abcd")
        await virtual_clock.advance(QUIET_SECONDS * 2)
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
    rows[9] = {"n": None}
    rows[10] = {"n": 10, "b": object()}
    table = SqlTable("rows", key=("n",), database=tmp_path / "rows.db")
    async with streaming(table, max_seconds=NEVER) as (stream, given):
        put_all(stream, rows)
        given.is_last = True
        await eventually(lambda: stream.waiting_count == 0)
    assert sorted(given.done) == list(range(20))
    assert [7, 8, 9, 10] == [receipt for _, receipt, _ in given.refused]
    assert {"n": 1 << 70} == given.refused[0][0]
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        found = [n for (n,) in connection.execute("SELECT n FROM rows ORDER BY n")]
    assert [n for n in range(20) if n not in (7, 8, 9, 10)] == found


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


async def test_what_a_table_of_somebody_else_does_not_allow_is_refused_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        connection.execute("CREATE TABLE rows(n INTEGER NOT NULL CHECK (n < 5))")
    table = SqlTable("rows", create=False, database=tmp_path / "rows.db")
    async with streaming(table, max_seconds=NEVER) as (stream, given):
        put_all(stream, [{"n": n} for n in range(7)])
        given.is_last = True
        await eventually(lambda: stream.waiting_count == 0)
    assert [{"n": 5}, {"n": 6}] == [item for item, _, _ in given.refused]
    assert {sqlite3.IntegrityError} == {error for _, _, error in given.refused}


async def test_a_row_like_another_where_rows_must_differ_is_refused_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        connection.execute("CREATE TABLE rows(n INTEGER, v INTEGER UNIQUE)")
    async with streaming(SqlTable("rows", database=tmp_path / "rows.db"), max_seconds=NEVER) as (stream, given):
        put_all(stream, [{"n": n, "v": n % 5} for n in range(7)])
        given.is_last = True
        await eventually(lambda: stream.waiting_count == 0)
    assert [{"n": 5, "v": 0}, {"n": 6, "v": 1}] == [item for item, _, _ in given.refused]
    assert 5 == stream.written_count


async def test_rows_that_keep_a_key_from_being_unique_are_no_fault_of_an_item(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        connection.execute("CREATE TABLE rows(n INTEGER)")
        connection.execute("INSERT INTO rows VALUES (1), (1)")
        connection.commit()
    table = SqlTable("rows", key=("n",), database=tmp_path / "rows.db")
    async with streaming(table, max_seconds=0.0, retry=Backoff.constant(0.01)) as (stream, given):
        put_all(stream, [{"n": 2}])
        await eventually(lambda: "rows with the same key" in caplog.text)
        with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
            connection.execute("DELETE FROM rows WHERE rowid = 1")
            connection.commit()
        await eventually(lambda: given.done == [0])
    assert [] == given.refused


async def test_a_table_that_is_away_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = SqlTable("rows", create=False, database=tmp_path / "rows.db")
    async with streaming(table, max_seconds=0.0, retry=Backoff.constant(0.01)) as (stream, given):
        put_all(stream, [{"n": 1}])
        await eventually(lambda: "'rows' does not exist" in caplog.text)
        with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
            connection.execute("CREATE TABLE rows(n)")
        await eventually(lambda: given.done == [0])
    assert [] == given.refused


async def test_an_item_without_a_place_is_refused_and_nothing_else(tmp_path: Path) -> None:
    async with streaming(Trades()) as (stream, given):
        put_all(stream, [Trade("A", 1.0), {"symbol": "A"}])
        given.is_last = True
        await eventually(lambda: stream.waiting_count == 0)
        assert [({"symbol": "A"}, 1, UnroutedItemError)] == given.refused
    async with streaming(SqlTable("rows", key=("n",), database=tmp_path / "rows.db")) as (stream, given):
        put_all(stream, [{"m": 1}, 7, {}, {"n": 1}])
        given.is_last = True
        await eventually(lambda: stream.waiting_count == 0)
        assert [0, 1, 2] == [receipt for _, receipt, _ in given.refused]
        assert 1 == stream.written_count


@dataclass
class Candle:
    n: int
    book: list[int]


async def test_what_was_given_may_be_changed_afterwards(tmp_path: Path) -> None:
    candle = Candle(0, [])
    table, files = SqlTable("rows", database=tmp_path / "rows.db"), JsonLines(tmp_path / "{run}.jsonl")
    for sink in (table, files):
        candle.book.clear()
        async with streaming(sink, max_seconds=NEVER) as (stream, given):
            for candle.n in range(3):
                candle.book.append(candle.n)
                stream.put(candle, candle.n)
            given.is_last = True
            await eventually(lambda stream=stream: stream.waiting_count == 0)  # type: ignore[misc]
    expected = [{"n": 0, "book": [0]}, {"n": 1, "book": [0, 1]}, {"n": 2, "book": [0, 1, 2]}]
    assert [expected] == documents_in(tmp_path)
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        found = connection.execute("SELECT n, book FROM rows ORDER BY n").fetchall()
    assert [(one["n"], one["book"]) for one in expected] == [(n, json.loads(book)) for n, book in found]


async def test_a_row_for_a_function_may_be_used_again() -> None:
    target, row = Target(), {"n": 0}
    async with streaming(target, max_seconds=NEVER) as (stream, given):
        for row["n"] in range(3):
            stream.put(row, row["n"])
        given.is_last = True
        await target.until(3)
    assert [{"n": 0}, {"n": 1}, {"n": 2}] == target.got


async def test_a_sink_that_lets_a_cancellation_out_is_tried_again() -> None:
    got: list[object] = []
    calls = 0

    async def send(batch: Sequence[object]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled
        got.extend(batch)

    async with streaming(send, max_seconds=0.0, retry=Backoff.constant(0.001)) as (stream, given):
        put_all(stream, "a")
        await eventually(lambda: given.done == [0])
    assert ["a"] == got


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
        given.is_last = True
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
