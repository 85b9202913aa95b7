"""Who shares connections and engines, and when they end."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.storage.support_clickhouse import Prices

from mainspring.errors import (
    StoreOpenError,
)
from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer

pytestmark = pytest.mark.extras

ROWS = [(1, "Alice", "2024-01-01", "2024-01-01 10:00:00"), (2, "Bob", None, "2024-01-02T12:00:00+01:00")]


async def test_an_embedded_engine_that_died_is_started_again_for_the_next_statement(tmp_path: Path) -> None:
    async with Prices("prices", path=tmp_path / "data") as prices:
        await prices.create_table()
        await prices.insert(ROWS)
        engine = prices._shared()._engine
        assert engine is not None
        engine.send(signal.SIGKILL)
        assert [(2,)] == (await prices.query("SELECT count() FROM prices")).result_rows
        engine.send(signal.SIGKILL)
        await asyncio.to_thread(engine.stop)
        await prices.insert([(3, "Carol", None, "2024-01-03")])
        assert [(3,)] == (await prices.query("SELECT count() FROM prices")).result_rows


def test_connections_and_engine_end_with_the_loop_when_nobody_closes_them(tmp_path: Path) -> None:
    querier = Querier(path=tmp_path / "data")  # no loop runs yet
    engines: list[Any] = []

    async def main() -> None:
        assert [(1,)] == (await querier.query("SELECT 1")).result_rows
        engines.append(querier._shared()._engine)

    asyncio.run(main())
    asyncio.run(main())
    assert [False, False] == [engine.alive for engine in engines]


async def test_a_folder_of_another_process_is_refused(tmp_path: Path) -> None:
    with ClickHouseServer(tmp_path / "data"):
        async with Querier(path=tmp_path / "data") as querier:
            with pytest.raises(StoreOpenError, match="another process"):
                await querier.query("SELECT 1")


async def test_all_with_the_same_options_share_their_connections(clickhouse_server: ClickHouseServer) -> None:
    one, two = (Querier(**clickhouse_server.options) for _ in range(2))
    other = Querier(**clickhouse_server.options, database="system")
    await asyncio.gather(*(each.query("SELECT 1") for each in (one, two, other, one)))
    assert one._shared() is two._shared()
    assert one._shared() is not other._shared()
    await one.close()
    await one.close()
    await two.query("SELECT 1")
    await two.close()
    assert [("system",)] == (await other.query("SELECT currentDatabase()")).result_rows
    await other.close()
