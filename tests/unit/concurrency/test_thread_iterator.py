"""A threaded iterator runs its generator under back-pressure and always stops it."""

import asyncio
import concurrent.futures
import contextvars
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mainspring.base import current_random
from mainspring.concurrency import IteratorWrapper, IteratorWrapperSeparate, ThreadPoolExecutor
from mainspring.errors import InvalidArgumentError, WorkQueueFullError
from mainspring.testing import VirtualClock, eventually

number = contextvars.ContextVar("number", default=0)


class Source:
    """A generator that says where it is."""

    def __init__(self, end: int = 1_000_000) -> None:
        self.end = end
        self.given = 0
        self.begun: list[threading.Thread] = []
        self.finished: list[threading.Thread] = []

    def __call__(self) -> Iterator[int]:
        self.begun.append(threading.current_thread())
        try:
            for n in range(self.end):
                self.given += 1
                yield n
        finally:
            self.finished.append(threading.current_thread())


@pytest.fixture(params=[IteratorWrapper, IteratorWrapperSeparate])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_all_items_come_in_order(kind: type[IteratorWrapper[int]]) -> None:
    for max_size in (0, 1, 2, 1024):
        assert list(range(5000)) == [n async for n in kind(Source(5000), max_size=max_size)]


async def test_it_starts_at_the_first_iteration_with_the_context_of_that_moment(
    kind: type[IteratorWrapper[int]],
) -> None:
    source = Source()
    wrapper = kind(lambda: iter([number.get()]))
    number.set(5)
    assert 5 == await anext(wrapper)
    async with kind(source) as untouched:
        assert "new" in repr(untouched)
    assert source.begun == []
    assert untouched.closed
    with pytest.raises(StopAsyncIteration):
        await anext(untouched)


async def test_the_generator_pauses_at_the_limit(kind: type[IteratorWrapper[int]]) -> None:
    source = Source()
    async with kind(source, max_size=2) as wrapper:
        assert 0 == await anext(wrapper)
        # one taken, two wait, and the one at whose yield the generator stands
        await eventually(lambda: source.given == 4)
        assert "waiting=2" in repr(wrapper)
        assert 1 == await anext(wrapper)
        await eventually(lambda: source.given == 5)
    assert "closed" in repr(wrapper)


async def test_close_runs_finally_in_the_thread(kind: type[IteratorWrapper[int]]) -> None:
    source = Source()
    wrapper = kind(source, max_size=2)
    assert 0 == await anext(wrapper)
    await wrapper.close()
    assert source.begun == source.finished
    await wrapper.close()
    assert [] == [n async for n in wrapper]


async def test_break_and_garbage_stop_the_generator(kind: type[IteratorWrapper[int]]) -> None:
    source = Source()
    async for n in kind(source, max_size=2):
        if n == 3:
            break
    gc.collect()
    await eventually(lambda: source.finished)
    assert source.given <= 7


async def test_an_exception_in_the_block_stops_the_generator(kind: type[IteratorWrapper[int]]) -> None:
    source = Source()

    async def consume() -> None:
        async with kind(source) as wrapper:
            async for _ in wrapper:
                raise LookupError

    with pytest.raises(LookupError):
        await consume()
    assert source.finished


async def test_the_consumers_cancellation_stops_the_generator(kind: type[IteratorWrapper[int]]) -> None:
    hold, source = threading.Event(), Source()

    def slow() -> Iterator[int]:
        for n in source():
            yield n
            hold.wait(20)

    async def consume() -> None:
        async with kind(slow) as wrapper:
            async for _ in wrapper:
                pass

    task = asyncio.create_task(consume())
    await eventually(lambda: source.given)
    await asyncio.sleep(0)
    task.cancel()
    hold.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.finished


async def test_what_the_generator_raises_is_raised_after_its_items(kind: type[IteratorWrapper[int]]) -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    wrapper = kind(fail)
    assert 1 == await anext(wrapper)
    with pytest.raises(KeyError, match="gone"):
        await anext(wrapper)
    with pytest.raises(StopAsyncIteration):
        await anext(wrapper)


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration()])
async def test_an_error_never_looks_like_the_end(error: Exception) -> None:
    def fail() -> Iterator[int]:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await anext(IteratorWrapper(fail))


async def test_any_iterable_will_do(kind: type[IteratorWrapper[int]]) -> None:
    assert [1, 2] == [n async for n in kind(lambda: [1, 2])]


