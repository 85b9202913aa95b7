"""FromThreadChannel moves items from threads to a coroutine, bounded at both ends."""

import asyncio
import threading

import pytest

from mainspring.concurrency import FromThreadChannel, threaded_separate
from mainspring.errors import ChannelClosed, ChannelTimeout, InvalidArgumentError
from mainspring.testing import eventually


@threaded_separate
def fill(channel: FromThreadChannel[int], first: int, end: int) -> None:
    for n in range(first, end):
        channel.put(n)


async def test_items_of_several_threads_all_arrive() -> None:
    channel = FromThreadChannel[int](maxsize=3)
    filling = asyncio.gather(*(fill(channel, n, n + 500) for n in (0, 500, 1000)))
    assert list(range(1500)) == sorted([await channel for _ in range(1500)])
    await filling


async def test_put_blocks_until_there_is_any_room() -> None:
    channel = FromThreadChannel[int](maxsize=4)
    filling = fill(channel, 0, 5)
    await eventually(lambda: "waiting=4" in repr(channel))
    assert 0 == await channel.get()
    await filling
    assert "waiting=4" in repr(channel)


async def test_a_closed_channel_gives_what_it_has_and_then_says_so() -> None:
    with FromThreadChannel[int]() as channel:
        channel.put(1)
    assert channel.is_closed
    with pytest.raises(ChannelClosed):
        channel.put(2)
    assert 1 == await channel.get(timeout=5)
    with pytest.raises(ChannelClosed):
        await channel.get()


async def test_close_wakes_both_ends() -> None:
    full, empty = FromThreadChannel[int](maxsize=1), FromThreadChannel[int]()
    filling = fill(full, 0, 2)
    getting = asyncio.ensure_future(empty.get())
    await eventually(lambda: "waiting=1" in repr(full))
    threads = [threading.Thread(target=channel.close) for channel in (full, empty)]
    for thread in threads:
        thread.start()
    for ended in (filling, getting):
        with pytest.raises(ChannelClosed):
            await ended
    for thread in threads:
        thread.join()


async def test_both_ends_can_have_enough() -> None:
    channel = FromThreadChannel[int](maxsize=1, timeout=0.01)
    with pytest.raises(ChannelTimeout, match="put"):
        await fill(channel, 0, 2)
    assert 0 == await channel.get(timeout=5)
    with pytest.raises(TimeoutError, match="get"):
        await channel.get(timeout=0.01)


async def test_a_cancelled_get_takes_nothing() -> None:
    channel = FromThreadChannel[int]()
    first, second = asyncio.ensure_future(channel.get()), asyncio.ensure_future(channel.get())
    await asyncio.sleep(0)
    first.cancel()
    await fill(channel, 7, 8)
    assert 7 == await second


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="maxsize=-1"):
        _ = FromThreadChannel[int](maxsize=-1)
    with pytest.raises(InvalidArgumentError, match="timeout=-1"):
        _ = FromThreadChannel[int](timeout=-1)
