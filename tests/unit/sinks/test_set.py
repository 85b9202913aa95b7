"""Items find their sink by type, by name or by the job's default; everything else is an error of the emitter."""

from collections.abc import Sequence

import pytest
from tests.unit.sinks.support_tables import run_of

from mainspring.errors import InvalidArgumentError, UnknownSinkError, UnroutedItemError
from mainspring.sinks import ResultSink, SinkSet, SqlTable, TypedSink, WriteIntent, on


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


async def test_names_types_and_sinks_are_checked_when_added() -> None:
    sinks = SinkSet()
    sinks.add(SqlTable("t"), types=[dict])
    for sink, types, name in ((SqlTable("t"), (), None), (SqlTable("u"), (dict,), None), (7, (), "seven")):
        with pytest.raises(InvalidArgumentError):
            sinks.add(sink, types=types, name=name)


def test_a_result_sink_must_say_how_it_writes() -> None:
    with pytest.raises(NotImplementedError):
        ResultSink().write_batch([]).send(None)
