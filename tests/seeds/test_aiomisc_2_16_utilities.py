"""Chapter 2.16 of the aiomisc seed; bind_socket is in 2.4. Sleeps run on the virtual clock or are shortened."""

import asyncio
from datetime import UTC, datetime

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import (
    CronCallback,
    PeriodicCallback,
    RecurringCallback,
    StrategySkip,
    StrategyStop,
    cancel_tasks,
    new_event_loop,
)
from mainspring.testing import VirtualClock

pytestmark = pytest.mark.usefixtures("no_logging")


def run_for(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Let `run_forever` end."""
    loop.call_later(seconds, loop.stop)
    loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def test_2_16_1_select(capsys: pytest.CaptureFixture[str]) -> None:
    async def main():
        loop = asyncio.get_event_loop()
        event = asyncio.Event()
        future: asyncio.Future = asyncio.Future()

        loop.call_soon(event.set)

        await aiomisc.select(event.wait(), future)
        print(event.is_set())

        event = asyncio.Event()
        future = asyncio.Future()

        loop.call_soon(future.set_result, True)

        results = await aiomisc.select(future, event.wait())
        future_result, event_result = results

        print(results.result())
        print(results.result_idx)
        print(event_result, future_result)

    with aiomisc.entrypoint() as loop:
        loop.run_until_complete(main())
    assert ["True", "True", "0", "None True"] == capsys.readouterr().out.splitlines()


async def test_2_16_2_cancel_tasks(virtual_clock: VirtualClock, capsys: pytest.CaptureFixture[str]) -> None:
    done, pending = await asyncio.wait([asyncio.ensure_future(asyncio.sleep(i)) for i in range(10)], timeout=5)

    print("Done", len(done), "tasks")
    print("Pending", len(pending), "tasks")
    await cancel_tasks(pending)
    first, second = capsys.readouterr().out.splitlines()
    assert 10 == sum(int(line.split()[1]) for line in (first, second))
    assert all(task.cancelled() for task in pending)


def test_2_16_3_awaitable(capsys: pytest.CaptureFixture[str]) -> None:
    async def do_callback(func, *args):
        awaitable_func = aiomisc.awaitable(func)

        return await awaitable_func(*args)

    print(asyncio.run(do_callback(asyncio.sleep, 0.02)))
    print(asyncio.run(do_callback(lambda: 45)))
    assert ["None", "45"] == capsys.readouterr().out.splitlines()


def test_2_16_5_recurring_callback(capsys: pytest.CaptureFixture[str]) -> None:
    async def callback():
        print("Hello")

    first_call = False

    async def strategy(_: RecurringCallback) -> int | float:
        nonlocal first_call
        if not first_call:
            first_call = True
            return 0.05

        return 0.1

    loop = new_event_loop()
    periodic = RecurringCallback(callback)
    task = periodic.start(strategy, loop)
    run_for(loop, 0.2)
    assert "Hello" == capsys.readouterr().out.split()[0]
    assert task.cancelled()


async def test_2_16_5_strategies_skip_and_stop(virtual_clock: VirtualClock) -> None:
    asked = []

    async def strategy(_: RecurringCallback) -> int | float:
        asked.append(virtual_clock.monotonic())
        if len(asked) == 1:
            raise StrategySkip(10)
        raise StrategyStop()

    await RecurringCallback(asked.clear).start(strategy)
    assert [0.0, 10.0] == asked


def test_2_16_6_periodic_callback(capsys: pytest.CaptureFixture[str]) -> None:
    async def periodic_function():
        print("Hello")

    loop = new_event_loop()
    periodic = PeriodicCallback(periodic_function)
    periodic.start(0.01, delay=0.1)
    run_for(loop, 0.3)
    assert "Hello" == capsys.readouterr().out.split()[0]


async def test_2_16_6_periodic_callback_at_its_own_pace(virtual_clock: VirtualClock) -> None:
    at = []
    periodic = PeriodicCallback(lambda: at.append(virtual_clock.monotonic()))
    periodic.start(1, delay=10)
    await virtual_clock.advance(13)
    assert [10.0, 11.0, 12.0, 13.0] == at
    with pytest.raises(asyncio.CancelledError):
        await periodic.stop()


@pytest.mark.virtual_clock(datetime(2013, 1, 1, tzinfo=UTC))
async def test_2_16_7_cron_callback(virtual_clock: VirtualClock, capsys: pytest.CaptureFixture[str]) -> None:
    async def cron_function():
        print("Hello")

    periodic = CronCallback(cron_function)
    periodic.start(spec="* * * * * *")
    await virtual_clock.advance(5)
    assert ["Hello"] * 5 == capsys.readouterr().out.split()
    with pytest.raises(asyncio.CancelledError):
        await periodic.stop()
