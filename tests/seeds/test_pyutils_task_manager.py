"""The TaskManager chapter of the pyutils seed, on the virtual clock."""

import asyncio

import pytest

from mainspring.compat.pyutils import TaskManager
from mainspring.testing import VirtualClock


async def test_tasks_run_until_the_last_has_ended(
    virtual_clock: VirtualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async def worker_task(name, duration):
        print(f"{name} begins")
        await asyncio.sleep(duration)
        print(f"{name} ends")

    async def main():
        task_manager = TaskManager()

        task_manager.add_task(worker_task("task1", 2), name="worker-1")

        task_manager.add_task(worker_task("task2", 3), name="worker-2")

        await task_manager.run()

    await main()
    assert ["task1 begins", "task2 begins", "task1 ends", "task2 ends"] == capsys.readouterr().out.splitlines()
    assert 3.0 == virtual_clock.monotonic()


async def test_tasks_come_and_go(virtual_clock: VirtualClock, capsys: pytest.CaptureFixture[str]) -> None:
    async def dynamic_ws():
        task_manager = TaskManager()

        async def simulate_ws(delay: int, msg: str = ""):
            for i in range(100):
                print(msg, i)
                await asyncio.sleep(delay)

            print(msg, "done")

        task_manager.add_task(simulate_ws(2, "ws1 running..."), name="ws1")
        task_manager.add_task(simulate_ws(3, "ws2 running..."), name="ws2")

        async def schedule():
            await asyncio.sleep(10)
            task_manager.add_task(simulate_ws(1, "ws3 running..."), name="ws3")

            await asyncio.sleep(10)
            ws1_task = task_manager.tasks["ws1"]
            task_manager.del_task(ws1_task)

        await asyncio.gather(task_manager.run(), schedule())

    await dynamic_ws()
    said = capsys.readouterr().out.splitlines()
    assert 10 <= sum(line.startswith("ws1") for line in said) <= 11
    assert 101 == sum(line.startswith("ws2") for line in said)
    assert 101 == sum(line.startswith("ws3") for line in said)
    assert "ws1 running... done" not in said
    assert 300.0 == virtual_clock.monotonic()
