"""What a message costs on its way through a topology 1-4-1 of trivial stages, beside a pipeline of queues.

Usage: python -m benchmarks.bench_dataflow [--quick] [--json FILE]

JSON messages of 100 bytes, encoded and decoded at every hop on both sides, acknowledged on ours. Target: 100 000
messages/s on two cores that have nothing else to do; a round counts from the first start of a process to the end of
the last. Beside it stands a pipeline of `multiprocessing.Queue`, which loses what a dead worker has.
"""

import asyncio
import json
import multiprocessing
import resource
import statistics
from collections.abc import Awaitable, Callable, Iterator
from typing import Any  # Any: queues come without types

from benchmarks.support_rounds import Case, Run, options, report, run_case

from mainspring.dataflow import Dataflow, Process, Runner

WORKERS = 4
MESSAGE = {"symbol": "ACME", "price": 100.25, "size": 300, "venue": "X", "note": "a trade of the day " + "x" * 17}
TARGET = 100_000


class Numbers:
    """The stages of ours."""

    def __init__(self, count: int) -> None:
        self.count = count

    def source(self, p: Process) -> Iterator[dict[str, Any]]:
        """Yield the messages."""
        for _ in range(p.acknowledged, self.count):
            yield MESSAGE

    def work(self, p: Process, message: dict[str, Any]) -> dict[str, Any]:
        """Pass a message on."""
        return message

    def sink(self, p: Process, message: dict[str, Any]) -> None:
        """Take a message."""


async def run_ours(count: int) -> float:
    stages = Numbers(count)
    flow = Dataflow("bench", [Runner(stages.source), Runner(stages.work, WORKERS), Runner(stages.sink)])
    async with flow:
        await flow.wait()
    handled = flow.stats().stages[-1].handled_count
    assert count == handled, handled
    return count


async def run_queues(count: int) -> float:
    context = multiprocessing.get_context("fork")
    there: Any = context.Queue(8192)
    onwards: Any = context.Queue(8192)
    children = [
        context.Process(target=feed, args=(there, count)),
        *(context.Process(target=pass_on, args=(there, onwards)) for _ in range(WORKERS)),
        context.Process(target=drain, args=(onwards, count)),
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert 0 == child.exitcode
    return count


def feed(there: Any, count: int) -> None:
    """Put the messages, and a sign of the end for each worker."""
    for _ in range(count):
        there.put(json.dumps(MESSAGE))
    for _ in range(WORKERS):
        there.put(None)


def pass_on(there: Any, onwards: Any) -> None:
    """Pass messages on until the sign."""
    while (message := there.get()) is not None:
        onwards.put(json.dumps(json.loads(message)))


def drain(onwards: Any, count: int) -> None:
    """Take so many messages."""
    for _ in range(count):
        json.loads(onwards.get())


def weighed(run: Callable[[int], Awaitable[float]], count: int, cpu: list[float]) -> Run:
    """Note the CPU time of all children for each message."""

    async def weigh() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = await run(count)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count * 1e6)
        return done

    return weigh


async def main() -> None:
    chosen = options(__doc__)
    count, rounds = (60_000, 3) if chosen.quick else (200_000, 5)
    case = Case(f"1-{WORKERS}-1, JSON of 100 bytes", "msg/s", "multiprocessing.Queue", 1, by_cpu=False)
    cpu: dict[str, list[float]] = {"ours": [], "multiprocessing.Queue": []}
    case.subjects = {
        name: weighed(run, count, cpu[name]) for name, run in zip(cpu, (run_ours, run_queues), strict=True)
    }
    measures = await run_case(case, rounds)
    ours = next(measure for measure in measures if measure["subject"] == "ours")
    rate = ours["value"]
    ours |= {"target": f">= {TARGET} msg/s", "met": isinstance(rate, float) and rate >= TARGET}
    measures = [measure for measure in measures if "CPU" not in str(measure["subject"])]
    for name, each in cpu.items():
        cost = statistics.median(each)
        measures.append(
            {"metric": case.metric, "subject": f"{name}, CPU of its processes", "value": cost, "unit": "us"}
        )
    report(measures, chosen.json)


if __name__ == "__main__":
    asyncio.run(main())
