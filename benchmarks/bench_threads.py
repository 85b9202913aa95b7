"""What calling a blocking function in a thread costs, and iterating a generator there.

Usage: python -m benchmarks.bench_threads [--quick] [--json FILE]

Targets (docs/decisions and the specification): 1.5 times aiomisc's pool one call after the other, 5 times with
100 calls in flight. The function does nothing, so what is measured is the way there and back.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Iterator
from typing import Any  # Any: rivals come without types

from benchmarks.support_rounds import Case, Run, options, report, rival, run_case

from mainspring.concurrency import IteratorWrapper, ThreadPoolExecutor, threaded

Call = Callable[[], Awaitable[Any]]


def nothing() -> int:
    return 1


def sequential(call: Call, count: int) -> Run:
    async def run() -> float:
        for _ in range(count):
            await call()
        return count

    return run


def in_flight(call: Call, count: int) -> Run:
    async def run() -> float:
        for _ in range(count // 100):
            await asyncio.gather(*(call() for _ in range(100)))
        return count

    return run


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


def iterate(make: Callable[[], Any], count: int) -> Run:
    async def run() -> float:
        async with make() as items:
            async for _ in items:
                pass
        return count

    return run


async def main(quick: bool) -> list[dict[str, object]]:
    loop = asyncio.get_running_loop()
    aiomisc, anyio = rival("aiomisc"), rival("anyio")
    ours = ThreadPoolExecutor(4)
    loop.set_default_executor(ours)
    standard = concurrent.futures.ThreadPoolExecutor(4)
    calls: dict[str, Call] = {
        "ours": lambda: ours.run(nothing),
        "ours, @threaded": threaded(nothing),
        "concurrent.futures": lambda: loop.run_in_executor(standard, nothing),
    }
    if aiomisc:
        theirs = aiomisc.ThreadPoolExecutor(4)
        calls["aiomisc pool"] = lambda: loop.run_in_executor(theirs, nothing)
    if anyio:
        calls["anyio"] = lambda: anyio.to_thread.run_sync(nothing)
    count, rounds = (1000, 5) if quick else (5000, 9)
    one = Case("thread call, one by one", "calls/s", "aiomisc pool", 1.5, by_cpu=False)
    many = Case("thread call, 100 in flight", "calls/s", "aiomisc pool", 5.0, by_cpu=False)
    for name, call in calls.items():
        one.subjects[name] = sequential(call, count)
        many.subjects[name] = in_flight(call, count)
    items = count * 10
    iterators = Case("threaded iterator", "items/s", "aiomisc", 1.0)
    iterators.subjects["ours"] = iterate(lambda: IteratorWrapper(lambda: numbers(items), max_size=1024), items)
    if aiomisc:
        iterators.subjects["aiomisc"] = iterate(
            lambda: aiomisc.IteratorWrapper(lambda: numbers(items), max_size=1024, executor=standard), items
        )
    measures = [measure for case in (one, many, iterators) for measure in await run_case(case, rounds)]
    standard.shutdown()
    return measures


if __name__ == "__main__":
    chosen = options(__doc__)
    report(asyncio.run(main(chosen.quick)), chosen.json)
