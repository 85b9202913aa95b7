"""What is written to a stream: in order, acknowledged once it is stored, sent again under the same id."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.dataflow.support_streams import Session

from mainspring.dataflow import Edge, JetStream, Outbound
from mainspring.dataflow._nats_sender import NatsSender
from mainspring.errors import FrameTooLargeError
from mainspring.testing import eventually

STREAM = JetStream(stream="s", max_stored=3)


@asynccontextmanager
async def running(sender: NatsSender, session: Any) -> AsyncGenerator[None]:
    task = asyncio.create_task(sender.run(session))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def make(*, redelivers: bool = True, stream: JetStream = STREAM) -> tuple[Outbound, NatsSender]:
    outbound = Outbound(edge=Edge(max_in_flight=100), redelivers=redelivers)
    return outbound, NatsSender(outbound, stream, sender=1, receiver=2)


async def test_what_is_stored_is_acknowledged_in_order() -> None:
    outbound, sender = make()
    session = Session()
    async with running(sender, session):
        before = sender.progress
        assert before is None
        outbound.send("a")
        outbound.send("b")
        await eventually(lambda: len(session.answers) == 2)
        assert [("mainspring.s.1.2", b'"a"'), ("mainspring.s.1.2", b'"b"')] == [one[:2] for one in session.published]
        session.answers[1].set_result(None)
        await asyncio.sleep(0)
        assert 2 == outbound.load
        assert 0 == sender.progress
        session.answers[0].set_result(None)
        await eventually(lambda: outbound.load == 0)
    assert not outbound.is_attached


async def test_on_the_next_connection_what_was_not_stored_has_the_same_id() -> None:
    outbound, sender = make()
    session = Session()
    async with running(sender, session):
        for word in "abc":
            outbound.send(word)
        await eventually(lambda: len(session.answers) == 3)
        session.answers[0].set_result(None)
        await eventually(lambda: outbound.load == 2)
    for late in session.answers[1:]:  # of a connection that is over
        late.set_result(None)
    first, session = session, Session()
    async with running(sender, session):
        await eventually(lambda: len(session.published) == 2)
        assert first.published[1:] == session.published
        assert 2 == outbound.redelivered_count


async def test_at_most_once_sends_nothing_twice_and_uses_no_id_twice() -> None:
    outbound, sender = make(redelivers=False)
    session = Session()
    async with running(sender, session):
        outbound.send("a")
        await eventually(lambda: len(session.answers) == 1)
        session.answers[0].cancel()
    first, session = session, Session()
    async with running(sender, session):
        outbound.send("b")
        await eventually(lambda: len(session.answers) == 1)
    assert 1 == outbound.lost_count - 1
    assert first.published[0][2] != session.published[0][2]


async def test_a_stream_that_holds_enough_is_waited_for() -> None:
    outbound, sender = make()
    session = Session(stored=3)
    async with running(sender, session):
        for number in range(5):
            outbound.send(number)
        await eventually(lambda: session.looks > 2)
        assert [] == session.published
        session.stored = 1
        await eventually(lambda: len(session.published) == 2)
        for answer in session.answers:
            answer.set_result(None)
        session.stored = 0
        await eventually(lambda: len(session.published) == 5)


async def test_a_message_that_is_refused_ends_the_connection() -> None:
    outbound, sender = make()
    session = Session()
    async with running(sender, session):
        outbound.send("a")
        await eventually(lambda: len(session.answers) == 1)
        session.answers[0].set_exception(ConnectionError("no room"))
        await eventually(session.lost.is_set)
    assert "ConnectionError: no room" == session.reason


async def test_what_a_server_takes_no_longer_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    outbound, sender = make()
    async with running(sender, Session()):
        outbound.send("x" * 20)
        outbound.send("y")
    session = Session(max_bytes=10)
    async with running(sender, session):
        await eventually(lambda: len(session.published) == 1)
        assert b'"y"' == session.published[0][1]
    assert (1, 1) == (outbound.dropped_count, outbound.load)
    assert "a message of 22 bytes is dropped: the NATS server takes 10" in caplog.text


async def test_what_the_server_does_not_take_is_refused_to_who_sends_it() -> None:
    outbound, sender = make()
    async with running(sender, Session(max_bytes=10)):
        with pytest.raises(FrameTooLargeError):
            outbound.send("x" * 20)
