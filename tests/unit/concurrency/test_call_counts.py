"""Callbacks that are called again and again count their calls, by the name of their function."""

import asyncio
import gc
from collections.abc import Callable

import pytest

from mainspring.base import get_statistics
from mainspring.concurrency import CronCallback, PeriodicCallback, RecurringCallback, RecurringCallbackStatistic
from mainspring.testing import VirtualClock


def counts(name: str) -> dict[str, int | float]:
    return {each.metric: each.value for each in get_statistics(RecurringCallbackStatistic) if each.name == name}


class Work:
    """Fails with its second call and is cancelled from within with the third; each takes a second."""

    def __init__(self, name: str) -> None:
        self.__qualname__ = name
        self.number = 0

    async def __call__(self) -> None:
        self.number += 1
        await asyncio.sleep(1)
        if self.number == 2:
            raise OSError("down")
        if self.number == 3:
            raise asyncio.CancelledError


@pytest.mark.parametrize("kind", ["periodic", "cron", "recurring"])
async def test_calls_are_counted_by_how_they_end(kind: str, virtual_clock: VirtualClock) -> None:
    work = Work(f"work of {kind}")
    stop: Callable[[], object]
    if kind == "recurring":
        stop = RecurringCallback(work, name=work.__qualname__).start(lambda _: 10.0).cancel
    elif kind == "cron":
        cron = CronCallback(work)
        cron.start("* * * * *")
        stop = cron.stop
    else:
        periodic = PeriodicCallback(work)
        periodic.start(10)
        stop = periodic.stop
    while counts(work.__qualname__)["fail"] < 2:  # noqa: ASYNC110  # virtual time
        await asyncio.sleep(1)
    stop()
    await asyncio.sleep(0)
    assert {"call_count": 3, "done": 1, "fail": 2, "sum_time": pytest.approx(3.0)} == counts(work.__qualname__)


async def test_a_plain_function_is_counted_and_callbacks_of_one_name_together(virtual_clock: VirtualClock) -> None:
    calls: list[int] = []

    def tick() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise OSError("down")

    tick.__qualname__ = "plain ticks"
    both = [PeriodicCallback(tick), PeriodicCallback(tick)]
    for one in both:
        one.start(1)
    await asyncio.sleep(1.5)
    assert {"call_count": 4, "done": 3, "fail": 1, "sum_time": 0.0} == counts("plain ticks")
    for one in both:
        await one.stop(return_exceptions=True)


async def test_counts_go_with_the_last_callback_of_their_name() -> None:
    callback = RecurringCallback(print, name="gone soon")
    assert "call_count" in counts("gone soon")
    del callback
    gc.collect()
    assert {} == counts("gone soon")
