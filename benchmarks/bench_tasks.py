"""What starting and stopping 10 000 tasks costs.

Usage: python -m benchmarks.bench_tasks [--quick] [--json FILE]

No target is set; the probe is a bare asyncio.TaskGroup, which can do less.
"""

import asyncio
import logging

from benchmarks.support_rounds import Case, Run, options, report, run_case

from mainspring.concurrency import TaskManager


async def wait() -> None:
    await asyncio.Event().wait()


def manager(count: int) -> Run:
    async def run() -> float:
        manager = TaskManager()
        for _ in range(count):
            manager.add_task(wait())
        running = asyncio.ensure_future(manager.run())
        await asyncio.sleep(0)
        await manager.close()
        await running
        return count

    return run


def group(count: int) -> Run:
    async def run() -> float:
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(wait()) for _ in range(count)]
            await asyncio.sleep(0)
            for task in started:
                task.cancel()
        return count

    return run


async def main(quick: bool) -> list[dict[str, object]]:
    logging.disable(logging.INFO)
    count, rounds = (2_000, 5) if quick else (10_000, 9)
    case = Case("start and stop tasks", "tasks/s", "asyncio.TaskGroup", 0.3)
    case.subjects = {"ours": manager(count), "asyncio.TaskGroup": group(count)}
    return await run_case(case, rounds)


if __name__ == "__main__":
    chosen = options(__doc__)
    report(asyncio.run(main(chosen.quick)), chosen.json)
