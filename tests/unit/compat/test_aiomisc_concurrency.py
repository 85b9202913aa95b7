"""The names of aiomisc that are about doing many things at once, and what is adapted in them."""

import asyncio
import contextvars
import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from mainspring import concurrency
from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import thread_pool

NAMES = {
    "aiomisc": "CronCallback FromThreadChannel IteratorWrapper IteratorWrapperSeparate PeriodicCallback"
    " ProcessPoolExecutor RecurringCallback SelectResult StrategyException StrategySkip StrategyStop"
    " ThreadPoolExecutor WorkerPool aggregate aggregate_async awaitable cancel_tasks chunk_list context_partial"
    " select shield sync_await sync_wait_coroutine threaded threaded_iterable threaded_iterable_separate"
    " threaded_separate wait_coroutine",
    "aiomisc.aggregate": "Arg ResultNotSetError aggregate aggregate_async",
    "aiomisc.cron": "CronCallback",
    "aiomisc.iterator_wrapper": "ChannelClosed FromThreadChannel IteratorWrapper IteratorWrapperSeparate",
    "aiomisc.periodic": "PeriodicCallback",
    "aiomisc.process_pool": "ProcessPoolExecutor ProcessPoolStatistic",
    "aiomisc.recurring": "RecurringCallback StrategyException StrategySkip StrategyStop",
    "aiomisc.thread_pool": "ThreadPoolException ThreadPoolExecutor threaded threaded_iterable run_in_executor",
    "aiomisc.utils": "awaitable cancel_tasks chunk_list select shield",
    "aiomisc.worker_pool": "WorkerPool",
}

number = contextvars.ContextVar("number", default=0)


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_they_were(module: str) -> None:
    found = importlib.import_module(f"mainspring.compat.{module}")
    assert [] == [name for name in NAMES[module].split() if getattr(found, name) is None]


def test_the_object_keeps_its_name_when_the_module_of_the_same_name_is_imported() -> None:
    importlib.import_module("mainspring.compat.aiomisc.aggregate")
    assert aiomisc.aggregate is concurrency.aggregate


async def test_queues_are_unbounded() -> None:
    with aiomisc.ThreadPoolExecutor(1) as pool:
        calls = [pool.run(int) for _ in range(3000)]
        assert [0] * 3000 == await asyncio.gather(*calls)
        assert 3 == await thread_pool.run_in_executor(int, pool, ("3",))
    channel = aiomisc.FromThreadChannel[int]()
    for n in range(3000):
        channel.put(n)
    assert 0 == await channel

    @aiomisc.threaded_iterable
    def pooled() -> Iterator[int]:
        yield from range(3)

    @aiomisc.threaded_iterable_separate
    def separate() -> Iterator[int]:
        yield from range(3)

    for wrapper in (
        aiomisc.IteratorWrapper(lambda: range(3)),
        aiomisc.IteratorWrapperSeparate(lambda: range(3)),
        aiomisc.IteratorWrapperSeparate(lambda: range(3), None, 0, None),
        pooled(),
        separate(),
    ):
        assert [0, 1, 2] == [n async for n in wrapper]
        assert 0 == wrapper._buffer._max_size


async def test_what_a_thread_pool_submits_can_be_awaited() -> None:
    """There it was a future of asyncio; here it is a standard one as well."""
    loop = asyncio.get_running_loop()
    with aiomisc.ThreadPoolExecutor(2) as pool:
        future = pool.submit(abs, -1)
        assert 1 == await future == future.result()
        assert [2, 3] == list(await asyncio.gather(pool.submit(abs, -2), pool.submit(abs, -3)))
        with pytest.raises(ValueError, match="invalid literal"):
            await pool.submit(int, "x")
        assert 4 == await asyncio.wait_for(pool.submit(abs, -4), 20)
        assert 5 == await loop.run_in_executor(pool, abs, -5)
        assert [1, 2] == await aiomisc.threaded_separate(lambda: list(pool.map(abs, (-1, -2))))()


@pytest.mark.parametrize(("variable", "size"), [(None, 1024), ("7", 7)])
async def test_generators_of_threaded_have_the_size_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, size: int
) -> None:
    monkeypatch.delenv("THREADED_ITERABLE_DEFAULT_MAX_SIZE", raising=False)
    if variable is not None:
        monkeypatch.setenv("THREADED_ITERABLE_DEFAULT_MAX_SIZE", variable)

    def count() -> Iterator[int]:
        yield from range(3)

    decorators: list[Any] = [  # Any: mypy takes the last of their overloads
        aiomisc.threaded,
        aiomisc.threaded(),
        aiomisc.threaded_separate,
        aiomisc.threaded_separate(),
        aiomisc.threaded_separate(False),
    ]
    for decorate in decorators:
        wrapper = decorate(count)()
        assert size == wrapper._buffer._max_size
        assert [0, 1, 2] == [n async for n in wrapper]
    assert 3 == await aiomisc.threaded_separate(int, detach=False)("3")


async def test_a_process_pool_takes_any_number_of_calls() -> None:
    with aiomisc.ProcessPoolExecutor(1) as pool:
        assert 1200 == sum(await asyncio.gather(*(asyncio.wrap_future(pool.submit(int, "1")) for _ in range(1200))))


async def test_a_worker_pool_takes_any_number_of_tasks() -> None:
    async with aiomisc.WorkerPool(1) as pool:
        assert 3000 == sum(await asyncio.gather(*(pool.submit(int, "1") for _ in range(3000))))
    assert "0/2" in repr(aiomisc.WorkerPool(2, 5, statistic_name="compat"))


def test_the_default_pool_is_unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOMISC_USE_UVLOOP", "0")

    async def crowd() -> int:
        return len(await asyncio.gather(*(aiomisc.threaded(int)() for _ in range(3000))))

    with aiomisc.entrypoint(log_config=False, pool_size=1) as loop:
        assert 3000 == loop.run_until_complete(crowd())


def test_a_partial_keeps_the_context_of_the_place_it_was_made_at() -> None:
    number.set(1)
    read = aiomisc.context_partial(number.get)
    number.set(2)
    assert 1 == read()
