"""Tasks that were sent ahead come back when another worker would begin them sooner."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.unit.concurrency import support_tasks as tasks
from tests.unit.concurrency.support_holds import open_holds

from mainspring.concurrency import WorkerPool
from mainspring.testing import eventually


def widen(pool: WorkerPool) -> None:
    """Let the workers take several tasks, as they do when tasks are short."""
    for worker in pool._crew.alive:
        worker.window = 16


async def test_nothing_waits_behind_a_long_task_while_the_others_are_kept_busy(tmp_path: Path) -> None:
    clients, answers = range(40), Counter[int]()
    async with open_holds(tmp_path) as holds, WorkerPool(2) as pool:
        widen(pool)
        held = pool.submit(tasks.hold, holds.path, "long")
        await holds.next()

        async def keep_asking(client: int) -> None:
            while not held.done():
                assert client * 2 == await pool.create_task(tasks.double, client)
                answers[client] += 1

        asking = [asyncio.create_task(keep_asking(client)) for client in clients]
        await eventually(lambda: all(answers[client] >= 3 for client in clients), within=30)
        assert not held.done()
        holds.release_all()
        await asyncio.gather(*asking)


async def test_tasks_of_a_lone_worker_stay_where_they_are(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        widen(pool)
        held = pool.submit(tasks.hold, holds.path, "long")
        await holds.next()
        waiting = [pool.submit(tasks.double, n) for n in range(3)]
        for _ in range(2):
            pool._balance._look()
        assert not any(task.recalled for task in pool._crew.in_flight())
        holds.release_all()
        assert "long" == await held
        assert [0, 2, 4] == await asyncio.gather(*waiting)


async def test_a_worker_that_is_to_go_goes_although_its_tasks_are_called_back(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        (worker,) = pool._crew.alive
        widen(pool)
        held = pool.submit(tasks.hold, holds.path, "long")
        await holds.next()
        waiting = [pool.submit(tasks.double, n) for n in range(3)]
        worker.retire_when_idle()
        worker.keep_only_first()
        await eventually(lambda: len(pool._queue) == len(waiting), within=20)
        for task in waiting:
            task.cancel()
        holds.release_all()
        assert "long" == await held
        await eventually(lambda: worker not in pool._crew.alive, within=20)
        assert 8 == await pool.create_task(tasks.double, 4)


async def test_tasks_called_back_from_a_worker_keep_their_order(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(2) as pool:
        running = [pool.submit(tasks.hold, holds.path, mark) for mark in "ab"]
        for _ in running:
            await holds.next()
        widen(pool)
        waiting = [pool.submit(tasks.double, n) for n in range(6)]
        await eventually(lambda: len(pool._queue) == len(waiting), within=20)
        for share in (waiting[::2], waiting[1::2]):
            assert share == [task for task in pool._queue if task in share]
        holds.release_all()
        assert [0, 2, 4, 6, 8, 10] == await asyncio.gather(*waiting)
        assert list("ab") == await asyncio.gather(*running)
