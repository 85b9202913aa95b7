"""Rows of runs and services in ClickHouse."""

from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.sinks.support_tables import run_of

from mainspring.errors import InvalidArgumentError, SinkWriteError
from mainspring.sinks import ClickHouseTable, Delivery, SinkSet
from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer

pytestmark = pytest.mark.extras


@pytest.fixture
async def querier(clickhouse_server: ClickHouseServer) -> AsyncGenerator[Querier]:
    async with Querier(**clickhouse_server.options) as one:
        yield one


async def rows(querier: Querier, sql: str) -> list[tuple[Any, ...]]:
    result = await querier.query(sql)
    return [tuple(row) for row in result.result_rows]


async def test_a_service_writes_rows_and_their_values_arrive(querier: Querier) -> None:
    at = datetime(2024, 1, 1, 10, 0, 0, 5, tzinfo=UTC)
    row = {"n": 2**62, "x": 0.1, "big": float("inf"), "price": Decimal("1.25"), "at": at, "day": date(2024, 1, 1)}
    async with SinkSet() as sinks:
        sinks.add(ClickHouseTable("values", querier), types=(dict,))
        await sinks.emit({**row, "tags": ["a", "b"], "note": None, "text": "it's\n\\ \x00 ü"})
        await sinks.emit({**row, "note": "x"})
        await sinks.flush()
    sql = "SELECT n, x, big, price, at, day, tags, note, text FROM values ORDER BY note NULLS FIRST"
    first, second = await rows(querier, sql)
    assert (2**62, 0.1, float("inf"), Decimal("1.25")) == first[:4]
    assert (at, date(2024, 1, 1)) == (first[4].replace(tzinfo=UTC), first[5])
    assert ('["a","b"]', None, "it's\n\\ \x00 ü") == first[6:]
    assert (None, "x", None) == second[6:]


async def test_a_none_where_none_may_be_is_an_error_and_no_zero(querier: Querier) -> None:
    await querier.query("CREATE TABLE strict_rows (id Int64, n Int64) ENGINE = MergeTree ORDER BY id")
    async with SinkSet() as sinks:
        sinks.add(ClickHouseTable("strict_rows", querier), name="strict", delivery=Delivery(max_seconds=0.01))
        session = sinks.session(run_of(0))
        await session.emit({"id": 1, "n": None}, sink="strict")
        with pytest.raises(SinkWriteError, match="can be None"):
            await session.finish()
    assert [] == await rows(querier, "SELECT * FROM strict_rows")


async def test_the_last_row_of_each_key_counts(querier: Querier) -> None:
    async with SinkSet() as sinks:
        sinks.add(ClickHouseTable("prices", querier, key=("symbol",)), types=(dict,))
        for price in (1.0, 2.0):
            await sinks.emit({"symbol": "A", "price": price})
            await sinks.emit({"symbol": "B", "price": price})
            await sinks.flush()
    assert [("A", 2.0), ("B", 2.0)] == await rows(querier, "SELECT symbol, price FROM prices ORDER BY symbol")


async def test_an_item_key_is_needed_and_kept(querier: Querier) -> None:
    async with SinkSet() as sinks:
        sinks.add(ClickHouseTable("keyed", querier, item_key=True), name="keyed", delivery=Delivery(max_seconds=0.01))
        await sinks.emit({"n": 1}, key='a"b', sink="keyed")
        await sinks.emit({"n": 2}, key='a"b', sink="keyed")
        await sinks.flush()
        session = sinks.session(run_of(0))
        await session.emit({"n": 3}, sink="keyed")
        with pytest.raises(SinkWriteError, match="without key="):
            await session.finish()
    assert [('a"b', 2)] == await rows(querier, "SELECT _key, n FROM keyed")


def test_arguments_are_checked_at_once() -> None:
    querier = Querier()
    for arguments in ({"key": ("a",), "item_key": True}, {"key": "a"}, {"order_by": ("a b",)}):
        options: dict[str, Any] = arguments
        with pytest.raises(InvalidArgumentError):
            ClickHouseTable("t", querier, **options)
    with pytest.raises(InvalidArgumentError, match="table"):
        ClickHouseTable("a.b", querier)
    swapped: Any = (querier, "t")
    with pytest.raises(InvalidArgumentError, match="table="):
        ClickHouseTable(*swapped)
    nobody: Any = "http://localhost"
    with pytest.raises(InvalidArgumentError, match="querier="):
        ClickHouseTable("t", nobody)
    assert "<ClickHouseTable 'there'>" == repr(ClickHouseTable("t", querier, name="there"))
