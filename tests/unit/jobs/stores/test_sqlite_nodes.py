import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import claim, claim_one, ending, enqueue, new_run, sqlite_factory

from mainspring.errors import StorageError, StoreOpenError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import SqliteStore
from mainspring.storage import InlineRunner, SqliteOwner


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


async def test_a_node_that_was_opened_unheard_is_dead(tmp_path: Path) -> None:
    """Nobody beats for it: it must not seem to live for a lease."""
    stores = sqlite_factory(tmp_path)
    async with stores() as store, stores() as other:
        with stores.lose_replies(store), pytest.raises(StorageError):
            await store.open_node("a")
        (unheard,) = await other.nodes()
        assert unheard.ended_at is None
        await other.rescue()
        (unheard,) = await other.nodes()
        assert unheard.ended_at is not None


async def test_a_node_that_is_opened_in_a_second_try_of_its_group_has_one_lock(tmp_path: Path) -> None:
    """What was not kept of the first one leaves neither a lock nor a number behind."""
    tries: list[sqlite3.Connection] = []

    def give_up(connection: sqlite3.Connection) -> None:
        if not tries:
            connection.execute("ROLLBACK")
        tries.append(connection)

    async with sqlite_factory(tmp_path, inline=True)() as store, sqlite_factory(tmp_path)() as other:
        assert isinstance(store, SqliteStore)

        async def disturb(owner: SqliteOwner) -> None:
            await owner.write(give_up)

        epoch, _ = await asyncio.gather(store.open_node("a"), disturb(store.owner))
        assert 2 == len(tries)
        assert 1 == len(list((tmp_path / "jobs.db-nodes").iterdir()))
        await other.rescue()
        assert (await store.heartbeat(epoch)).alive


def dead(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE epoch SET alive = 0, ended_at = 0 WHERE name = 'b'")


def forgotten(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM epoch WHERE name = 'b'")


@pytest.mark.parametrize("end", [dead, forgotten])
async def test_a_place_that_a_dead_epoch_still_keeps_is_let_go(
    tmp_path: Path, end: Callable[[sqlite3.Connection], None]
) -> None:
    """A node of a version that knows no such places has ended the epoch, and may even have forgotten it."""
    async with sqlite_factory(tmp_path, inline=True)() as store:
        assert isinstance(store, SqliteStore)
        epoch, gone = await store.open_node("a"), await store.open_node("b")
        await enqueue(store, new_run(store, limits=(("k", 1),)))
        await store.finish(ending(await claim_one(store, gone), RunState.FAILED, keeps_limits=True))
        await enqueue(store, waits := new_run(store, limits=(("k", 1),)))
        await store.owner.write(end)
        assert not (await claim(store, epoch)).runs
        assert [] == await store.rescue(), "its run had ended"
        assert [] == await store.check()
        assert waits.run_id == (await claim_one(store, epoch)).run_id


async def test_a_store_in_memory_has_nodes_too() -> None:
    store = SqliteStore(":memory:", runner=InlineRunner())
    await store.open()
    epoch = await store.open_node("a")
    assert await store.rescue() == []
    assert (await store.heartbeat(epoch)).alive
    await store.close_node(epoch)
    assert repr(store) == "<SqliteStore :memory:>"
    await store.close()
