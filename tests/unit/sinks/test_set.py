"""Items find their sink by type, by name or by the job's default; everything else is an error of the emitter."""

import asyncio
from collections.abc import Awaitable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any  # of a decorator for any function

import pytest
from tests.unit.sinks.support_tables import run_of
from tests.unit.sinks.support_targets import Target, spooling

from mainspring.base import to_us
from mainspring.errors import InvalidArgumentError, InvalidItemError, UnknownSinkError, UnroutedItemError
from mainspring.sinks import Delivery, ResultSink, SinkSet, SqlTable, TypedSink, WriteIntent, on, survey_spools


class Quote:
    pass


class Trade(Quote):
    pass


class Book:
    pass


class Collector(TypedSink):
    def __init__(self) -> None:
        self.quotes: list[Quote] = []
        self.books: list[Book] = []

    @on(Quote)
    async def write_quotes(self, batch: list[Quote]) -> None:
        self.quotes += batch

    @on(Book)
    async def write_books(self, batch: list[Book]) -> None:
        self.books += batch


class Intents(ResultSink):
    def __init__(self) -> None:
        self.got: list[WriteIntent] = []

    async def write_batch(self, intents: Sequence[WriteIntent]) -> None:
        self.got += intents


async def test_a_typed_sink_gets_each_type_by_its_nearest_base() -> None:
    sinks, sink = SinkSet(), Collector()
    sinks.add(sink)
    session = sinks.session(run_of())
    trade, book = Trade(), Book()
    await session.emit(trade)
    await session.emit(book)
    assert await session.finish() == ()
    await sinks.close()
    assert ([trade], [book]) == (sink.quotes, sink.books)
    assert session.counts == {"Collector": 2}


async def test_a_result_sink_gets_intents_with_key_and_run() -> None:
    sinks, sink = SinkSet(), Intents()
    sinks.add(sink, name="results")
    session = sinks.session(run_of())
    await session.emit({"a": 1}, key="k", sink="results")
    await session.finish()
    await sinks.close()
    assert [(one.key, one.payload, one.job_id) for one in sink.got] == [("k", {"a": 1}, "load")]


async def test_items_are_named_by_their_place_in_deterministic_runs_only() -> None:
    sinks, sink = SinkSet(), Intents()
    sinks.add(sink, name="results")
    for deterministic in (False, True):
        session = sinks.session(run_of(), deterministic=deterministic)
        await session.emit("a", sink="results")
        await session.emit("b", key="k", sink="results")
        await session.finish()
    await sinks.close()
    start = run_of().interval_start
    assert start is not None
    assert [None, "k", f"load:{to_us(start)}#1", "k"] == [one.key for one in sink.got]


async def test_an_unhandled_type_is_refused_before_anything_is_written() -> None:
    sinks, sink = SinkSet(), Collector()
    sinks.add(sink)
    session = sinks.session(run_of())
    with pytest.raises(UnroutedItemError, match="str; registered: Quote, Book"):
        await session.emit("text")
    with pytest.raises(UnroutedItemError):
        await sink(["text"])
    await session.discard()
    await sinks.close()
    assert session.counts == {}


async def test_an_unknown_name_is_refused() -> None:
    sinks = SinkSet()
    with pytest.raises(UnknownSinkError, match="no sink 'x'"):
        await sinks.session(run_of()).emit(1, sink="x")


async def test_sinks_are_registered_by_decorating_functions_and_classes() -> None:
    sinks, got = SinkSet(), list[object]()

    @sinks.sink(Trade)
    async def keep_trades(batch: list[Trade]) -> None:
        got.extend(batch)

    @sinks.sink(name="books")
    class Books(TypedSink):
        @on(Book)
        async def write(self, batch: list[Book]) -> None:
            got.extend(batch)

    trade, book = Trade(), Book()
    async with sinks:
        await sinks.emit(trade)
        await sinks.emit(book)
        await sinks.emit(book, sink="books")
        await sinks.flush()
        assert keep_trades.__name__ == "keep_trades"
        assert Books.__name__ == "Books"
        assert [trade, book, book] == got


async def test_a_service_cannot_emit_into_a_table_without_a_run() -> None:
    sinks = SinkSet()
    sinks.add(SqlTable("t"), types=[dict])
    with pytest.raises(InvalidItemError, match="this item belongs to none"):
        await sinks.emit({"a": 1})


async def test_a_service_that_emits_faster_than_its_sink_waits() -> None:
    sinks, target = SinkSet(), Target()
    sinks.add(target, types=[int], delivery=Delivery(max_count=1, max_queue=2))
    async with sinks:
        async with asyncio.TaskGroup() as tasks:
            for n in range(20):
                tasks.create_task(sinks.emit(n))
        await sinks.flush()
    assert list(range(20)) == sorted(map(int, map(str, target.got)))


async def test_a_service_may_emit_into_another_sink_while_one_is_waited_for() -> None:
    sinks, first, second = SinkSet(), Target(), Target()
    sinks.add(first, types=[int], name="first")
    sinks.add(second, types=[str], name="second")
    first.gate.clear()
    async with sinks:
        await sinks.emit(1)
        flushing = asyncio.create_task(sinks.flush())
        await asyncio.sleep(0)
        await sinks.emit("a")
        first.gate.set()
        await flushing
    assert ([1], ["a"]) == (first.got, second.got)


