"""ForeverLoop: every runner again and again, in the order of their results."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mainspring.concurrency import ForeverLoop
from mainspring.errors import InvalidArgumentError, UnknownRunnerError
from mainspring.testing import VirtualClock, eventually


def sleeper(seconds: float, result: str) -> Callable[[], Coroutine[Any, Any, str]]:
    async def run() -> str:
        await asyncio.sleep(seconds)
        return result

    return run


async def test_results_come_in_the_order_in_which_they_are_ready(virtual_clock: VirtualClock) -> None:
    loop = ForeverLoop[str]()
    results: list[str] = []
    runs = loop.run_forever([sleeper(3, "slow"), sleeper(2, "quick")])
    async for task in runs:
        results.append(await task)
        if len(results) == 5:
            break
    await runs.aclose()
    assert ["quick", "slow", "quick", "slow", "quick"] == results
    assert 6.0 == virtual_clock.monotonic()


async def test_a_runner_waits_for_its_consumer(virtual_clock: VirtualClock) -> None:
    started: list[float] = []

    async def run() -> None:
        started.append(virtual_clock.monotonic())

    runs = ForeverLoop[None]().run_forever([run])
    _ = await anext(runs)
    await asyncio.sleep(10)
    assert [0.0] == started
    _ = await anext(runs)
    assert [0.0, 10.0] == started
    await runs.aclose()


async def test_no_runner_is_starved() -> None:
    """All are ready at once, always; the original took them in the order of a set."""
    loop = ForeverLoop[str]()
    counts: dict[str, int] = {}
    runs = loop.run_forever([sleeper(0, name) for name in "abc"])
    async for task in runs:
        name = await task
        counts[name] = counts.get(name, 0) + 1
        if sum(counts.values()) == 300:
            break
    await runs.aclose()
    assert {"a": 100, "b": 100, "c": 100} == counts


async def test_an_exception_surfaces_where_the_task_is_awaited() -> None:
    calls: list[int] = []

    async def fail() -> None:
        calls.append(1)
        raise KeyError

    runs = ForeverLoop[None]().run_forever([fail])
    for _ in range(2):
        with pytest.raises(KeyError):
            await (await anext(runs))
    await runs.aclose()
    assert 2 == len(calls)


async def test_a_runner_removed_inside_the_loop_is_not_restarted(virtual_clock: VirtualClock) -> None:
    loop = ForeverLoop[str]()
    other = loop.add_runner(sleeper(60, "other"))
    async for task in loop.run_forever([sleeper(1, "once")]):
        assert "once" == await task
        loop.remove_runner(task)
        loop.remove_runner_safe(task)
        loop.remove_runner(other)
    assert other.cancelled()
    assert 1.0 == virtual_clock.monotonic()


async def test_metas_belong_to_runners() -> None:
    loop = ForeverLoop[str]()
    loop.add_runners([(sleeper(0, "a"), 1), (sleeper(0, "b"), 2)])
    seen: list[tuple[str, int]] = []
    runs = loop.run_forever()
    async for task in runs:
        seen.append((await task, loop.meta_for_task(task)))
        if len(seen) == 4:
            break
    await runs.aclose()
    assert [("a", 1), ("b", 2)] * 2 == seen


async def test_a_runner_removed_after_it_has_finished_is_passed_over() -> None:
    loop = ForeverLoop[str]()
    first, second = loop.add_runner(sleeper(0, "first")), loop.add_runner(sleeper(0, "second"))
    await asyncio.wait([first, second])
    assert "finished=2" in repr(loop)
    loop.remove_runner(first)
    runs = loop.run_forever()
    assert "second" == await (await anext(runs))
    await runs.aclose()


async def test_a_runner_can_be_replaced_at_once() -> None:
    loop = ForeverLoop[str]()
    first = loop.add_runner(sleeper(0, "x"), meta="kept")
    second = loop.replace_runner(first)
    assert "kept" == loop.meta_for_task(second)
    with pytest.raises(UnknownRunnerError):
        loop.meta_for_task(first)
    with pytest.raises(KeyError):
        loop.remove_runner(first)
    loop.remove_runner_safe(first)
    loop.remove_runner(second)
    assert "runners=0" in repr(loop)


async def test_reset_and_get_all_once_take_what_has_finished() -> None:
    loop = ForeverLoop[str]()

    async def fail() -> str:
        raise KeyError

    loop.add_runners([(sleeper(0, "a"), None), (sleeper(60, "never"), None), (fail, None)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ["a"] == await loop.get_all_once()
    _ = loop.add_runner(sleeper(0, "b"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (finished,) = loop.reset()
    assert "b" == finished.result()
    assert [] == loop.reset()
    runs = loop.run_forever()
    waiting = asyncio.ensure_future(anext(runs))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        _ = await waiting


async def test_what_was_taken_at_once_is_not_kept() -> None:
    """Only `run_forever` would look for it, and it may never be called."""
    loop = ForeverLoop[str]()
    for _ in range(3):
        task = loop.add_runner(sleeper(0, "x"))
        await asyncio.wait([task])
        assert ["x"] == await loop.get_all_once()
        assert "runners=0 finished=0" in repr(loop)


async def test_a_dropped_generator_leaves_no_task() -> None:
    async def consume() -> None:
        async for _ in ForeverLoop[str]().run_forever([sleeper(60, "slow"), sleeper(0, "quick")]):
            break

    await consume()
    gc.collect()
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def test_the_error_of_a_removed_runner_is_nobodys() -> None:
    loop = ForeverLoop[None]()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise KeyError

    task = loop.add_runner(stubborn)
    await asyncio.sleep(0)
    loop.remove_runner(task)
    await asyncio.wait([task])


async def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        _ = await anext(ForeverLoop[None]().run_forever())
