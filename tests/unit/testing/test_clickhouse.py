"""A real ClickHouse engine to lean on, and to lose."""

from pathlib import Path

import pytest

from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer

pytestmark = pytest.mark.extras


async def test_killed_server_comes_back_on_its_port_with_its_rows_and_leaves_nothing() -> None:
    with ClickHouseServer() as server:
        folder = server._engine.path
        assert f"port {server.port}" in repr(server)
        async with Querier(**server.options) as querier:
            await querier.query("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
            await querier.query("INSERT INTO t SELECT number FROM numbers(10)")
            port = server.port
            server.kill()
            assert "stopped" in repr(server)
            server.start()
            assert port == server.port
            assert [(10,)] == (await querier.query("SELECT count() FROM t")).result_rows
    assert not folder.exists()


def test_a_folder_of_ones_own_stays(tmp_path: Path) -> None:
    with ClickHouseServer(tmp_path / "data") as server:
        server.pause()  # it is let go on for its end
    assert (tmp_path / "data").is_dir()
