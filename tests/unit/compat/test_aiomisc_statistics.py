"""Each kind of counters that aiomisc has is there, with its metrics, and counts what was done."""

import asyncio
import logging
import operator
from collections.abc import Awaitable, Callable

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import log

METRICS = {
    "ContextStatistic": "get set",
    "ThreadPoolStatistic": "threads done error success submitted sum_time",
    "ProcessPoolStatistic": "processes done error success submitted sum_time",
    "WorkerPoolStatistic": "processes spawning queue_size submitted sum_time done success error bad_auth task_added",
    "BackoffStatistic": "done attempts cancels errors sum_time",
    "RetryStatistic": "done attempts cancels errors sum_time",
    "CircuitBreakerStatistic": "call_count error_ratio error_ratio_threshold call_passing call_broken call_recovering"
    " call_recovering_ok call_recovering_failed",
    "AggregateStatistic": "leeway_ms max_count success error done",
    "RecurringCallbackStatistic": "call_count done fail sum_time",
    "ThreadedHandlerStatistic": "threads records errors flushes",
}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at nothing that other tests have left."""
    nothing: dict[int, object] = {}
    monkeypatch.setattr("mainspring.base._statistics._live", nothing)


def counts(kind: str) -> dict[str, float]:
    """Return the sums over the live statistics of a kind, subclasses included."""
    found: dict[str, float] = {}
    for one in aiomisc.get_statistics():
        if kind in {each.__name__ for each in one.kind.__mro__}:
            found[one.metric] = found.get(one.metric, 0) + one.value
    return found


async def context() -> object:
    found = aiomisc.Context(asyncio.get_running_loop())
    found["key"] = 1
    await found["key"]
    return found


async def threads() -> object:
    pool = aiomisc.ThreadPoolExecutor(1)
    await asyncio.wrap_future(pool.submit(int))
    pool.shutdown()
    return pool


async def processes() -> object:
    with aiomisc.ProcessPoolExecutor(1) as pool:
        assert 3 == await asyncio.wrap_future(pool.submit(operator.add, 1, 2))
        return pool


async def workers() -> object:
    async with aiomisc.WorkerPool(1) as pool:
        assert 3 == await pool.create_task(operator.add, 1, 2)
        return pool


async def backoff() -> object:
    @aiomisc.asyncbackoff(attempt_timeout=None, deadline=None)
    async def call() -> int:
        return 1

    await call()
    return call


async def retry() -> object:
    @aiomisc.asyncretry(max_tries=2)
    async def call() -> int:
        return 1

    await call()
    return call


async def breaker() -> object:
    made = aiomisc.CircuitBreaker(error_ratio=0.5, response_time=1)
    with made.context():
        pass
    return made


async def aggregate() -> object:
    @aiomisc.aggregate(leeway_ms=1, max_count=7)
    async def add(*numbers: int) -> list[int]:
        return list(numbers)

    assert 3 == await add(3)
    return add


async def recurring() -> object:
    calls: list[int] = []

    async def call() -> None:
        calls.append(1)

    def pause(_: object) -> float:
        if len(calls) == 3:
            raise aiomisc.StrategyStop
        return 0.0

    callback = aiomisc.RecurringCallback(call)
    await callback.start(pause)
    return callback


async def handler() -> object:
    made = log.ThreadedHandler(logging.NullHandler(), flush_interval=0.0)
    made.handle(logging.makeLogRecord({"msg": "one"}))
    made.close()
    return made


CASES: list[tuple[str, Callable[[], Awaitable[object]], dict[str, float]]] = [
    ("ContextStatistic", context, {"get": 1, "set": 1}),
    ("ThreadPoolStatistic", threads, {"submitted": 1, "done": 1, "success": 1, "error": 0}),
    ("ProcessPoolStatistic", processes, {"submitted": 1, "done": 1, "success": 1, "error": 0}),
    ("WorkerPoolStatistic", workers, {"submitted": 1, "done": 1, "success": 1, "error": 0, "task_added": 1}),
    ("BackoffStatistic", backoff, {"done": 1, "attempts": 1, "errors": 0, "cancels": 0}),
    ("RetryStatistic", retry, {"done": 1, "attempts": 1, "errors": 0, "cancels": 0}),
    ("CircuitBreakerStatistic", breaker, {"call_count": 1, "call_passing": 1, "error_ratio_threshold": 0.5}),
    ("AggregateStatistic", aggregate, {"leeway_ms": 1, "max_count": 7, "success": 1, "error": 0, "done": 1}),
    ("RecurringCallbackStatistic", recurring, {"call_count": 3, "done": 3, "fail": 0}),
    ("ThreadedHandlerStatistic", handler, {"records": 1, "errors": 0, "flushes": 1}),
]


@pytest.mark.parametrize(("kind", "use", "expected"), [pytest.param(*case, id=case[0]) for case in CASES])
async def test_each_kind_has_its_metrics_and_counts(
    kind: str, use: Callable[[], Awaitable[object]], expected: dict[str, float]
) -> None:
    kept = await use()
    found = counts(kind)
    assert kept is not None
    assert set(METRICS[kind].split()) <= found.keys()
    assert expected == {name: found[name] for name in expected}


def test_all_kinds_are_looked_at() -> None:
    assert set(METRICS) == {kind for kind, _, _ in CASES}
