"""What time limits, retries, breakers, limiters and pools cost around a call that does nothing.

Usage: python benchmarks/bench_resilience.py [--quick] [--json FILE]

All subjects of a case run in turn within each round, in one process and on one loop; the value is the median
over the rounds, and a ratio is the median of the ratios within the rounds. What waits for nobody is measured in
seconds of the processor, since others may use the machine too; what asks a server in seconds of the clock, and
beside it in seconds of the processor, the server's own left out. Rivals that are not installed are left out with a
line.
"""

import argparse
import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # Any: rivals come without types

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.support_limiters import Call, local_limiters, nothing, redis_limiters, rival

from mainspring.errors import ChildStartError
from mainspring.resilience import Backoff, CircuitBreaker, PoolBase, asyncretry, retry, timeout
from mainspring.testing import ValkeyServer

ROUNDS = 9
IN_FLIGHT = 50


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to compare: what is ours, against which rival or probe, and how far from it we want to be."""

    metric: str
    subjects: dict[str, Call]
    against: str
    at_most: dict[str, float]
    """What each of ours may take at most, in times of `against`."""


async def suspend() -> None:
    await asyncio.sleep(0)


def timeout_cases(aiomisc: Any, anyio: Any) -> list[Case]:
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
        if anyio:

            async def fail_after(function: Call = function) -> None:
                with anyio.fail_after(30):
                    await function()

            subjects["anyio.fail_after"] = fail_after
        cases.append(Case(metric, subjects, "asyncio.timeout", {"ours": at_most}))
    return cases


def retry_case(aiomisc: Any, tenacity: Any, stamina: Any) -> Case:
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
    if stamina:
        subjects["stamina"] = stamina.retry(on=OSError, attempts=3)(nothing)
    return Case("retry, happy path", subjects, "hand-written try", {"ours": 2.0})


def failing_case(aiomisc: Any, tenacity: Any, stamina: Any) -> Case:
    """Two failures, then a success, without pauses."""

    def flaky() -> Call:
        calls = 0

        async def call() -> int:
            nonlocal calls
            calls += 1
            if calls % 3:
                raise OSError
            return 1

        return call

    by_hand = flaky()

    async def loop() -> None:
        while True:
            try:
                await by_hand()
            except OSError:
                await asyncio.sleep(0)
            else:
                return

    subjects: dict[str, Call] = {
        "hand-written loop": loop,
        "ours": retry(on=OSError, backoff=Backoff.constant(0.0, max_tries=3))(flaky()),
        "ours, asyncretry": asyncretry(3)(flaky()),
    }
    if aiomisc:
        subjects["aiomisc.asyncretry"] = aiomisc.asyncretry(3)(flaky())
    if tenacity:
        subjects["tenacity"] = tenacity.retry(stop=tenacity.stop_after_attempt(3))(flaky())
    if stamina:
        stamina.instrumentation.set_on_retry_hooks([])  # its log of each retry would be measured, and drown the table
        again = stamina.retry(on=OSError, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0)
        subjects["stamina"] = again(flaky())
    return Case("retry, two failures", subjects, "hand-written loop", {})


async def breaker_case(aiomisc: Any, aiobreaker: Any, purgatory: Any) -> Case:
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
    if purgatory:
        remote = await purgatory.AsyncCircuitBreakerFactory().get_breaker("b")

        async def purgatory_block() -> None:
            async with remote:
                await nothing()

        subjects["purgatory, async with"] = purgatory_block
    if aiomisc:
        theirs = aiomisc.CircuitBreaker(0.5, 30)

        async def aiomisc_call() -> None:
            await theirs.call_async(nothing)

        subjects["aiomisc.CircuitBreaker"] = aiomisc_call
    return Case("breaker, passing", subjects, "aiobreaker", {"ours": 0.4})


def limiter_cases() -> list[Case]:
    acquire, tried = local_limiters()
    return [
        Case("limiter, acquire", acquire, "aiolimiter", {"ours, RateLimit": 1.0, "ours, GCRA": 0.5}),
        Case("limiter, try_acquire", tried, "aiolimiter", {"ours, RateLimit": 0.5, "ours, GCRA": 0.5}),
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
    # Theirs cannot do without a check, so that the fair pair is the one where both have it.
    return Case("pool, uncontended", subjects, "aiomisc.PoolBase", {"ours, with a check": 0.45})


async def seconds_for(call: Call, count: int, clock: Callable[[], float] = time.thread_time) -> float:
    """Return the seconds of one call, coroutine function or not."""
    first = call()
    if not isinstance(first, Awaitable):
        began = clock()
        for _ in range(count):
            call()
        return (clock() - began) / count
    await first
    began = clock()
    for _ in range(count):
        await call()
    return (clock() - began) / count


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
    for name, at_most in case.at_most.items() if case.against in times else ():
        pairs = zip(times[name], times[case.against], strict=True)
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        measures.append(
            {
                "metric": case.metric,
                "subject": f"{name} / {case.against}",
                "value": ratio,
                "unit": "x",
                "target": f"<= {at_most:g} x",
                "met": ratio <= at_most,
            }
        )
    return measures


async def rate_of(call: Call, count: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the calls per second of IN_FLIGHT callers at once."""

    async def caller() -> None:
        for _ in range(count // IN_FLIGHT):
            await call()

    began = clock()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return count / (clock() - began)


async def run_redis(count: int) -> list[dict[str, object]]:
    """Compare the limiters that share a server, with many callers in flight and with one."""
    try:
        server = ValkeyServer()
        server.start()
    except ChildStartError as error:
        print(f"bench_resilience: {error}, the limiters over Redis are left out")
        return []
    try:
        subjects, closers = await redis_limiters(server.url)
        clocks = {"": time.perf_counter, ", by processor time": time.thread_time}
        rates = {words: {name: list[float]() for name in subjects} for words in clocks}
        single = {name: list[float]() for name in subjects}
        for call in subjects.values():
            await rate_of(call, IN_FLIGHT * 2)
        for _ in range(ROUNDS):
            for name, call in subjects.items():
                for words, clock in clocks.items():
                    rates[words][name].append(await rate_of(call, count, clock))
                single[name].append(await seconds_for(call, count // 10, time.perf_counter))
        for close in closers:
            await close()
    finally:
        server.kill()
    alone: list[dict[str, object]] = [
        {"metric": "over Redis, one in flight", "subject": name, "value": statistics.median(each) * 1e6, "unit": "us"}
        for name, each in single.items()
    ]
    return [*alone, *(measure for words, each in rates.items() for measure in _redis_measures(words, each))]


def _redis_measures(words: str, rates: dict[str, list[float]]) -> list[dict[str, object]]:
    metric = f"over Redis, {IN_FLIGHT} in flight{words}"
    measures: list[dict[str, object]] = [
        {"metric": metric, "subject": name, "value": statistics.median(each), "unit": "/s"}
        for name, each in rates.items()
    ]
    rivals = [name for name in rates if name.split(",")[0] in {"limits", "throttled", "pyrate-limiter"}]
    for ours in ("ours, log", "ours, gcra") if rivals else ():
        best = [max(rates[name][index] for name in rivals) for index in range(ROUNDS)]
        ratio = statistics.median(mine / theirs for mine, theirs in zip(rates[ours], best, strict=True))
        measures.append(
            {
                "metric": metric,
                "subject": f"{ours} / best rival",
                "value": ratio,
                "unit": "x",
                "target": ">= 10 x",
                "met": ratio >= 10,
            }
        )
    return measures


async def run(count: int) -> list[dict[str, object]]:
    aiomisc = rival("aiomisc")
    cases = [
        *timeout_cases(aiomisc, rival("anyio")),
        retry_case(aiomisc, rival("tenacity"), rival("stamina")),
        failing_case(aiomisc, rival("tenacity"), rival("stamina")),
        await breaker_case(aiomisc, rival("aiobreaker"), rival("purgatory")),
        *limiter_cases(),
        pool_case(aiomisc),
    ]
    measures = [measure for case in cases for measure in await run_case(case, count)]
    return measures + await run_redis(max(500, count // 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # some rivals tell of every call
    measures = asyncio.run(run(2_000 if options.quick else 20_000))
    if options.json:
        options.json.write_text(json.dumps(measures))
    for measure in measures:
        verdict = {True: "met", False: "missed"}.get(bool(measure["met"]), "") if "met" in measure else ""
        line = f"{measure['metric']:46} {measure['subject']:32} {measure['value']:9.2f} {measure['unit']:3}"
        print(f"{line} {measure.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
