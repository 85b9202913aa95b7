"""PeriodicCallback: on its grid, whatever the calls take and do."""

import asyncio
import contextvars
import functools
import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest

from mainspring.concurrency import PeriodicCallback
from mainspring.errors import CallbackNotStartedError, CallbackRunningError, InvalidArgumentError
from mainspring.testing import VirtualClock

number = contextvars.ContextVar("number", default=0)


class Calls:
    """Notes when it was called; a call takes `seconds`."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.at: list[float] = []
        self.ended = 0
        self.cancelled = 0

    def sync(self) -> None:
        self.at.append(self.clock.monotonic())

    async def call(self) -> None:
        self.sync()
        try:
            if self.seconds:
                await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1


def kinds(calls: Calls) -> list[Callable[[], object]]:
    return [calls.call, calls.sync, lambda: asyncio.ensure_future(calls.call()), functools.partial(calls.call)]


@pytest.mark.parametrize("kind", range(4))
async def test_calls_lie_on_the_grid(virtual_clock: VirtualClock, kind: int) -> None:
    calls = Calls(virtual_clock)
    periodic = PeriodicCallback(kinds(calls)[kind])
    periodic.start(0.1, delay=10)
    await virtual_clock.advance(10.35)
    assert [10.0, 10.1, 10.2, 10.3] == calls.at
    await periodic.stop(return_exceptions=True)
    await virtual_clock.advance(1)
    assert 4 == len(calls.at)


async def test_the_time_that_calls_take_moves_nothing(virtual_clock: VirtualClock) -> None:
    """The original waits `interval` after each call, and drifts."""
    calls = Calls(virtual_clock, seconds=0.07)
    periodic = PeriodicCallback(calls.call)
    periodic.start(0.1)
    await virtual_clock.advance(1.05)
    periodic.stop().cancel()
    assert [round(n * 0.1, 6) for n in range(11)] == calls.at


async def test_a_call_as_long_as_the_interval_is_followed_at_once(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls(virtual_clock, seconds=1.0)
    periodic = PeriodicCallback(calls.call)
    periodic.start(1)
    await virtual_clock.advance(3.5)
    periodic.stop().cancel()
    assert [0.0, 1.0, 2.0, 3.0] == calls.at
    assert "" == caplog.text


async def test_calls_that_take_longer_make_others_fall_out_with_one_warning(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls(virtual_clock, seconds=2.5)
    periodic = PeriodicCallback(calls.call)
    with caplog.at_level(logging.DEBUG, logger="mainspring"):
        periodic.start(1)
        await virtual_clock.advance(9.5)
        periodic.stop().cancel()
    assert [0.0, 3.0, 6.0, 9.0] == calls.at
    levels = [record.levelname for record in caplog.records]
    assert ["WARNING", "DEBUG", "DEBUG"] == levels
    assert "falls out 2 times" in caplog.text


async def test_jitter_spreads_calls_but_not_the_grid(virtual_clock: VirtualClock) -> None:
    calls = Calls(virtual_clock)
    periodic = PeriodicCallback(calls.sync)
    periodic.start(10, jitter=2)
    await virtual_clock.advance(1000)
    periodic.stop().cancel()
    offsets = [at % 10 for at in calls.at]
    assert max(offsets) <= 2
    assert len(set(offsets)) > 50
    assert 100 == len(calls.at)


async def test_errors_are_logged_and_the_beat_goes_on(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[BaseException] = [ValueError("sync"), KeyError("listed error"), asyncio.CancelledError("own")]
    left = list(errors)
    at_once: list[BaseException] = [*(ValueError("at once") for _ in range(3)), asyncio.CancelledError("of a future")]
    at_once.append(ValueError("at once"))

    async def fail() -> None:
        if left:
            await asyncio.sleep(0)
            raise left.pop(0)

    def fail_at_once() -> None:
        raise at_once.pop()

    both = [PeriodicCallback(fail), PeriodicCallback(fail_at_once)]
    for one in both:
        one.start(1, suppress_exceptions=(KeyError,))
    await virtual_clock.advance(4.5)
    assert all("calls=5" in repr(one) for one in both)
    for one in both:
        one.stop().cancel()
    assert "listed error" not in caplog.text
    assert 1 == caplog.text.count("ValueError: sync")
    assert 4 == caplog.text.count("ValueError: at once")
    assert "asyncio.exceptions.CancelledError\n" in caplog.text
    assert "asyncio.exceptions.CancelledError: of a future" in caplog.text


async def test_stop_cancels_the_call_and_awaits_it(virtual_clock: VirtualClock) -> None:
    calls = Calls(virtual_clock, seconds=5)
    periodic = PeriodicCallback(calls.call)
    periodic.start(10)
    await virtual_clock.advance(1)
    assert "running" in repr(periodic)
    with pytest.raises(asyncio.CancelledError):
        await periodic.stop()
    assert 1 == calls.cancelled
    assert "stopped" in repr(periodic)
    with pytest.raises(CallbackNotStartedError, match="not started"):
        periodic.stop().cancel()


async def test_a_shielded_call_outlives_stop(virtual_clock: VirtualClock) -> None:
    calls = Calls(virtual_clock, seconds=5)
    periodic = PeriodicCallback(calls.call)
    periodic.start(10, shield=True)
    await virtual_clock.advance(1)
    assert isinstance(await periodic.stop(return_exceptions=True), asyncio.CancelledError)
    gc.collect()
    await virtual_clock.advance(20)
    assert (1, 0, 1) == (calls.ended, calls.cancelled, len(calls.at))


async def test_it_may_be_started_again_but_not_twice(virtual_clock: VirtualClock) -> None:
    calls = Calls(virtual_clock)
    periodic = PeriodicCallback(calls.sync)
    periodic.start(1, delay=1)
    with pytest.raises(asyncio.InvalidStateError, match="runs already"):
        periodic.start(1)
    assert issubclass(CallbackRunningError, RuntimeError)
    periodic.stop().cancel()
    periodic.start(1, delay=2)
    await virtual_clock.advance(3.5)
    assert [2.0, 3.0] == calls.at
    assert "waiting" in repr(periodic)
    periodic.stop().cancel()


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("suspends", [False, True])
async def test_a_call_may_stop_or_restart_its_own_callback(
    virtual_clock: VirtualClock, again: bool, suspends: bool
) -> None:
    at: list[float] = []

    async def call() -> None:
        if suspends:
            await asyncio.sleep(0)
        at.append(virtual_clock.monotonic())
        if len(at) < 3:
            periodic.stop().cancel()
            if again:
                periodic.start(1, delay=0.5)

    periodic = PeriodicCallback(call)
    periodic.start(1)
    await virtual_clock.advance(4)
    assert ([0.0, 0.5, 1.0, 2.0, 3.0, 4.0] if again else [0.0]) == at
    if again:
        periodic.stop().cancel()


async def test_a_plain_function_may_restart_its_own_callback(virtual_clock: VirtualClock) -> None:
    at: list[float] = []

    def call() -> None:
        at.append(virtual_clock.monotonic())
        periodic.stop().cancel()
        periodic.start(1, delay=1)

    periodic = PeriodicCallback(call)
    periodic.start(5)
    await virtual_clock.advance(3.5)
    periodic.stop().cancel()
    assert [0.0, 1.0, 2.0, 3.0] == at


async def test_calls_see_the_context_of_the_start_and_a_task(virtual_clock: VirtualClock) -> None:
    seen: list[int] = []
    tasks: list[Any] = []

    async def call() -> None:
        tasks.append(asyncio.current_task())
        async with asyncio.timeout(10):  # refuses to work outside of a task
            await asyncio.sleep(0)
        seen.append(number.get())

    number.set(7)
    periodic, plain = PeriodicCallback(call), PeriodicCallback(lambda: seen.append(number.get()))
    periodic.start(1)
    plain.start(1, delay=0.5)
    number.set(8)
    await virtual_clock.advance(0.7)
    periodic.stop().cancel()
    plain.stop().cancel()
    assert [7, 7] == seen
    assert tasks[0].get_name().endswith("call")


async def test_a_cancelled_call_ends_the_beat(virtual_clock: VirtualClock) -> None:
    """As at the end of a program, where every task is cancelled."""
    calls = Calls(virtual_clock, seconds=5)
    periodic = PeriodicCallback(calls.call)
    periodic.start(10)
    await virtual_clock.advance(1)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await virtual_clock.advance(60)
    assert (1, 1) == (len(calls.at), calls.cancelled)
    assert "stopped" in repr(periodic)


async def test_thousands_share_one_timer(virtual_clock: VirtualClock) -> None:
    calls = Calls(virtual_clock)
    periodics = [PeriodicCallback(calls.call) for _ in range(3000)]
    for n, periodic in enumerate(periodics):
        periodic.start(10, delay=n / 300)
    await virtual_clock.advance(30)
    loop: Any = virtual_clock.loop
    handles: list[asyncio.TimerHandle] = loop._scheduled
    assert 1 == sum(not handle.cancelled() for handle in handles)
    for periodic in periodics:
        periodic.stop().cancel()
    assert 9000 <= len(calls.at) <= 9001


def test_start_works_before_the_loop_runs() -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        called = asyncio.Event()
        first, second = PeriodicCallback(called.set), PeriodicCallback(called.clear)
        first.start(60, loop)
        second.start(60, loop)
        second.stop().cancel()
        second.start(60, loop)
        second.stop().cancel()
        runner.run(called.wait())
        first.stop().cancel()


async def test_a_call_that_does_not_suspend_is_done_within_its_turn(virtual_clock: VirtualClock) -> None:
    """Where tasks can start eagerly; before Python 3.12 it takes one turn more."""
    calls = Calls(virtual_clock)
    periodic = PeriodicCallback(calls.call)
    periodic.start(1)
    for _ in range(2 if hasattr(asyncio, "eager_task_factory") else 3):
        await asyncio.sleep(0)
    assert 1 == calls.ended
    periodic.stop().cancel()


async def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="a callable"):
        PeriodicCallback(None)  # type: ignore[arg-type]
    periodic = PeriodicCallback(int)
    for interval, delay, jitter in ((0, 0, 0), (float("nan"), 0, 0), (1, -1, 0), (1, 0, -1)):
        with pytest.raises(InvalidArgumentError):
            periodic.start(interval, delay=delay, jitter=jitter)
    assert "stopped" in repr(periodic)