async def test_a_slow_sink_slows_only_its_own_emitters() -> None:
    sinks, slow, quick = SinkSet(), Target(), Target()
    sinks.add(slow, types=[int], name="slow", delivery=Delivery(max_count=1, max_queue=1))
    sinks.add(quick, types=[str], name="quick")
    slow.gate.clear()
    first, second = sinks.session(run_of(0)), sinks.session(run_of(1))
    await first.emit(1)
    stuck = asyncio.create_task(first.emit(2))
    await second.emit("a")
    await second.finish()
    assert quick.got == ["a"]
    assert not stuck.done()
    slow.gate.set()
    await stuck
    await first.finish()
    await sinks.close()
    assert slow.got == [1, 2]
    assert repr(first) == "<SinkSession of load, 2 items>"


def test_spooling_needs_a_folder_and_room() -> None:
    with pytest.raises(InvalidArgumentError, match="a folder"):
        SinkSet().add(Target(), name="t", delivery=Delivery(on_failure="spool"))
    with pytest.raises(InvalidArgumentError):
        SinkSet(spool_bytes=0)


def test_two_types_of_one_name_cannot_be_spooled_by_one_set(tmp_path: Path) -> None:
    sinks = SinkSet(spool=tmp_path)
    sinks.add(Target(), name="a", types=[Trade], delivery=spooling())
    with pytest.raises(InvalidArgumentError, match="whose name no other type has"):
        sinks.add(Target(), name="b", types=[type("Trade", (), {})], delivery=spooling())


class Careful(Intents):
    delivery = Delivery(max_count=1)


def test_a_sink_may_bring_its_own_terms() -> None:
    sinks, sink = SinkSet(), Careful()
    sinks.bind("job load", sink)
    lane = sinks.lane(sink)
    assert (lane.name, lane.delivery.max_count) == ("job load", 1)


async def test_a_service_emits_into_what_overrides_its_sink() -> None:
    sinks, real, fake = SinkSet(), Target(), Target()
    sinks.add(real, types=[int], name="real")
    sinks.add(Target(), types=[str], name="other")
    with pytest.raises(InvalidArgumentError):
        sinks.override("real", 7)
    sinks.override("real", fake)
    async with sinks:
        await sinks.emit(1)
        await sinks.emit("a")
        await sinks.flush()
    assert ([], [1]) == (real.got, fake.got)


async def test_an_override_of_a_name_that_no_sink_has_is_an_error_at_open() -> None:
    sinks = SinkSet()
    sinks.add(Target(), types=[int], name="real")
    sinks.bind("job load", SqlTable("flights"))
    for name in ("real", "job load", "flights"):
        sinks.override(name, Target())
    await sinks.open()
    sinks.override("rael", Target())
    with pytest.raises(UnknownSinkError, match="there is no sink 'rael'") as unknown:
        await sinks.open()
    assert ("real", "job load", "flights") == unknown.value.known
    await sinks.close()


async def test_names_types_and_sinks_are_checked_when_added() -> None:
    sinks = SinkSet()
    sinks.add(SqlTable("t"), types=[dict])
    for sink, types, name in ((SqlTable("t"), (), None), (SqlTable("u"), (dict,), None), (7, (), "seven")):
        with pytest.raises(InvalidArgumentError):
            sinks.add(sink, types=types, name=name)
    with pytest.raises(InvalidArgumentError, match="a name that no other sink has"):
        sinks.bind("t", SqlTable("v"))


def test_a_result_sink_must_say_how_it_writes() -> None:
    with pytest.raises(NotImplementedError):
        ResultSink().write_batch([]).send(None)


async def test_a_function_that_cannot_be_awaited_is_refused() -> None:
    def write(batch: list[int]) -> None: ...

    functions: list[object] = [write, untyped, Blocking().write]
    for function in functions:
        with pytest.raises(InvalidArgumentError, match="expected an async function of a list of items") as caught:
            SinkSet().add(function, types=[int])
        assert "write `async def`" in (caught.value.hint or "")


async def test_a_plain_function_that_returns_something_to_await_is_a_sink() -> None:
    got: list[float] = []

    async def write(batch: list[int]) -> None:
        got.extend(batch)

    def choose(batch: list[int]) -> Awaitable[None]:
        return write(batch)

    @wraps(write)
    def timed(*args: Any, **kwargs: Any) -> Any:
        return write(*args, **kwargs)

    async with SinkSet() as sinks:
        sinks.add(choose, types=[int])
        sinks.add(timed, types=[float])
        await sinks.emit(1)
        await sinks.emit(2.5)
    assert sorted(got) == [1, 2.5]


def untyped(batch):  # type: ignore[no-untyped-def]  # pyright: ignore  # so users write it
    ...


class Blocking:
    def write(self, batch: list[int]) -> None: ...


async def test_a_close_that_is_cut_short_keeps_what_every_sink_has_left(tmp_path: Path) -> None:
    """One sink unwinds at once, another one takes its time: the spool is open until both have left their items."""
    started = [asyncio.Event(), asyncio.Event()]

    async def hangs(batch: Sequence[Any]) -> None:
        started[0].set()
        await asyncio.Event().wait()

    async def unwinds(batch: Sequence[Any]) -> None:
        started[1].set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)

    sinks = SinkSet(spool=tmp_path)
    for sink, item_type in ((hangs, int), (unwinds, str)):
        sinks.add(sink, types=[item_type], name=sink.__name__, delivery=spooling(max_count=1))
    await sinks.open()
    for item in (1, "a", "b"):
        await sinks.emit(item)
    await asyncio.gather(*(one.wait() for one in started))
    closing = asyncio.create_task(sinks.close(timeout=60))
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    [left] = survey_spools(tmp_path)
    assert {"hangs": 1, "unwinds": 2} == left.waiting
