"""What time limits, retries, breakers, limiters and pools cost around a call that does nothing.

Usage: python benchmarks/bench_resilience.py [--quick] [--json FILE]

All subjects of a case run in turn within each round, in one process and on one loop; the value is the median
over the rounds, and a ratio is the median of the ratios within the rounds. Rivals that are not installed are
left out with a line.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any  # Any: rivals come without types

from mainspring.resilience import CircuitBreaker, PoolBase, RateLimit, asyncretry, retry, timeout

Call = Callable[[], Any]
ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to compare: what is ours, against which rival or probe, and how far from it we want to be."""

    metric: str
    subjects: dict[str, Call]
    against: str
    at_most: float
    """Ours may take this many times the time of `against`."""


def rival(module: str) -> ModuleType | None:
    """Return a rival's module, or None after a line that says it is absent."""
    try:
        return import_module(module)
    except ImportError:
        print(f"bench_resilience: {module} is not installed, left out")
        return None


async def nothing() -> int:
    return 1


async def suspend() -> None:
    await asyncio.sleep(0)


def timeout_cases(aiomisc: Any) -> list[Case]:
    cases: list[Case] = []
    for metric, function, at_most in (
        ("timeout, no suspension", nothing, 0.25),
        ("timeout, one suspension", suspend, 1.1),
    ):

        async def standard(function: Call = function) -> None:
            async with asyncio.timeout(30):
                await function()

        async def block(function: Call = function) -> None:
            async with timeout(30):
                await function()

        subjects: dict[str, Call] = {
            "bare": function,
            "ours": timeout(30)(function),
            "ours, async with": block,
            "asyncio.timeout": standard,
        }
        if aiomisc:
            subjects["aiomisc.timeout"] = aiomisc.timeout(30)(function)
        cases.append(Case(metric, subjects, "asyncio.timeout", at_most))
    return cases


def retry_case(aiomisc: Any, tenacity: Any) -> Case:
    async def wrapped() -> int:
        try:
            return await nothing()
        except OSError:
            raise

    subjects: dict[str, Call] = {
        "bare": nothing,
        "hand-written try": wrapped,
        "ours": retry(on=OSError)(nothing),
        "ours, asyncretry": asyncretry(3)(nothing),
    }
    if aiomisc:
        subjects["aiomisc.asyncretry"] = aiomisc.asyncretry(3)(nothing)
    if tenacity:
        subjects["tenacity"] = tenacity.retry(stop=tenacity.stop_after_attempt(3))(nothing)
    return Case("retry, happy path", subjects, "hand-written try", 2.0)


def breaker_case(aiomisc: Any, aiobreaker: Any) -> Case:
    ours = CircuitBreaker(0.5, 30)

    async def call() -> None:
        await ours.call_async(nothing)

    async def block() -> None:
        async with ours:
            await nothing()

    subjects: dict[str, Call] = {
        "bare": nothing,
        "ours": ours(nothing),
        "ours, call_async": call,
        "ours, async with": block,
    }
    if aiobreaker:
        subjects["aiobreaker"] = aiobreaker.CircuitBreaker()(nothing)
    if aiomisc:
        theirs = aiomisc.CircuitBreaker(0.5, 30)

        async def aiomisc_call() -> None:
            await theirs.call_async(nothing)

        subjects["aiomisc.CircuitBreaker"] = aiomisc_call
    return Case("breaker, passing", subjects, "aiobreaker", 0.4)


def limiter_cases(aiolimiter: Any) -> list[Case]:
    # Full windows of a microsecond: each admission drops an old one, and none has to wait.
    limit = RateLimit(1000, 1e-6)

    async def block() -> None:
        async with limit:
            pass

    acquire: dict[str, Call] = {"bare": nothing, "ours": limit.acquire, "ours, async with": block}
    tried: dict[str, Call] = {"bare": nothing, "ours": limit.try_acquire}
    if aiolimiter:
        theirs = aiolimiter.AsyncLimiter(1e9, 1)
        acquire["aiolimiter"] = tried["aiolimiter"] = theirs.acquire
    return [
        Case("rate limit, acquire", acquire, "aiolimiter", 1.0),
        Case("rate limit, try_acquire", tried, "aiolimiter", 0.5),
    ]


def _pool_hooks() -> dict[str, Any]:
    async def create(self: object) -> object:
        return object()

    async def destroy(self: object, instance: object) -> None:
        return None

    async def check(self: object, instance: object) -> bool:
        return True

    return {"_create_instance": create, "_destroy_instance": destroy, "_check_instance": check}


def pool_case(aiomisc: Any) -> Case:
    hooks = _pool_hooks()
    unchecked = {name: hook for name, hook in hooks.items() if name != "_check_instance"}
    checked: Any = type("CheckedPool", (PoolBase,), hooks)(10)
    plain: Any = type("PlainPool", (PoolBase,), unchecked)(10)
    pools = {"ours": plain, "ours, with a check": checked}
    if aiomisc:
        pools["aiomisc.PoolBase"] = type("TheirPool", (aiomisc.PoolBase,), hooks)(10)

    def borrower(pool: Any) -> Call:
        async def borrow() -> None:
            async with pool.acquire():
                pass

        return borrow

    subjects: dict[str, Call] = {"bare": nothing} | {name: borrower(pool) for name, pool in pools.items()}
    return Case("pool, uncontended", subjects, "aiomisc.PoolBase", 0.45)


async def seconds_for(call: Call, count: int) -> float:
    """Return the seconds of one call, coroutine function or not."""
    first = call()
    if not isinstance(first, Awaitable):
        began = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - began) / count
    await first
    began = time.perf_counter()
    for _ in range(count):
        await call()
    return (time.perf_counter() - began) / count


async def run_case(case: Case, count: int) -> list[dict[str, object]]:
    """Run one case; return what the table of `run.py` takes."""
    times: dict[str, list[float]] = {name: [] for name in case.subjects}
    for call in case.subjects.values():
        await seconds_for(call, count // 10)
    for _ in range(ROUNDS):
        for name, call in case.subjects.items():
            times[name].append(await seconds_for(call, count))
    measures: list[dict[str, object]] = [
        {"metric": case.metric, "subject": name, "value": statistics.median(each) * 1e6, "unit": "us"}
        for name, each in times.items()
    ]
    if case.against in times:
        pairs = zip(times["ours"], times[case.against], strict=True)
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        measures.append(
            {
                "metric": case.metric,
                "subject": f"ours / {case.against}",
                "value": ratio,
                "unit": "x",
                "target": f"<= {case.at_most:g} x",
                "met": ratio <= case.at_most,
            }
        )
    return measures


async def run(count: int) -> list[dict[str, object]]:
    aiomisc, aiolimiter = rival("aiomisc"), rival("aiolimiter")
    cases = [
        *timeout_cases(aiomisc),
        retry_case(aiomisc, rival("tenacity")),
        breaker_case(aiomisc, rival("aiobreaker")),
        *limiter_cases(aiolimiter),
        pool_case(aiomisc),
    ]
    return [measure for case in cases for measure in await run_case(case, count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    measures = asyncio.run(run(2_000 if options.quick else 20_000))
    if options.json:
        options.json.write_text(json.dumps(measures))
    for measure in measures:
        verdict = {True: "met", False: "missed"}.get(bool(measure["met"]), "") if "met" in measure else ""
        line = f"{measure['metric']:26} {measure['subject']:26} {measure['value']:8.2f} {measure['unit']:3}"
        print(f"{line} {measure.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
