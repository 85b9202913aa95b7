"""The dict on disk without blocking the loop."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    StoreBusyError,
    StoreMismatchError,
    StoreReadOnlyError,
)
from mainspring.storage import AsyncSQLShard, SQLShard, WriteChannel
from mainspring.testing import eventually


@pytest.fixture
async def shard(tmp_path: Path) -> AsyncIterator[AsyncSQLShard]:
    async with AsyncSQLShard(shards=3, path=tmp_path) as opened:
        yield opened


async def fill(shard: AsyncSQLShard, names: str = "abcdef", times: int = 5) -> dict[tuple[str, int, int], Any]:
    pairs = {(name, time, 0): [name, time] for name in names for time in range(times)}
    await shard.set_many(pairs)
    return pairs


async def test_pairs_are_stored_and_read(shard: AsyncSQLShard) -> None:
    await shard.set(("a", 1, 0), {"long": ["word"] * 100})
    assert {"long": ["word"] * 100} == await shard.get(("a", 1, 0))
    assert await shard.contains(("a", 1, 0))
    assert not await shard.contains(("a", 2, 0))
    assert "nothing" == await shard.get(("a", 2, 0), "nothing")
    assert 1 == await shard.count()
    assert "shards=3" in repr(shard)


async def test_writes_that_come_together_share_commits(shard: AsyncSQLShard) -> None:
    entered, free = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection, commands: Sequence[None]) -> list[None]:
        entered.set()
        free.wait(30)
        return list(commands)

    owner = shard._owners[shard.layout.shard_of(("a", 0, 0))]
    before = owner.stats().group_count
    holding: WriteChannel[None, None] = owner.channel(hold, name="hold")
    first = holding.submit(None)
    await eventually(entered.is_set)
    writes = [asyncio.create_task(shard.set(("a", number, 0), number)) for number in range(300)]
    await asyncio.sleep(0)  # each has handed in its write, and waits
    free.set()
    await asyncio.gather(first, *writes)
    assert before + 2 == owner.stats().group_count
    assert list(range(300)) == [value async for _, value in shard.range(("a",))]


async def test_many_pairs_come_in_any_form(shard: AsyncSQLShard) -> None:
    pairs = await fill(shard)
    await shard.set_many((("z", number, 0), number) for number in range(5000))
    assert len(pairs) + 5000 == await shard.count()
    wanted = [("c", 1, 0), ("nobody", 0, 0), ("a", 3, 0)]
    assert [(("c", 1, 0), ["c", 1]), (("a", 3, 0), ["a", 3])] == list((await shard.get_many(wanted)).items())


async def test_pairs_can_be_removed(shard: AsyncSQLShard) -> None:
    await fill(shard)
    assert await shard.delete(("a", 0, 0))
    assert not await shard.delete(("a", 0, 0))
    assert ["a", 1] == await shard.pop(("a", 1, 0))
    assert "nothing" == await shard.pop(("a", 1, 0), "nothing")
    with pytest.raises(KeyError):
        await shard.pop(("a", 1, 0))
    await shard.clear()
    assert 0 == await shard.count()


async def test_one_of_many_gets_what_is_popped(shard: AsyncSQLShard) -> None:
    await shard.set(("a", 0, 0), "prize")
    won = await asyncio.gather(*(shard.pop(("a", 0, 0), None) for _ in range(20)))
    assert 1 == won.count("prize")


async def test_all_pairs_are_read_in_pages(shard: AsyncSQLShard) -> None:
    pairs: dict[Any, Any] = {("one", number, 0): number for number in range(1200)}
    pairs.update(await fill(shard, "xyz"))
    await shard.set_many(pairs)
    assert pairs == {key: value async for key, value in shard.items()}


async def test_ranges_queries_and_pruning_are_those_of_the_other_class(shard: AsyncSQLShard, tmp_path: Path) -> None:
    await fill(shard, "abc", 10)
    with SQLShard(shards=3, path=tmp_path) as same:
        assert list(same.range(("a",), gt=2, le=6)) == [pair async for pair in shard.range(("a",), gt=2, le=6)]
        assert list(same.range(())) == [pair async for pair in shard.range(())]
        query = "SELECT key_0, count(*) FROM db GROUP BY key_0"
        assert same.query_all(query) == await shard.query_all(query)
        assert 12 == await shard.prune(before=4)
        assert 18 == len(same)


async def test_arguments_that_do_not_fit_are_refused(shard: AsyncSQLShard) -> None:
    with pytest.raises(InvalidArgumentError, match="tuple of 3"):
        await shard.set(("a", 1), 1)
    with pytest.raises(InvalidArgumentError, match="column"):
        await shard.prune(before=1, column=3)
    with pytest.raises(InvalidArgumentError, match="at most 2"):
        shard.range(("a", 1, 2), ge=1)
    with pytest.raises(StoreReadOnlyError):
        await shard.query_all("DELETE FROM db")
    with pytest.raises(sqlite3.OperationalError):
        await shard.query_all("SELECT nonsense")


async def test_other_numbers_are_refused(tmp_path: Path) -> None:
    SQLShard(shards=2, path=tmp_path).close()
    with pytest.raises(StoreMismatchError, match="shards"):
        await AsyncSQLShard(shards=3, path=tmp_path).open()
    assert not (tmp_path / "sqlshard" / "2").exists()


async def test_it_is_opened_once_and_not_while_it_is_resharded(shard: AsyncSQLShard, tmp_path: Path) -> None:
    with pytest.raises(ClosedError):
        await shard.open()
    with pytest.raises(StoreBusyError):
        SQLShard.reshard(tmp_path, shards=2)
    await shard.close()
    await shard.close()
    with pytest.raises(ClosedError):
        await shard.set(("a", 0, 0), 1)
    SQLShard.reshard(tmp_path, shards=2)


async def test_what_was_begun_is_written_before_it_closes(tmp_path: Path) -> None:
    async with AsyncSQLShard(shards=2, path=tmp_path) as shard:
        tasks = [asyncio.ensure_future(shard.set(("a", number, 0), number)) for number in range(50)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    with SQLShard(shards=2, path=tmp_path) as again:
        assert list(range(50)) == [value for _, value in again.range(("a",))]
