"""mutil's bgtask and bgwork: what they promised."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from tests.meta.support_tree import SRC
from tests.unit.concurrency import support_tasks as tasks

from mainspring.base import current_clock
from mainspring.compat.mutil.bgtask import BGSchedule, BGTask, BGTasks, BGTasksAvailable
from mainspring.compat.mutil.bgwork import BackgroundProcessPool
from mainspring.compat.mutil.safeLoop import shutdown_exception_handler
from mainspring.testing import VirtualClock


class Runs:
    """Notes when it ran."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.at: list[float] = []

    async def run(self) -> int:
        self.at.append(self.clock.monotonic())
        return len(self.at)


async def test_the_delay_is_in_seconds(virtual_clock: VirtualClock) -> None:
    """The original took it as days."""
    runs = Runs(virtual_clock)
    task = BGTask("one", runs.run, BGSchedule(delay=5))
    assert 1 == await task
    assert [5.0] == runs.at
    assert task.done()
    assert "[one] created" in task.report()
    assert "runs=1" in repr(task)
    assert (1, 1) == (len(task.started), len(task.stopped))


async def test_it_repeats_with_pauses_until_stop(virtual_clock: VirtualClock) -> None:
    """In the original a stop in the future prevented running, and one in the past did not."""
    runs = Runs(virtual_clock)
    now = current_clock().now()
    stop = now + timedelta(seconds=10)
    await BGTask("many", runs.run, BGSchedule(start=now + timedelta(seconds=1), stop=stop, runtimes=99, pause=4))
    assert [1.0, 5.0, 9.0] == runs.at
    await BGTask("three", runs.run, BGSchedule(runtimes=3, pause=1))
    assert 6 == len(runs.at)
    past = (now - timedelta(seconds=1)).replace(tzinfo=None)
    assert await BGTask("never", runs.run, BGSchedule(stop=past)) is None
    assert 6 == len(runs.at)


async def test_an_error_ends_it(virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def fail() -> None:
        calls.append(1)
        raise KeyError("gone")

    with pytest.raises(KeyError):
        await BGTask("broken", fail, BGSchedule(runtimes=5))
    assert [1] == calls
    assert "[broken] failed" in caplog.text


async def test_a_coroutine_runs_once_and_is_closed_when_it_never_began(virtual_clock: VirtualClock) -> None:
    runs = Runs(virtual_clock)
    task = BGTask("one", runs.run(), BGSchedule(delay=60), meta="mine")
    assert "mine" == task.meta
    assert task.stop()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ValueError, match="repeated runs need a function"):
        _ = BGTask("two", runs.run(), BGSchedule(runtimes=2))


async def test_who_awaits_it_and_is_cancelled_stops_it(virtual_clock: VirtualClock) -> None:
    runs = Runs(virtual_clock)
    task = BGTask("one", runs.run, BGSchedule(runtimes=100, pause=1))
    waiting = asyncio.ensure_future(asyncio.wait_for(task, 2.5))
    with pytest.raises(TimeoutError):
        await waiting
    await virtual_clock.advance(10)
    assert ([0.0, 1.0, 2.0], True, False) == (runs.at, task.done(), task.stop())


async def test_a_run_that_is_stopped_is_cancelled_and_said(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ended: list[str] = []

    async def run() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned")

    task = BGTask("long", run)
    await virtual_clock.advance(1)
    assert task.stop()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["cleaned"] == ended
    assert "task [long] added" in caplog.text
    assert "task [long] cancelled" in caplog.text


async def test_an_owner_knows_its_tasks_until_they_are_done(virtual_clock: VirtualClock) -> None:
    runs, ended = Runs(virtual_clock), list[BGTask]()
    owner = BGTasks("owner", ended.append)
    first = owner.create("a", runs.run, BGSchedule(delay=1))
    await virtual_clock.advance(0.5)
    second = owner.create("b", runs.run, BGSchedule(delay=60))
    third = owner.create("b", runs.run, BGSchedule(delay=60))
    assert [first, second, third] == list(owner)
    assert 3 == len(owner)
    assert 3 == len(owner.report())
    assert "tasks=3" in repr(owner)
    assert owner.stop(second)
    assert second in owner.tasks.values()
    await virtual_clock.advance(1)
    assert [third] == list(owner)
    assert {third} == owner.cancel("b")
    await virtual_clock.advance(1)
    assert {first, second, third} == set(ended)
    fourth = owner.create("c", runs.run, BGSchedule(delay=60))
    assert not owner.stopId(99)
    assert owner.stopId(3)
    fifth = owner.create("d", runs.run, BGSchedule(delay=60))
    owner.cleanup()
    await virtual_clock.advance(1)
    assert [True, True] == [fourth.done(), fifth.done()]
    assert [1.0] == runs.at


def test_background_work_is_done_at_the_end_of_the_block(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trace = tmp_path / "trace"
    with caplog.at_level(logging.ERROR), BackgroundProcessPool(tasks.note, max_workers=1) as submit:
        for mark in "abc":
            submit((str(trace), mark))
        submit((1, 2, 3))
    assert "abc" == "".join(sorted(trace.read_text().split()))
    assert "a background call failed" in caplog.text
    with BackgroundProcessPool(None, cpu_multiple=0.5) as submit:
        submit(("nothing", "happens"))


async def test_errors_at_the_end_are_told_but_for_cancellations(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    shutdown_exception_handler(loop, {"message": "one", "exception": asyncio.CancelledError()})
    shutdown_exception_handler(loop, {"message": "two", "exception": KeyError()})
    assert "one" not in caplog.text
    assert "two" in caplog.text


def test_the_stub_can_be_imported() -> None:
    assert isinstance(BGTasksAvailable(), BGTasksAvailable)


FAILING = """
from mainspring.compat.mutil.safeLoop import safeLoop

async def fail():
    raise LookupError("told at once")

safeLoop([fail], customloop=None)
"""


def test_safe_loop_tells_of_a_failure_when_it_happens() -> None:
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", FAILING]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stderr is not None
            assert any("LookupError: told at once" in line for line in program.stderr)
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=50)
        finally:
            program.kill()
    assert 0 == program.returncode
