"""The tables behind ClickHouse sinks."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from mainspring.errors import InvalidArgumentError, TableSchemaError
from mainspring.sinks._clickhouse_schema import ClickHouseSchema, check_names
from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer

pytestmark = pytest.mark.extras


@pytest.fixture
async def querier(clickhouse_server: ClickHouseServer) -> AsyncGenerator[Querier]:
    async with Querier(**clickhouse_server.options) as one:
        yield one


def schema(querier: Querier, table: str, **options: Any) -> ClickHouseSchema:
    defaults: dict[str, Any] = {"own": {}, "engine": "MergeTree", "order_by": (), "create": True}
    return ClickHouseSchema(querier, table, **{**defaults, **options})


async def types_of(querier: Querier, table: str) -> dict[str, str]:
    result = await querier.query(f"DESCRIBE TABLE {table}")
    return {row[0]: row[1] for row in result.result_rows}


async def test_a_table_is_made_once_and_widened_later(querier: Querier) -> None:
    one = schema(querier, "made", order_by=("id",), own={"_write": "UInt64"})
    await asyncio.gather(*(one.fit({"id": "Int64", "text": "String"}) for _ in range(4)))
    await one.fit({"id": "Int64", "price": "Float64"})
    await schema(querier, "made").fit({"late": "Bool"})
    assert {
        "id": "Int64",
        "text": "Nullable(String)",
        "_write": "UInt64",
        "price": "Nullable(Float64)",
        "late": "Nullable(Bool)",
    } == await types_of(querier, "made")


async def test_a_view_shows_columns_that_come_later(querier: Querier) -> None:
    one = schema(querier, "seen_rows", view=("seen", "* EXCEPT own", "WHERE own = 1"), own={"own": "UInt8"})
    await one.fit({"id": "Int64"})
    await one.fit({"id": "Int64", "more": "String"})
    assert {"id", "more"} == (await types_of(querier, "seen")).keys()


async def test_a_table_of_the_users_own_gets_what_it_lacks(querier: Querier) -> None:
    await querier.query("CREATE TABLE users_rows (id Int64) ENGINE = MergeTree ORDER BY id")
    one = schema(querier, "users_rows", view=("users", "id", "WHERE _write > 0"), own={"_write": "UInt64"})
    await one.fit({"id": "Int64"})
    assert ["_write", "id"] == sorted(await types_of(querier, "users_rows"))
    assert ["id"] == list(await types_of(querier, "users"))


async def test_without_create_what_is_missing_is_an_error(querier: Querier) -> None:
    one = schema(querier, "strict", create=False)
    with pytest.raises(TableSchemaError, match="does not exist"):
        await one.fit({"id": "Int64"})
    await querier.query("CREATE TABLE strict (id Int64) ENGINE = MergeTree ORDER BY id")
    await one.fit({"id": "Int64"})
    with pytest.raises(TableSchemaError, match="no column 'more'"):
        await one.fit({"id": "Int64", "more": "String"})


async def test_columns_of_ours_are_taken_and_sort_columns_needed(querier: Querier) -> None:
    one = schema(querier, "taken", own={"_write": "UInt64"}, order_by=("id",))
    with pytest.raises(TableSchemaError, match="cannot have a column '_write'"):
        await one.fit({"_write": "Int64"})
    with pytest.raises(TableSchemaError, match="needs a value in the column 'id'"):
        await one.fit({"text": "String"})


def test_names_of_columns_are_checked() -> None:
    assert ("a", "b") == check_names("key", ["a", "b"])
    for names in ("a", ["a b"]):
        with pytest.raises(InvalidArgumentError, match="key"):
            check_names("key", names)