async def test_several_consumers_share_the_items(kind: type[IteratorWrapper[int]]) -> None:
    wrapper = kind(Source(300), max_size=3)

    async def take() -> list[int]:
        return [n async for n in wrapper]

    taken = await asyncio.gather(take(), take(), take())
    assert list(range(300)) == sorted(n for part in taken for n in part)


async def test_a_failure_while_stopping_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def stubborn() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise ValueError("no")

    with caplog.at_level(logging.WARNING):
        async with IteratorWrapper(stubborn) as wrapper:
            await anext(wrapper)
    assert "failed while it was stopped" in caplog.text


async def test_the_seeds_form_with_a_standard_pool() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        async with IteratorWrapper(Source(), executor=pool, max_size=2) as wrapper:
            assert 0 == await anext(wrapper)
            waiting = IteratorWrapper(Source(), executor=pool)
            second = asyncio.ensure_future(anext(waiting))
            await asyncio.sleep(0)
            pool.shutdown(wait=False, cancel_futures=True)
            with pytest.raises(asyncio.CancelledError):
                await second


async def test_a_close_does_not_wait_for_a_thread_that_never_came() -> None:
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        source = Source()
        async with IteratorWrapper(Source(), max_size=1) as first, IteratorWrapper(source) as second:
            await anext(first)
            waiting = asyncio.ensure_future(anext(second))
            await asyncio.sleep(0)
            await second.close()
            with pytest.raises(StopAsyncIteration):
                await waiting
        assert source.begun == []


async def test_an_iterator_that_found_no_room_starts_when_there_is_some() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(1, max_queue=1) as pool:
        busy = [pool.run(gate.wait, 20)]
        await eventually(lambda: pool._crew.waiting_count == 0)
        busy.append(pool.run(gate.wait, 20))
        async with IteratorWrapper(Source(3), executor=pool) as wrapper:
            with pytest.raises(WorkQueueFullError):
                await anext(wrapper)
            gate.set()
            await asyncio.gather(*busy)
            assert [0, 1, 2] == [n async for n in wrapper]


async def test_virtual_time_stands_still_while_the_consumer_waits(virtual_clock: VirtualClock) -> None:
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        async with IteratorWrapper(Source(10), max_size=2) as wrapper:
            async for _ in wrapper:
                await asyncio.sleep(3600)
        assert 36000.0 == virtual_clock.monotonic()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="max_size=-1"):
        IteratorWrapper(Source(), max_size=-1)
    with pytest.raises(InvalidArgumentError, match="a callable"):
        IteratorWrapper(None)  # type: ignore[arg-type]


def test_a_loop_that_ends_first_is_no_trouble() -> None:
    source = Source()

    async def leave() -> IteratorWrapper[int]:
        wrapper = IteratorWrapperSeparate(source, max_size=1)
        await anext(wrapper)
        return wrapper

    wrapper = asyncio.run(leave())
    del wrapper
    gc.collect()
    source.begun[0].join(20)
    assert source.finished


@pytest.mark.timeout(600)
async def test_abandoned_generators_leave_no_thread(mainspring_count: Callable[[int, int], int]) -> None:
    """Left at random points, by break, close, cancellation or the collector; every `finally` runs."""
    random = current_random()
    before = set(threading.enumerate())
    with ThreadPoolExecutor(4, max_queue=0) as pool:
        asyncio.get_running_loop().set_default_executor(pool)

        async def abandon(source: Source) -> None:
            kind = IteratorWrapperSeparate[int] if random.random() < 0.2 else IteratorWrapper[int]
            wrapper: IteratorWrapper[int] = kind(source, max_size=random.choice((0, 1, 2, 16)))
            left_at, way = random.randrange(6), random.randrange(4)
            async for n in wrapper:
                if n >= left_at:
                    break
            if way == 0:
                await wrapper.close()
            elif way == 1:
                waiting = asyncio.ensure_future(anext(wrapper))
                await asyncio.sleep(0)
                waiting.cancel()

        total, done = mainspring_count(600, 10_000), 0
        while done < total:
            sources = [Source(50) for _ in range(50)]
            await asyncio.gather(*(abandon(source) for source in sources))
            done += len(sources)
            await eventually(lambda: all(len(one.begun) == len(one.finished) for one in sources), within=60)  # noqa: B023
    await eventually(lambda: set(threading.enumerate()) <= before, within=60)
