"""Chapters 2.7, 2.8 and 2.9 of the aiomisc seed: time limits and retries, on virtual time."""

# The code of the seed stands as it is, without the types that a checker wants.
# mypy: disable-error-code="call-arg, no-redef, attr-defined, type-arg, arg-type, name-defined"

import asyncio
import errno

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import asyncbackoff, asyncretry, timeout
from mainspring.testing import VirtualClock


async def test_2_7_timeout(virtual_clock: VirtualClock) -> None:
    @timeout(1)
    async def bad_func():
        await asyncio.sleep(2)

    with pytest.raises(asyncio.TimeoutError):
        await bad_func()
    assert 1.0 == virtual_clock.monotonic()


async def test_2_8_positional_arguments(virtual_clock: VirtualClock) -> None:
    attempt_timeout = 0.1
    deadline = 1
    pause = 0.1

    @aiomisc.asyncbackoff(attempt_timeout, deadline, pause)
    async def db_fetch(): ...

    @aiomisc.asyncbackoff(0.1, 1, 0.1)
    async def db_save(data: dict): ...

    assert await db_fetch() is await db_save({}) is None

    @aiomisc.asyncbackoff(0.1, 1, 0.1, TypeError, RuntimeError, ValueError)
    async def db_fetch(data: dict): ...

    assert await db_fetch({}) is None


async def test_2_8_keyword_arguments(virtual_clock: VirtualClock) -> None:
    attempt_timeout = 0.1
    deadline = 1
    pause = 0.1

    @aiomisc.asyncbackoff(attempt_timeout=attempt_timeout, deadline=deadline, pause=pause)
    async def db_fetch(): ...

    @aiomisc.asyncbackoff(attempt_timeout=0.1, deadline=1, pause=0.1)
    async def db_save(data: dict): ...

    assert await db_fetch() is await db_save({}) is None

    @aiomisc.asyncbackoff(attempt_timeout=0.1, deadline=1, pause=0.1, exceptions=[TypeError, RuntimeError, ValueError])
    async def db_fetch(data: dict): ...

    assert await db_fetch({}) is None

    @aiomisc.asyncbackoff(
        attempt_timeout=0.5, deadline=1, pause=0.1, max_tries=3, exceptions=[TypeError, RuntimeError, ValueError]
    )
    async def db_fetch(data: dict): ...

    assert await db_fetch({}) is None

    @asyncbackoff(
        attempt_timeout=0.5, deadline=1, pause=0.1, exceptions=[OSError], giveup=lambda e: e.errno != errno.ECONNABORTED
    )
    async def db_fetch(data: dict): ...

    assert await db_fetch({}) is None


async def test_2_8_what_the_declarations_mean(virtual_clock: VirtualClock) -> None:
    calls = []

    @aiomisc.asyncbackoff(
        attempt_timeout=0.5, deadline=1, pause=0.1, max_tries=3, exceptions=[TypeError, RuntimeError, ValueError]
    )
    async def db_fetch(data: dict):
        calls.append(data)
        raise ValueError(len(calls))

    with pytest.raises(ValueError, match="3"):
        await db_fetch({})

    @asyncbackoff(
        attempt_timeout=0.5, deadline=1, pause=0.1, exceptions=[OSError], giveup=lambda e: e.errno != errno.ECONNABORTED
    )
    async def db_save(number: int):
        calls.append(number)
        raise OSError(number, "no")

    calls.clear()
    with pytest.raises(OSError, match="no"):
        await db_save(errno.ECONNREFUSED)
    assert 1 == len(calls)
    with pytest.raises(OSError, match="no"):
        await db_save(errno.ECONNABORTED)
    assert 10 < len(calls) <= 12


async def test_2_9_asyncretry(virtual_clock: VirtualClock) -> None:
    calls = []

    @asyncretry(5)
    async def try_download_file(url):
        calls.append(url)
        raise KeyError(url)

    @asyncretry(3, exceptions=(ConnectionError,))
    async def get_cluster_lock():
        calls.append("lock")
        raise ConnectionError

    with pytest.raises(KeyError):
        await try_download_file("a")
    with pytest.raises(ConnectionError):
        await get_cluster_lock()
    assert ["a"] * 5 + ["lock"] * 3 == calls
