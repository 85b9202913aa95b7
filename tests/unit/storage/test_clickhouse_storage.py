"""Tables and inserts on a real engine, over a server's HTTP interface."""

import asyncio
from typing import Any

import pytest
from tests.unit.storage.support_clickhouse import Prices

from mainspring.base import Backoff
from mainspring.errors import (
    ClickHouseRefusedError,
    ClickHouseUnavailableError,
    InvalidArgumentError,
)
from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer, TCPProxy

pytestmark = pytest.mark.extras

pd: Any = pytest.importorskip("pandas")  # Any: it has no types of its own

ROWS = [(1, "Alice", "2024-01-01", "2024-01-01 10:00:00"), (2, "Bob", None, "2024-01-02T12:00:00+01:00")]
PER_ATTEMPT = 2  # the driver tries once more by itself when the server closes a connection under it


async def test_inserts_read_texts_as_dates_and_frames_too(clickhouse_server: ClickHouseServer) -> None:
    async with Prices("frames", **clickhouse_server.options) as prices:
        await prices.create_table()
        await prices.insert(ROWS, ["id", "name", "day", "at"])
        df = pd.DataFrame({"id": [3, 4], "name": ["C", "D"], "at": ["2024-01-03 12:00:00", "2024-01-04 13:00:00"]})
        await prices.insert_df(df)
        await prices.insert_df(df.assign(at=pd.to_datetime(df["at"]), id=[5, 6]), ["id", "name", "at"])
        found: Any = await prices.query_df("SELECT * FROM frames ORDER BY id")
        assert [1, 2, 3, 4, 5, 6] == list(found["id"])
        assert "2024-01-04 13:00:00" == str(found["at"][3])
        assert str(found["at"][3]) == str(found["at"][5])
        assert await prices.insert([]) is None
        assert await prices.insert_df(df.head(0)) is None


async def test_values_and_columns_that_do_not_fit_are_refused(clickhouse_server: ClickHouseServer) -> None:
    async with Prices("refused", **clickhouse_server.options) as prices:
        with pytest.raises(ClickHouseRefusedError) as caught:
            await prices.insert(ROWS)
        assert (60, "UNKNOWN_TABLE") == (caught.value.code, caught.value.code_name)
        await prices.create_table()
        with pytest.raises(ClickHouseRefusedError, match="no column 'twice'"):
            await prices.insert([(1,)], ["twice"])
        with pytest.raises(ClickHouseRefusedError, match=r"does not fit|Unable"):
            await prices.insert([("x",)], "id")
        with pytest.raises(InvalidArgumentError, match="column at"):
            await prices.insert([(1, "soon")], ["id", "at"])
        assert [(0,)] == (await prices.query("SELECT count() FROM refused")).result_rows


async def test_a_table_that_changed_is_looked_at_again(clickhouse_server: ClickHouseServer) -> None:
    async with Prices("changed", **clickhouse_server.options) as prices:
        await prices.create_table()
        await prices.insert(ROWS)
        await prices.query("ALTER TABLE changed ADD COLUMN note String")
        await prices.insert([(3, "x")], ["id", "note"])
        assert [("x",)] == (await prices.query("SELECT note FROM changed WHERE id = 3")).result_rows


async def test_many_small_inserts_become_few_blocks(clickhouse_server: ClickHouseServer) -> None:
    async with Prices("small", **clickhouse_server.options) as prices:
        await prices.create_table()
        async with prices.inserter(["id", "at"], max_rows=500, max_waiting=1000, max_seconds=30.0) as inserter:
            await asyncio.gather(*(inserter.add((number, "2024-01-01")) for number in range(1000)))
            assert 2 == inserter.stats().block_count
        assert [(1000,)] == (await prices.query("SELECT uniq(id) FROM small")).result_rows


async def test_what_a_table_tells_about_itself(clickhouse_server: ClickHouseServer) -> None:
    async with Prices("info", **clickhouse_server.options) as prices:
        await prices.create_table()
        await prices.insert(ROWS)
        assert (await prices.get_ddl_sql()).startswith("CREATE TABLE default.info")
        table: Any = await prices.get_table_info()
        assert ("info", "MergeTree", 2) == (table["name"][0], table["engine"][0], table["total_rows"][0])
        parts: Any = await prices.get_part_info()
        assert (1, "2.00") == (len(parts), parts["rows"][0])
        columns: Any = await prices.get_column_info()
        assert ["id", "name", "day", "at", "twice"] == list(columns["column"])
        assert columns["ratio"].isna().all()  # one small part
        await prices.query("ALTER TABLE info MODIFY SETTING min_bytes_for_wide_part = 0")
        await prices.insert([(number, "x", None, "2024-01-01") for number in range(5000)])
        columns = await prices.get_column_info()
        assert columns["ratio"][0] >= 1


async def test_a_statement_whose_answer_is_lost_is_sent_again_only_if_that_does_no_harm(
    clickhouse_server: ClickHouseServer,
) -> None:
    lost: list[bytes] = []

    def lose(piece: bytes) -> bytes:
        lost.append(piece)
        raise ConnectionResetError

    async with TCPProxy("127.0.0.1", clickhouse_server.port) as proxy, Querier(**clickhouse_server.options) as direct:
        options = {**clickhouse_server.options, "port": proxy.proxy_port}
        async with Prices("lost", **options, retry=Backoff(0.01, max_tries=3)) as prices:
            await prices.create_table()
            await prices.insert(ROWS)
            proxy.set_content_processors(None, lose)
            with pytest.raises(ClickHouseUnavailableError) as caught:
                await prices.query("SELECT 1")
            assert caught.value.sent
            assert 3 * PER_ATTEMPT == len(lost)
            lost.clear()
            with pytest.raises(ClickHouseUnavailableError):
                await prices.insert_bytes("lost (id)", b"8\n", form="CSV")
            assert 1 == len(lost)
            lost.clear()
            with pytest.raises(ClickHouseUnavailableError):
                await prices.insert(ROWS)
            assert PER_ATTEMPT == len(lost)  # the driver's own second try; the table drops what comes twice
            lost.clear()
            with pytest.raises(ClickHouseUnavailableError):
                await prices.insert(ROWS[:1], settings={"insert_deduplication_token": "a"})
            assert 3 * PER_ATTEMPT == len(lost)
            lost.clear()
            with pytest.raises(ClickHouseUnavailableError):
                await prices.query("INSERT INTO lost (id) SELECT 7")
            assert 1 == len(lost)
            proxy.set_content_processors(None, None)
            await prices.insert(ROWS[:1], settings={"insert_deduplication_token": "a"})
        assert [(7,)] == (await direct.query("SELECT count() FROM lost")).result_rows
