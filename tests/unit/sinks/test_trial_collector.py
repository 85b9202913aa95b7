"""Collectors of runs that write nothing: they refuse what the sinks' own would."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import InvalidItemError
from mainspring.sinks import ClickHouseIntervals, Collector, JsonLines, SinkRun, SqlTable
from mainspring.sinks._trial_collector import trial_collector
from mainspring.storage import Querier

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
DAY = SinkRun("run", "load", 1, 1, END, START, END)
CALL = SinkRun("run", "load", 1, 1, END, None, None)
NOWHERE = Querier(host="127.0.0.1", port=1)


class Mine:
    """A collecting sink of a user."""

    label = "mine"

    def collect(self, run: SinkRun, threads: ThreadPoolExecutor) -> Collector:
        raise AssertionError("it is left alone")


async def batches(items: list[Any]) -> None:
    raise AssertionError("it is left alone")


async def test_rows_for_clickhouse_are_looked_at_and_not_sent(tmp_path: Path) -> None:
    sink = ClickHouseIntervals("t", NOWHERE)
    with ThreadPoolExecutor() as threads:
        collector = trial_collector(sink, DAY, threads, lambda: tmp_path)
        assert collector is not None
        assert not collector.take({"n": 1}, None)
        with pytest.raises(InvalidItemError):
            collector.take("no row", None)
        assert 1 == collector.count
        for end in (collector.relieve, collector.finish, collector.discard):
            await end()
        with pytest.raises(InvalidItemError, match="it needs a run with a data interval"):
            trial_collector(sink, CALL, threads, lambda: tmp_path)


async def test_a_table_gets_no_rows_and_a_file_lies_elsewhere(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as threads:
        for sink in (SqlTable("t", database=tmp_path / "own.db"), JsonLines(str(tmp_path / "real.jsonl"))):
            collector = trial_collector(sink, DAY, threads, lambda: tmp_path / "trial")
            assert collector is not None
            collector.take({"n": 1}, None)
            await collector.relieve()
            await collector.finish()
    assert b'{"n":1}\n' == (tmp_path / "trial" / "real.jsonl").read_bytes()
    assert {"trial"} == names_in(tmp_path)


def names_in(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def test_sinks_of_users_are_left_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as threads:
        assert [None, None] == [trial_collector(one, DAY, threads, lambda: tmp_path) for one in (Mine(), batches)]
