"""TaskManager: tasks come and go, and what a failure means is a choice."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from typing import Any  # Any: what coroutines send and receive

import pytest

from mainspring.base import Backoff
from mainspring.concurrency import TaskManager
from mainspring.errors import InvalidArgumentError, MisuseError, TaskManagerClosedError
from mainspring.testing import VirtualClock

number = contextvars.ContextVar("number", default=0)


async def fail(error: Exception) -> None:
    raise error


async def test_run_returns_when_the_last_task_ends(virtual_clock: VirtualClock) -> None:
    """The original returned up to 3 s later."""
    manager = TaskManager()
    manager.add_task(asyncio.sleep(2), name="one")
    manager.add_task(asyncio.sleep(3), name="two")
    assert {} == manager.tasks
    assert "new tasks=2" in repr(manager)
    await manager.run()
    assert 3.0 == virtual_clock.monotonic()
    assert "closed tasks=0" in repr(manager)


async def test_a_manager_without_tasks_is_done_at_once() -> None:
    await TaskManager().run()


async def test_tasks_added_while_it_runs_start_at_once(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    manager.add_task(asyncio.sleep(5))
    running = asyncio.ensure_future(manager.run())
    await virtual_clock.advance(1)
    manager.add_task(asyncio.sleep(10), name="late")
    assert {"task-1", "late"} == manager.tasks.keys()
    await running
    assert 11.0 == virtual_clock.monotonic()


async def test_a_task_added_by_the_last_one_is_run(virtual_clock: VirtualClock) -> None:
    """The original lost it."""
    manager = TaskManager()

    async def work(left: int) -> None:
        await asyncio.sleep(1)
        if left:
            manager.add_task(work(left - 1))

    manager.add_task(work(3))
    await manager.run()
    assert 4.0 == virtual_clock.monotonic()


async def test_a_task_is_removed_by_name_or_as_it_is(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    manager = TaskManager()
    for name in ("one", "two", "three"):
        manager.add_task(asyncio.sleep(9), name=name)
    with caplog.at_level(logging.INFO, logger="mainspring"):
        manager.del_task("three")
        running = asyncio.ensure_future(manager.run())
        await virtual_clock.advance(1)
        manager.del_task("one")
        manager.del_task(manager.tasks["two"])
        manager.del_task("nobody")
        manager.del_task(asyncio.ensure_future(asyncio.sleep(0)))
        await running
    assert 1.0 == virtual_clock.monotonic()
    assert "task three cancelled before it began" in caplog.text
    assert "task one cancelled" in caplog.text


async def test_the_first_failure_ends_all(virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    manager = TaskManager()
    manager.add_task(fail(KeyError("gone")), name="broken")
    manager.add_task(asyncio.sleep(9))
    with pytest.raises(ExceptionGroup) as caught:
        await manager.run()
    assert [KeyError] == [type(error) for error in caught.value.exceptions]
    assert "task broken failed" in caplog.text
    assert 0.0 == virtual_clock.monotonic()


async def test_an_isolated_failure_is_logged_only(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    manager = TaskManager()
    manager.add_task(fail(KeyError("gone")), policy="isolate")
    manager.add_task(asyncio.sleep(9))
    await manager.run()
    assert 9.0 == virtual_clock.monotonic()
    assert "KeyError" in caplog.text


async def test_a_backoff_starts_it_again(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    at: list[float] = []

    async def flaky() -> None:
        at.append(virtual_clock.monotonic())
        if len(at) < 4:
            raise OSError

    manager.add_task(flaky, policy=Backoff(1.0, factor=2.0, maximum=10.0))
    await manager.run()
    assert [0.0, 1.0, 3.0, 7.0] == at


async def test_a_backoff_that_ends_ends_all(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    manager.add_task(lambda: fail(OSError()), policy=Backoff(1.0, max_tries=3))
    manager.add_task(asyncio.sleep(60))
    with pytest.raises(ExceptionGroup):
        await manager.run()
    assert 3.0 == virtual_clock.monotonic()


async def test_a_long_run_begins_the_backoff_afresh(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    at: list[float] = []

    async def flaky() -> None:
        at.append(virtual_clock.monotonic())
        await asyncio.sleep(20)
        if len(at) < 3:
            raise OSError

    manager.add_task(flaky, policy=Backoff(1.0, maximum=10.0, max_tries=2))
    await manager.run()
    assert [0.0, 21.0, 42.0] == at


async def test_a_task_that_waits_for_its_restart_can_be_removed(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    manager.add_task(lambda: fail(OSError()), name="flaky", policy=Backoff(60.0, maximum=60.0))
    running = asyncio.ensure_future(manager.run())
    await virtual_clock.advance(1)
    assert {} == manager.tasks
    manager.del_task("flaky")
    await running
    assert 1.0 == virtual_clock.monotonic()


async def test_a_removed_task_that_fails_is_not_restarted(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError

    manager.add_task(stubborn, name="stubborn", policy=Backoff(1.0))
    running = asyncio.ensure_future(manager.run())
    await virtual_clock.advance(1)
    manager.del_task("stubborn")
    with pytest.raises(ExceptionGroup):
        await running
    assert 1.0 == virtual_clock.monotonic()


async def test_a_taken_name_gets_a_suffix(caplog: pytest.LogCaptureFixture) -> None:
    manager = TaskManager()
    assert ["ws", "ws-2", "ws-3"] == [manager.add_task(asyncio.sleep(0), name="ws") for _ in range(3)]
    assert "a task ws runs already, this one is called ws-2" in caplog.text
    await manager.run()


async def test_close_cancels_all_and_run_returns(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    cleaned: list[int] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(1)
            cleaned.append(1)

    manager.add_task(work())
    running = asyncio.ensure_future(manager.run())
    await virtual_clock.advance(1)
    await manager.close()
    await running
    assert [1] == cleaned
    assert 2.0 == virtual_clock.monotonic()
    await manager.close()


async def test_a_cancelled_run_cancels_its_tasks(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    manager.add_task(asyncio.sleep(60))
    running = asyncio.ensure_future(manager.run())
    await virtual_clock.advance(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert {} == manager.tasks
    assert "closed tasks=0" in repr(manager)


async def test_after_its_end_it_takes_nothing() -> None:
    manager = TaskManager()
    await manager.run()
    with pytest.raises(TaskManagerClosedError, match="should start late is closed"):
        manager.add_task(asyncio.sleep(0), name="late")
    with pytest.raises(MisuseError, match="runs once"):
        await manager.run()
    unused = TaskManager()
    unused.add_task(asyncio.sleep(0))
    await unused.close()
    with pytest.raises(RuntimeError):
        unused.add_task(lambda: asyncio.sleep(0))


async def test_tasks_see_the_context_of_the_place_they_were_added_at() -> None:
    manager = TaskManager()
    seen: list[int] = []

    async def look() -> None:
        seen.append(number.get())

    for n in (1, 2):
        number.set(n)
        manager.add_task(look)
    await manager.run()
    assert [1, 2] == seen


async def test_what_cannot_run_is_refused() -> None:
    manager = TaskManager()
    with pytest.raises(InvalidArgumentError, match="a coroutine or a coroutine function"):
        manager.add_task(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="runs only once"):
        manager.add_task(asyncio.sleep(0), policy=Backoff())


def refuse() -> Coroutine[Any, Any, None]:
    raise LookupError("no work here")


async def test_a_function_that_raises_is_a_failed_task(virtual_clock: VirtualClock) -> None:
    """run() raised it bare, and the sibling went on."""
    manager = TaskManager()
    manager.add_task(asyncio.sleep(60), name="sibling")
    manager.add_task(refuse)
    with pytest.raises(ExceptionGroup) as caught:
        await manager.run()
    assert [LookupError] == [type(error) for error in caught.value.exceptions]
    assert {} == manager.tasks
    assert 0.0 == virtual_clock.monotonic()


async def test_a_function_without_a_coroutine_fails_while_the_manager_runs(virtual_clock: VirtualClock) -> None:
    """run() never returned."""
    manager = TaskManager()
    manager.add_task(asyncio.sleep(60))
    running = asyncio.ensure_future(manager.run())
    await virtual_clock.advance(1)
    manager.add_task(lambda: 5)  # type: ignore[arg-type, return-value]
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert "a function that returns a coroutine" in str(caught.value.exceptions[0])


async def test_an_isolated_function_that_raises_leaves_the_others_alone(virtual_clock: VirtualClock) -> None:
    manager = TaskManager()
    manager.add_task(asyncio.sleep(3))
    manager.add_task(refuse, policy="isolate")
    await manager.run()
    assert 3.0 == virtual_clock.monotonic()


async def test_a_function_that_raises_when_started_again_is_started_once_more(virtual_clock: VirtualClock) -> None:
    """It raised inside a timer of the loop, and run() never returned."""
    manager = TaskManager()
    starts: list[float] = []

    def work() -> Coroutine[Any, Any, None]:
        starts.append(virtual_clock.monotonic())
        return fail(LookupError("first")) if len(starts) == 1 else refuse()

    manager.add_task(work, policy=Backoff(1.0, factor=1.0, max_tries=3))
    with pytest.raises(ExceptionGroup, match="failed"):
        await manager.run()
    assert [0.0, 1.0, 2.0] == starts


async def test_a_refused_task_leaves_nothing(virtual_clock: VirtualClock) -> None:
    """A task added from another thread is refused; run() never returned after that."""
    manager = TaskManager()
    manager.add_task(asyncio.sleep(3))
    running = asyncio.ensure_future(manager.run())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="no running event loop"):
        await asyncio.to_thread(manager.add_task, asyncio.sleep(0))
    assert "tasks=1" in repr(manager)
    await running


async def test_thousands_start_and_stop(mainspring_count: Callable[[int, int], int]) -> None:
    manager = TaskManager()
    names = [manager.add_task(asyncio.Event().wait()) for _ in range(mainspring_count(2000, 10_000))]
    running = asyncio.ensure_future(manager.run())
    await asyncio.sleep(0)
    assert len(names) == len(manager.tasks)
    for name in names:
        manager.del_task(name)
    await running
