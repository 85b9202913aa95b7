"""Messages wait in order, within bounds, for one reader."""

import asyncio

import pytest

from mainspring.errors import ClosedError, MisuseError
from mainspring.transport._inbox import Inbox


def _inbox(calls: list[str], limit: int = 1000) -> Inbox[bytes]:
    return Inbox("the thing", pause=lambda: calls.append("pause"), resume=lambda: calls.append("resume"), limit=limit)


async def test_messages_come_in_order_and_before_the_error() -> None:
    inbox = _inbox([])
    inbox.put_many([b"a", b"b"])
    inbox.end(ClosedError(what="the thing"))
    inbox.end(ClosedError(what="another"))
    assert [b"a", b"b"] == [await inbox.get(), await inbox.get()]
    for _ in range(2):
        with pytest.raises(ClosedError, match="the thing"):
            await inbox.get()


async def test_its_owner_pauses_above_the_limit_and_resumes_below_half() -> None:
    calls: list[str] = []
    inbox = _inbox(calls)
    inbox.put_many([b"x" * 500])
    assert [] == calls
    inbox.put_many([b"x" * 500, b"x" * 200])
    inbox.put_many([b"y"])
    assert ["pause"] == calls
    assert inbox.is_paused
    await inbox.get()
    assert ["pause"] == calls
    await inbox.get()
    assert ["pause", "resume"] == calls


async def test_a_flood_of_empty_messages_is_bounded() -> None:
    calls: list[str] = []
    _inbox(calls, limit=640).put_many([b""] * 11)
    assert ["pause"] == calls


async def test_a_cancelled_reader_loses_nothing() -> None:
    inbox = _inbox([])
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_many([b"a"])
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert b"a" == await inbox.get()


async def test_two_readers_at_once_are_refused() -> None:
    inbox = _inbox([])
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    with pytest.raises(MisuseError, match="the thing is read by another task already"):
        await inbox.get()
    inbox.put_many([b"a"])
    assert b"a" == await reader


async def test_all_that_waits_can_be_taken_at_once() -> None:
    calls: list[str] = []
    inbox = _inbox(calls, limit=100)
    inbox.put_many([b"a", b"b" * 90])
    assert [b"a", b"b" * 90] == inbox.take_all()
    assert ["pause", "resume"] == calls
    assert [] == inbox.take_all()


async def test_what_nobody_read_can_be_forgotten() -> None:
    inbox = _inbox([])
    inbox.put_many([b"a"])
    inbox.clear()
    inbox.end(ClosedError(what="the thing"))
    assert 0 == inbox.unread_bytes
    with pytest.raises(ClosedError):
        await inbox.get()
