"""What worker processes cost: small tasks, large arguments, and the time until a dead worker is replaced.

Usage: python -m benchmarks.bench_workers [--quick] [--json FILE]

Two workers each. Targets: twice `multiprocessing.Pool` with 50 small tasks in flight, 1.2 times mpire on echoes
of 1 MiB, 20 ms from a SIGKILL to the next result in a pool of one, 11 ms to start a worker by the fork server.
"""

import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any  # Any: rivals come without types

from benchmarks.support_rounds import Case, Run, limit, options, report, rival, run_case
from benchmarks.support_worker_tasks import double, echo

from mainspring.concurrency import WorkerPool

MIB = b"x" * (1 << 20)
Call = Callable[..., Awaitable[Any]]


def sequential(call: Call, count: int) -> Run:
    async def run() -> float:
        for number in range(count):
            await call(double, number)
        return count

    return run


def in_flight(call: Call, count: int) -> Run:
    async def run() -> float:
        limited = asyncio.Semaphore(50)

        async def one(number: int) -> None:
            async with limited:
                await call(double, number)

        await asyncio.gather(*(one(number) for number in range(count)))
        return count

    return run


def echoes(call: Call, count: int) -> Run:
    async def run() -> float:
        for _ in range(count):
            await call(echo, MIB)
        return count

    return run


def through_callbacks(apply_async: Callable[..., Any]) -> Call:
    """Await a pool that calls back from a thread of its own."""

    async def call(function: Callable[..., Any], argument: Any) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def done(result: Any) -> None:
            loop.call_soon_threadsafe(future.set_result, result)

        apply_async(function, (argument,), callback=done)
        return await future

    return call


async def open_pools(stack: AsyncExitStack) -> dict[str, Call]:
    """Start ours and the rivals."""
    loop = asyncio.get_running_loop()
    calls: dict[str, Call] = {}
    ours = await stack.enter_async_context(WorkerPool(2))
    shared = await stack.enter_async_context(WorkerPool(2, shared_memory=1 << 16))
    calls["ours"] = ours.create_task
    calls["ours, shared memory"] = shared.create_task
    context = multiprocessing.get_context("forkserver")
    pool = stack.enter_context(context.Pool(2))
    calls["multiprocessing.Pool"] = through_callbacks(pool.apply_async)
    standard = stack.enter_context(concurrent.futures.ProcessPoolExecutor(2, context))
    calls["concurrent.futures"] = lambda *call: loop.run_in_executor(standard, *call)
    if aiomisc := rival("aiomisc"):
        theirs = await stack.enter_async_context(aiomisc.WorkerPool(2))
        calls["aiomisc"] = theirs.create_task
    if loky := rival("loky"):
        executor = stack.enter_context(loky.ProcessPoolExecutor(2))
        calls["loky"] = lambda *call: asyncio.wrap_future(executor.submit(*call))
    if mpire := rival("mpire"):
        workers = stack.enter_context(mpire.WorkerPool(2, start_method="forkserver"))
        calls["mpire"] = through_callbacks(workers.apply_async)
    return calls


async def recoveries(count: int) -> list[dict[str, object]]:
    """Measure the time from a SIGKILL of the only worker, idle, to the next result."""
    seconds: list[float] = []
    async with WorkerPool(1) as pool:
        for number in range(count):
            await pool.create_task(double, number)
            began = time.perf_counter()
            os.kill(pool.pids[0], signal.SIGKILL)
            await pool.create_task(double, number)
            seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds) * 1e3
    return [limit("next result after a SIGKILL", "ours", median, "ms", 20.0)]


async def starts(count: int) -> list[dict[str, object]]:
    """Measure the start of pools of four, for each worker; the fork server runs already."""
    measures: list[dict[str, object]] = []
    for method in ("forkserver", "spawn", "fork"):
        seconds: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            async with WorkerPool(4, start_method=method):
                seconds.append((time.perf_counter() - began) / 4)
        median = statistics.median(seconds) * 1e3
        measures.append({"metric": "start of a worker", "subject": f"ours, {method}", "value": median, "unit": "ms"})
    context, seconds = multiprocessing.get_context("forkserver"), []
    for _ in range(count):
        began = time.perf_counter()
        with context.Pool(4) as pool:
            pool.map(double, range(8), chunksize=1)
            seconds.append((time.perf_counter() - began) / 4)
    median = statistics.median(seconds) * 1e3
    theirs = {"metric": "start of a worker", "subject": "multiprocessing.Pool, forkserver"}
    measures.append({**theirs, "value": median, "unit": "ms"})
    ours = limit("start of a worker", "ours, forkserver", float(str(measures[0]["value"])), "ms", 11.0)
    return [ours, *measures[1:]]


async def main(quick: bool) -> list[dict[str, object]]:
    count, rounds = (300, 5) if quick else (2000, 9)
    one = Case("process task, one by one", "tasks/s", "multiprocessing.Pool", 1.0, by_cpu=False)
    many = Case("process task, 50 in flight", "tasks/s", "multiprocessing.Pool", 2.0, by_cpu=False)
    large = Case("echo of 1 MiB", "MiB/s", "mpire", 1.2, by_cpu=False)
    async with AsyncExitStack() as stack:
        for name, call in (await open_pools(stack)).items():
            one.subjects[name] = sequential(call, count)
            many.subjects[name] = in_flight(call, count)
            large.subjects[name] = echoes(call, count // 10)
        measures = [measure for case in (one, many, large) for measure in await run_case(case, rounds)]
    return [*measures, *await recoveries(10 if quick else 50), *await starts(2 if quick else 20)]


if __name__ == "__main__":
    chosen = options(__doc__)
    report(asyncio.run(main(chosen.quick)), chosen.json)
