"""Sinks that need a run of a job are refused for a stream, with what would do; an open database is seen."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sinks.support_targets import Target

from mainspring.errors import InvalidArgumentError
from mainspring.sinks import Csv, Delivery, JsonLines, SqlTable, TransactionalBatch, TransactionalSink
from mainspring.sinks._stream_sink import check_stream_sink, open_here


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
    (Blocking, "async function"),
    (lambda: Target, "not its class"),
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


def test_a_database_that_is_open_here_is_seen(tmp_path: Path) -> None:
    table = SqlTable("rows", database=tmp_path / "rows.db")
    assert open_here(table) is None
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        connection.execute("CREATE TABLE rows(n)")
        assert tmp_path / "rows.db" == open_here(table)
        assert open_here(SqlTable("rows", database=tmp_path / "others.db")) is None
    assert open_here(table) is None
    assert open_here(Target()) is None
