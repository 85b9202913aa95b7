"""Calls are counted while they run, and a caller that may not wait any longer takes them with it."""

import asyncio

import pytest

from mainspring.services._running_calls import RunningCalls


async def test_shielded_calls_go_on_when_the_others_are_cancelled() -> None:
    calls = RunningCalls()
    gate = asyncio.Event()
    ended: list[str] = []

    async def work(name: str) -> None:
        await gate.wait()
        ended.append(name)

    shielded = asyncio.create_task(calls.watch(lambda: work("shielded"), shield=True)())
    other = asyncio.create_task(calls.watch(lambda: work("other"))())
    await asyncio.sleep(0)
    assert 2 == len(calls)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await calls.finish()
    gate.set()
    await calls.finish()
    assert ["shielded"] == ended
    assert other.cancelled()
    await shielded
    assert 0 == len(calls)
