"""cancel_tasks, awaitable, shield and chunk_list."""

import asyncio
from typing import Any

import pytest

from mainspring.concurrency import awaitable, cancel_tasks, chunk_list, shield
from mainspring.errors import InvalidArgumentError, NotCoroutineFunctionError
from mainspring.testing import eventually


async def stubborn() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("no")


async def test_tasks_and_bare_futures_are_cancelled_and_awaited() -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[int] = loop.create_future()
    done.set_result(1)
    futures: list[asyncio.Future[Any]] = [asyncio.create_task(asyncio.sleep(60)), loop.create_future(), done]
    cancelling = cancel_tasks(futures)
    assert isinstance(cancelling, asyncio.Task)
    await cancelling
    assert [True, True, False] == [future.cancelled() for future in futures]
    await cancel_tasks([])


async def test_an_error_instead_of_the_cancellation_is_told_to_the_loop() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancel_tasks([task])
    assert isinstance(told[0]["exception"], ValueError)


async def test_awaitable_returns_what_can_be_awaited_as_it_is() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result(3)
    given: Any = future
    assert given is awaitable(lambda: given)()
    assert 45 == await awaitable(lambda: 45)()
    assert "x" == await awaitable(asyncio.sleep)(0, "x")
    assert asyncio.sleep is awaitable(asyncio.sleep)


async def test_a_shielded_call_goes_on_when_its_caller_is_cancelled() -> None:
    gate, ended = asyncio.Event(), asyncio.Event()

    @shield
    async def work(value: int) -> int:
        await gate.wait()
        ended.set()
        return value

    first, second = asyncio.ensure_future(work(1)), asyncio.ensure_future(work(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not ended.is_set()
    gate.set()
    assert 2 == await second
    await eventually(ended.is_set)


def test_only_coroutine_functions_can_be_shielded() -> None:
    with pytest.raises(NotCoroutineFunctionError):
        shield(len)  # type: ignore[arg-type]


def test_chunks_are_as_long_as_asked_for() -> None:
    assert [[0, 1, 2], [3, 4, 5], [6]] == list(chunk_list(iter(range(7)), 3))
    empty: list[int] = []
    assert [] == list(chunk_list(empty, 3))
    with pytest.raises(InvalidArgumentError, match="size=0"):
        chunk_list(empty, 0)
