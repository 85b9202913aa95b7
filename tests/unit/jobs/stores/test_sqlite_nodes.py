import sqlite3
from pathlib import Path

import pytest

from mainspring.errors import StoreOpenError
from mainspring.jobs.stores import SqliteStore
from mainspring.storage import InlineRunner


def on_another_host(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE epoch SET boot_id = 'another'")


async def test_a_file_that_another_host_has_open_is_refused(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "jobs.db", runner=InlineRunner())
    second = SqliteStore(tmp_path / "jobs.db", runner=InlineRunner())
    await first.open()
    await second.open()
    await first.open_node("a")
    await first.owner.write(on_another_host)
    with pytest.raises(StoreOpenError, match="node 'a' of another host"):
        await second.open_node("b")
    await second.close()
    await first.close()


async def test_a_node_from_before_the_reboot_is_dead(tmp_path: Path) -> None:
    before = SqliteStore(tmp_path / "jobs.db", runner=InlineRunner())
    await before.open()
    old = await before.open_node("a")
    await before.owner.write(on_another_host)
    await before.close()
    after = SqliteStore(tmp_path / "jobs.db", runner=InlineRunner())
    await after.open()
    await after.open_node("b")
    await after.rescue()
    assert not (await after.heartbeat(old)).alive
    await after.close()


async def test_a_store_in_memory_has_nodes_too() -> None:
    store = SqliteStore(":memory:", runner=InlineRunner())
    await store.open()
    epoch = await store.open_node("a")
    assert await store.rescue() == []
    assert (await store.heartbeat(epoch)).alive
    await store.close_node(epoch)
    assert repr(store) == "<SqliteStore :memory:>"
    await store.close()
