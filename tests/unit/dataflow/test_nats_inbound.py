"""What a stream brings: in order, each once while its worker lives, and said to be done when it is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.dataflow.support_streams import Session, delivery, status

from mainspring.dataflow import _nats_inbound
from mainspring.dataflow._nats_inbound import NatsInbound
from mainspring.errors import EdgeUnavailableError
from mainspring.testing import eventually


@asynccontextmanager
async def running(inbound: NatsInbound, session: Any) -> AsyncGenerator["asyncio.Task[None]"]:
    task = asyncio.create_task(inbound.run(session))
    try:
        await eventually(lambda: session.deliver is not None)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def make(*, most: int = 10, repeats: bool = True) -> NatsInbound:
    return NatsInbound(receiver=0, most=most, repeats=repeats)


async def give(session: Session, *messages: Any) -> None:
    assert session.deliver is not None
    for message in messages:
        await session.deliver(message)


async def test_messages_are_said_to_be_done_in_order() -> None:
    inbound, session = make(), Session()
    async with running(inbound, session):
        await give(session, delivery(4, 1), delivery(9, 2))
        assert [b"4", b"9"] == await inbound.take()
        first, second = inbound.ledger.open(), inbound.ledger.open()
        second.release()
        first.release()
        await eventually(lambda: session.said == ["4/1", "9/2"])


async def test_no_more_are_asked_for_than_may_be_here() -> None:
    inbound, session = make(most=4), Session()
    async with running(inbound, session):
        await eventually(lambda: session.asked == [4])
        await give(session, *(delivery(number, number) for number in (1, 2, 3, 4)))
        tokens = [inbound.ledger.open() for _ in await inbound.take()]
        tokens[0].release()
        await eventually(lambda: session.said == ["1/1"])
        assert [4] == session.asked
        tokens[1].release()
        await eventually(lambda: session.asked == [4, 2])


async def test_on_the_next_connection_nothing_comes_twice() -> None:
    inbound, session = make(), Session()
    async with running(inbound, session):
        await give(session, delivery(1, 1), delivery(2, 2), delivery(3, 3))
        tokens = [inbound.ledger.open() for _ in await inbound.take()]
    tokens[0].release()
    session = Session()
    async with running(inbound, session):
        await give(session, delivery(1, 1), delivery(2, 2), delivery(3, 3), delivery(4, 4))
        assert [b"4"] == await inbound.take()
        tokens[1].release()
        await eventually(lambda: session.said == ["1/1", "2/2"])


@pytest.mark.parametrize("facts", [{"made_at": "later"}, {"last_number": 2}])
async def test_the_numbers_of_another_stream_begin_again(facts: dict[str, Any]) -> None:
    inbound, session, other = make(), Session(), Session(**facts)
    async with running(inbound, session):
        await give(session, delivery(2, 1), delivery(3, 2))
        tokens = [inbound.ledger.open() for _ in await inbound.take()]
    async with running(inbound, other):
        await give(other, delivery(1, 1), delivery(2, 2), delivery(3, 3))
        assert [b"1", b"2", b"3"] == await inbound.take()
        tokens += [inbound.ledger.open() for _ in range(3)]
        for token in tokens:
            token.release()
        await eventually(lambda: other.said == ["1/1", "2/2", "3/3"])


async def test_a_gap_ends_the_connection() -> None:
    inbound, session = make(), Session()
    async with running(inbound, session):
        await give(session, delivery(1, 1), delivery(3, 3), delivery(4, 4))
        assert [b"1"] == await inbound.take()
    assert "a message was lost on its way here" == session.reason


async def test_at_most_once_hands_over_what_the_server_knows_to_be_done() -> None:
    inbound, session = make(repeats=False), Session()
    async with running(inbound, session):
        taking = asyncio.create_task(inbound.take())
        await give(session, delivery(1, 1))
        await eventually(lambda: session.said == ["1/1"])
        assert not taking.done()
        session.has_heard.set()
        assert [b"1"] == await taking
        await give(session, delivery(1, 2))
        inbound.ledger.open().release()
        await eventually(lambda: session.said == ["1/1", "1/2"])


async def test_at_most_once_takes_again_what_the_server_has_not_heard_of() -> None:
    inbound, session = make(repeats=False), Session()
    async with running(inbound, session):
        await give(session, delivery(1, 1), delivery(2, 2))
        await eventually(lambda: session.said == ["1/1", "2/2"])
    session = Session()
    session.has_heard.set()
    async with running(inbound, session):
        await give(session, delivery(2, 1))
        assert [b"2"] == await inbound.take()


async def test_at_most_once_hands_over_at_the_end_what_was_acknowledged() -> None:
    inbound, session = make(repeats=False), Session()
    async with running(inbound, session):
        await give(session, delivery(1, 1))
        await eventually(lambda: session.said == ["1/1"])
        await give(session, delivery(2, 2))  # while the server is told of the first
        await inbound.finish(drains=False)
        taking = asyncio.create_task(inbound.take())
        await asyncio.sleep(0)
        session.has_heard.set()
        got = await taking
        while more := await inbound.take():
            got += more
        assert [b"1", b"2"] == got


async def test_at_most_once_waits_for_nothing_without_a_connection() -> None:
    inbound, session = make(repeats=False), Session()
    async with running(inbound, session):
        await give(session, delivery(1, 1))
        await inbound.finish(drains=False)
        taking = asyncio.create_task(inbound.take())
        await asyncio.sleep(0)
    assert [] == await taking


async def test_the_end_of_a_request_makes_the_next_one_and_trouble_ends_the_connection() -> None:
    inbound, session = make(), Session()
    async with running(inbound, session):
        await eventually(lambda: session.asked == [10])
        await give(session, status("408", "Request Timeout"))
        await eventually(lambda: session.asked == [10, 10])
        await give(session, status("409", "Consumer Deleted"))
    assert "status 409 Consumer Deleted" == session.reason


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_nats_inbound, "_PULL_SECONDS", 0.0)
    monkeypatch.setattr(_nats_inbound, "_PULL_GRACE", 0.01)
    inbound, session = make(), Session()
    async with running(inbound, session) as task:
        await asyncio.wait([task])
        with pytest.raises(EdgeUnavailableError, match="it does not answer"):
            task.result()


async def test_draining_ends_when_nothing_is_left_anywhere() -> None:
    inbound, session = make(), Session(unfinished=1)
    async with running(inbound, session):
        await give(session, delivery(1, 1))
        finishing = asyncio.create_task(inbound.finish(drains=True))
        assert [b"1"] == await inbound.take()
        token = inbound.ledger.open()
        session.is_silent = True
        token.release()
        await eventually(lambda: session.said == ["1/1"])
        assert not finishing.done()
        session.is_silent, session.unfinished = False, 0
        await finishing
        assert [] == await inbound.take()


async def test_without_draining_what_comes_later_stays_in_the_stream() -> None:
    inbound, session = make(), Session()
    async with running(inbound, session):
        await give(session, delivery(1, 1))
        await inbound.finish(drains=False)
        await give(session, delivery(2, 2))
        assert [b"1"] == await inbound.take()
        inbound.ledger.open().release()
        assert [] == await inbound.take()
        await inbound.settle()
        assert ["1/1 and wait"] == session.said
    await inbound.settle()


async def test_what_comes_after_the_connection_is_not_taken() -> None:
    inbound, session = make(), Session()
    async with running(inbound, session):
        pass
    await give(session, delivery(1, 1))
    await inbound.finish(drains=False)
    assert [] == await inbound.take()
