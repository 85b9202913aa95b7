"""Rows in blocks: every row once, in order, within every bound, and an answer for each."""

import asyncio
from collections.abc import Sequence
from typing import Any  # Any: what may be no argument

import pytest

from mainspring.errors import ClosedError, InvalidArgumentError, WorkQueueFullError
from mainspring.storage import BatchInserter
from mainspring.testing import VirtualClock


class Table:
    """Keeps the blocks that were inserted; `gate` holds inserts up, `failures` says how many fail."""

    def __init__(self) -> None:
        self.blocks: list[list[object]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0
        self.running = 0

    async def insert(self, rows: Sequence[object]) -> None:
        self.running += 1
        assert self.running == 1
        await self.gate.wait()
        self.running -= 1
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no")
        self.blocks.append(list(rows))

    def rows(self) -> list[object]:
        return [row for block in self.blocks for row in block]


async def test_rows_that_come_together_share_a_block() -> None:
    table = Table()
    async with BatchInserter(table.insert, max_rows=100) as inserter:
        await asyncio.gather(*(inserter.add(number) for number in range(250)), inserter.flush())
        assert [100, 100, 50] == [len(block) for block in table.blocks]
        assert list(range(250)) == table.rows()
        stats = inserter.stats()
    assert (250, 3, 0, 0) == (stats.row_count, stats.block_count, stats.failed_block_count, stats.waiting_count)
    assert "closed rows=250" in repr(inserter)


async def test_a_row_waits_for_others_so_long_and_no_longer(virtual_clock: VirtualClock) -> None:
    table = Table()
    async with BatchInserter(table.insert, max_seconds=2.0) as inserter:
        began = virtual_clock.monotonic()
        first = asyncio.ensure_future(inserter.add(1))
        await asyncio.sleep(1.5)
        assert [] == table.blocks
        await asyncio.gather(inserter.add(2), first)
        assert 2.0 == pytest.approx(virtual_clock.monotonic() - began)  # pyright: ignore[reportUnknownMemberType]
        await inserter.add(3)
    assert [[1, 2], [3]] == table.blocks


async def test_blocks_are_bounded_by_their_size() -> None:
    table = Table()
    async with BatchInserter(table.insert, max_bytes=100) as inserter:
        await inserter.add_many(["x" * 40] * 5 + ["y" * 500])
        await inserter.add_many([("x" * 40, 1, b"x" * 40)] * 2)
    assert [2, 2, 1, 1, 1, 1] == [len(block) for block in table.blocks]
    sized = Table()
    async with BatchInserter[int](sized.insert, max_bytes=10, size_of=lambda row: row) as inserter:
        await inserter.add_many([5, 5, 6, 5])
    assert [[5, 5], [6], [5]] == sized.blocks


async def test_blocks_grow_while_one_is_written() -> None:
    table = Table()
    table.gate.clear()
    async with BatchInserter(table.insert, max_rows=1000, max_seconds=0.0) as inserter:
        first = inserter.add_nowait(0)
        await asyncio.sleep(0.01)
        rest = [inserter.add_nowait(number) for number in range(1, 10)]
        assert not first.done()
        table.gate.set()
        await asyncio.gather(first, *rest)
    assert list(range(10)) == table.rows()
    assert [0] == table.blocks[0]


async def test_a_failed_block_is_told_to_those_in_it_alone() -> None:
    table = Table()
    table.failures = 1
    async with BatchInserter(table.insert, max_rows=2) as inserter:
        answers = await asyncio.gather(*(inserter.add(number) for number in range(4)), return_exceptions=True)
        assert [ConnectionError, ConnectionError, type(None), type(None)] == [type(answer) for answer in answers]
        table.failures = 1
        with pytest.raises(ConnectionError):
            await inserter.add_many([4, 5, 6, 7])
        stats = inserter.stats()
    assert [[2, 3], [6, 7]] == table.blocks
    assert (4, 2, 2) == (stats.row_count, stats.block_count, stats.failed_block_count)


async def test_adders_wait_for_room_in_their_order() -> None:
    table = Table()
    table.gate.clear()
    async with BatchInserter(table.insert, max_rows=2, max_waiting=4) as inserter:
        tasks = [asyncio.ensure_future(inserter.add(number)) for number in range(10)]
        await asyncio.sleep(0)
        assert 4 == inserter.stats().waiting_count
        with pytest.raises(WorkQueueFullError):
            await inserter.add_nowait(-1)
        table.gate.set()
        await asyncio.gather(*tasks)
    assert list(range(10)) == table.rows()


async def test_an_adder_that_leaves_while_it_waits_for_room_holds_up_nobody() -> None:
    table = Table()
    table.gate.clear()
    async with BatchInserter(table.insert, max_rows=1, max_waiting=1) as inserter:
        tasks = [asyncio.ensure_future(inserter.add(number)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        table.gate.set()
        while not tasks[0].done():  # noqa: ASYNC110  # to the very moment
            await asyncio.sleep(0)
        tasks[2].cancel()  # its turn has just come
        await tasks[3]
        assert [0, 3] == [row for row in table.rows() if row in (0, 3)]
    assert 1 not in table.rows()


async def test_more_rows_than_may_wait_are_added_in_parts() -> None:
    table = Table()
    async with BatchInserter(table.insert, max_rows=3, max_waiting=3) as inserter:
        await inserter.add_many(range(20))
    assert list(range(20)) == table.rows()


async def test_a_cancelled_adder_leaves_its_row() -> None:
    table = Table()
    async with BatchInserter(table.insert) as inserter:
        task = asyncio.ensure_future(inserter.add("stays"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
    assert [["stays"]] == table.blocks


async def test_nothing_is_lost_when_it_is_closed() -> None:
    table = Table()
    table.gate.clear()
    inserter = BatchInserter(table.insert, max_rows=10, max_waiting=20)
    tasks = [asyncio.ensure_future(inserter.add(number)) for number in range(30)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(inserter.close())
    await asyncio.sleep(0)
    table.gate.set()
    await closing
    await inserter.close()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert list(range(20)) == table.rows()
    assert [None] * 20 == answers[:20]
    assert {ClosedError} == {type(answer) for answer in answers[20:]}


async def test_values_outside_their_range_are_refused() -> None:
    table = Table()
    with pytest.raises(InvalidArgumentError, match="max_waiting"):
        BatchInserter(table.insert, max_waiting=10)
    for argument, bad in (("max_rows", 0), ("max_rows", "1"), ("max_waiting", 1e6), ("insert", 5), ("insert", None)):
        given: dict[str, Any] = {"insert": table.insert, argument: bad}
        with pytest.raises(InvalidArgumentError, match=f"^{argument}="):
            BatchInserter(**given)
    with pytest.raises(InvalidArgumentError):
        BatchInserter(table.insert, max_rows=0)


async def test_blocks_are_written_also_where_tasks_end_at_once() -> None:
    """Where tasks can start eagerly; before Python 3.12 they begin a turn later."""
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
    table = Table()
    async with BatchInserter(table.insert, max_rows=1) as inserter:
        for number in range(3):
            async with asyncio.timeout(30.0):
                await inserter.add(number)
    assert [[0], [1], [2]] == table.blocks
