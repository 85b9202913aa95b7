"""map_reduce keeps order and bounds, and stops all work with the first error."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.unit.concurrency import support_tasks as tasks

from mainspring.concurrency import ProcessPoolExecutor, ThreadPoolExecutor, WorkerPool, map_reduce
from mainspring.errors import InvalidArgumentError
from mainspring.testing import VirtualClock


class Meter:
    """Counts what is in flight."""

    def __init__(self) -> None:
        self.now = self.most = self.started = self.cancelled = 0

    async def work(self, seconds: float) -> float:
        self.started += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        if seconds == 13:
            raise KeyError("unlucky")
        return seconds


async def test_results_keep_the_order_and_the_flight_its_bound(virtual_clock: VirtualClock) -> None:
    meter = Meter()
    seconds = [5, 1, 4, 2, 3, 1, 1, 9, 2]
    assert seconds == await map_reduce(meter.work, seconds, list, concurrency=3)
    assert 3 == meter.most
    assert 28 == await map_reduce(meter.work, seconds, sum, concurrency=100)


async def test_items_are_not_read_ahead() -> None:
    meter, taken = Meter(), 0

    def items() -> Iterator[float]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            assert taken - meter.started <= 2
            yield 0

    assert 0 == await map_reduce(meter.work, items(), sum, concurrency=2)
    assert 50 == taken


async def test_async_iterables_are_taken_too() -> None:
    async def items() -> AsyncIterator[float]:
        for n in range(10):
            await asyncio.sleep(0)
            yield n / 1000

    assert 10 == await map_reduce(Meter().work, items(), len, concurrency=4)
    assert [] == await map_reduce(Meter().work, [], list)


async def test_the_first_error_stops_all(virtual_clock: VirtualClock) -> None:
    meter = Meter()
    with pytest.raises(KeyError, match="unlucky"):
        await map_reduce(meter.work, [60, 13, 60, 60, 60], list, concurrency=3)
    assert (3, 2, 0) == (meter.started, meter.cancelled, meter.now)
    assert 13.0 == virtual_clock.monotonic()


async def test_an_error_of_the_items_stops_all(virtual_clock: VirtualClock) -> None:
    meter = Meter()

    def items() -> Iterator[float]:
        yield 60
        raise LookupError

    with pytest.raises(LookupError):
        await map_reduce(meter.work, items(), list)
    assert 1 == meter.cancelled


async def test_a_cancellation_stops_all(virtual_clock: VirtualClock) -> None:
    meter = Meter()
    mapping = asyncio.ensure_future(map_reduce(meter.work, [60] * 9, list, concurrency=3))
    await virtual_clock.advance(1)
    mapping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mapping
    assert (3, 3, 0) == (meter.started, meter.cancelled, meter.now)


async def test_plain_functions_run_elsewhere() -> None:
    assert [0, 2, 4] == await map_reduce(tasks.double, range(3), list)
    async with WorkerPool(2) as workers:
        assert 90 == await map_reduce(tasks.double, range(10), sum, concurrency=3, executor=workers)
    with ProcessPoolExecutor(1) as processes:
        assert 6 == await map_reduce(tasks.double, range(3), sum, executor=processes)


async def test_more_calls_than_an_executor_takes_wait_for_room() -> None:
    """They were refused with WorkQueueFullError, in the middle of the work."""
    async with WorkerPool(1, 1) as workers:
        assert 90 == await map_reduce(tasks.double, range(10), sum, concurrency=10, executor=workers)
    with ProcessPoolExecutor(1, max_queue=1) as processes:
        assert 90 == await map_reduce(tasks.double, range(10), sum, concurrency=10, executor=processes)
    with ThreadPoolExecutor(1, max_queue=1) as threads:
        assert 90 == await map_reduce(tasks.double, range(10), sum, concurrency=10, executor=threads)
        asyncio.get_running_loop().set_default_executor(threads)
        assert 90 == await map_reduce(tasks.double, range(10), sum, concurrency=10)


async def test_the_concurrency_is_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="concurrency=0"):
        await map_reduce(tasks.double, [], list, concurrency=0)
