"""Queries on a real engine: over a server's HTTP interface, and embedded."""

import math
from contextlib import aclosing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.storage.support_clickhouse import Prices

from mainspring.base import Backoff
from mainspring.errors import (
    ClickHouseRefusedError,
    ClickHouseTimeoutError,
    ClickHouseUnavailableError,
    InvalidArgumentError,
)
from mainspring.resilience import timeout
from mainspring.storage import BaseClient, Querier
from mainspring.testing import ClickHouseServer

pytestmark = pytest.mark.extras

ROWS = [(1, "Alice", "2024-01-01", "2024-01-01 10:00:00"), (2, "Bob", None, "2024-01-02T12:00:00+01:00")]
READ = [  # the driver gives times without zone, in UTC
    (1, "Alice", date(2024, 1, 1), datetime(2024, 1, 1, 10)),  # noqa: DTZ001
    (2, "Bob", None, datetime(2024, 1, 2, 11)),  # noqa: DTZ001
]


async def test_an_embedded_engine_keeps_rows_from_one_program_to_the_next(tmp_path: Path) -> None:
    async with Prices("prices", path=tmp_path / "data") as prices:
        summary = await prices.create_table()
        assert "QuerySummary" == type(summary).__name__
        written = await prices.insert(ROWS)
        assert written is not None
        assert 2 == written.written_rows
    async with Querier(path=tmp_path / "data") as querier:
        result = await querier.query("SELECT * FROM prices ORDER BY id")
        assert READ == result.result_rows
        assert ("id", "name", "day", "at") == result.column_names
        assert f"<Querier of ClickHouse in {tmp_path / 'data'}>" == repr(querier)


async def test_a_statement_that_is_refused_says_why(clickhouse_server: ClickHouseServer) -> None:
    async with Querier(**clickhouse_server.options) as querier:
        with pytest.raises(ClickHouseRefusedError, match="nope") as caught:
            await querier.query("SELECT nope")
        assert (47, "UNKNOWN_IDENTIFIER") == (caught.value.code, caught.value.code_name)
        assert clickhouse_server.options["password"] not in str(caught.value) + repr(querier)
        with pytest.raises(ClickHouseRefusedError):
            await querier.query("CREATE NONSENSE")
    stranger: dict[str, Any] = {**clickhouse_server.options, "password": "no"}
    async with Querier(**stranger) as querier:
        with pytest.raises(ClickHouseRefusedError) as caught:
            await querier.query("SELECT 1")
        assert 516 == caught.value.code


async def test_parameters_and_settings_go_with_a_statement(clickhouse_server: ClickHouseServer) -> None:
    async with Querier(**clickhouse_server.options) as querier:
        result = await querier.query(
            "SELECT {x:String}, getSetting('max_threads')", parameters={"x": "a'b"}, settings={"max_threads": 3}
        )
        assert [("a'b", 3)] == result.result_rows


async def test_rows_of_a_large_answer_come_block_by_block(clickhouse_server: ClickHouseServer) -> None:
    async with Querier(**clickhouse_server.options) as querier:
        rows = [row async for row in querier.stream("SELECT number, toString(number) FROM numbers(200000)")]
        assert (200_000, (199_999, "199999")) == (len(rows), rows[-1])
        async with aclosing(querier.stream("SELECT number FROM numbers(10000000)")) as few:
            assert (0,) == await anext(few)
        assert [(1,)] == (await querier.query("SELECT 1")).result_rows
        with pytest.raises(ClickHouseRefusedError, match="nope"):
            await anext(querier.stream("SELECT nope"))
        sql = "SELECT throwIf(number = 3000000, 'boom') FROM numbers(5000000) SETTINGS max_threads = 1"
        with pytest.raises(ClickHouseRefusedError, match="boom"):
            async for _ in querier.stream(sql):
                pass


async def test_rows_in_a_format_of_clickhouse_are_inserted_as_they_are(clickhouse_server: ClickHouseServer) -> None:
    async with Prices("raw", **clickhouse_server.options) as prices:
        await prices.create_table()
        for _ in range(2):
            token = {"insert_deduplication_token": "one"}
            await prices.insert_bytes("raw", b'{"id": 1, "at": 0}\n{"id": 2, "at": 0}\n', settings=token)
        await prices.insert_bytes("raw (id, at)", b"3,2024-01-01\n", form="CSV")
        assert [(1,), (2,), (3,)] == (await prices.query("SELECT id FROM raw ORDER BY id")).result_rows


async def test_nobody_there_is_an_error_after_the_last_attempt(unused_port: int) -> None:
    async with Querier(host="127.0.0.1", port=unused_port, retry=Backoff(0.01, max_tries=3)) as querier:
        with pytest.raises(ClickHouseUnavailableError, match=f"127.0.0.1:{unused_port}") as caught:
            await querier.query("SELECT 1")
        assert not caught.value.sent
        with pytest.raises(ConnectionError):
            await querier.query("DROP TABLE t")


async def test_no_attempt_is_waited_for_that_could_only_start_after_the_deadline(unused_port: int) -> None:
    async with Querier(host="127.0.0.1", port=unused_port, retry=Backoff.constant(3600.0)) as querier, timeout(30.0):
        with pytest.raises(ClickHouseUnavailableError):
            await querier.query("SELECT 1")


async def test_a_server_that_hangs_is_given_up_in_time() -> None:
    with ClickHouseServer() as server:
        async with Querier(**server.options, timeout=30.0) as querier:
            await querier.query("SELECT 1")
            server.pause()
            querier._timeout = 0.2
            with pytest.raises(ClickHouseTimeoutError, match=r"0\.2 s"):
                await querier.query("SELECT 1")
            querier._timeout = 30.0
            server.resume()
            assert [(1,)] == (await querier.query("SELECT 1")).result_rows


def test_arguments_are_checked_at_once() -> None:
    for argument, bad in (("timeout", 0), ("timeout", math.inf), ("timeout", "5"), ("retry", 5), ("retry", None)):
        given: dict[str, Any] = {argument: bad}
        with pytest.raises(InvalidArgumentError, match=f"^{argument}="):
            BaseClient(**given)
    with pytest.raises(InvalidArgumentError, match="path"):
        BaseClient(path="here", host="there")
    assert "<BaseClient of ClickHouse at localhost>" == repr(BaseClient(user="a", password="secret"))
