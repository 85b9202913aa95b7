"""A line uses one connection after the other, and gives up one that does not answer."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.dataflow.support_streams import Session

from mainspring.base import new_id
from mainspring.dataflow import JetStream, _nats_line
from mainspring.dataflow._nats_line import NatsLine, check_stream
from mainspring.dataflow.nats import NatsSession
from mainspring.testing import NatsServer, VirtualClock

STREAM = JetStream(stream="s")


@dataclass
class End:
    """An end that waits, or fails."""

    progress: int | None = None
    failure: Exception | None = None
    runs: int = 0

    async def run(self, session: Any) -> None:
        self.runs += 1
        if self.failure is not None:
            raise self.failure
        await asyncio.Event().wait()


def plant(monkeypatch: pytest.MonkeyPatch, sessions: list[Session]) -> None:
    line = iter(sessions)

    def make(stream: JetStream) -> Session:
        return next(line)

    monkeypatch.setattr(_nats_line, "NatsSession", make)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait in virtual time."""
    for _ in range(1000):
        if not is_so():
            await asyncio.sleep(0.05)
    assert is_so()


async def test_a_lost_connection_is_followed_by_the_next(
    virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = [Session(), Session(is_silent=True), Session()]
    plant(monkeypatch, sessions)
    end = End()
    line = NatsLine(STREAM, [end])
    keeping = asyncio.create_task(line.keep())
    await line.ready.wait()
    await asyncio.sleep(30)
    sessions[0].fail("the cable was cut")
    await until(lambda: 2 == end.runs)
    assert [False, False, True] == [one.is_open for one in sessions]
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert not any(one.is_open for one in sessions)
    assert ["the cable was cut", "away"] == [
        record.getMessage().split("cannot be used: ")[1].split(";")[0]
        for record in caplog.records
        if record.levelno == logging.WARNING
    ]


async def test_an_end_that_gets_no_further_gives_the_connection_up(
    virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [Session(), Session()]
    plant(monkeypatch, sessions)
    end = End(progress=1)
    keeping = asyncio.create_task(NatsLine(STREAM, [End(), end]).keep())
    await until(lambda: sessions[1].is_open)
    assert "it does not answer" == sessions[0].reason
    end.progress = None
    await asyncio.sleep(100)
    assert sessions[1].is_open
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_failure_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, [Session()])
    with pytest.raises(ZeroDivisionError):
        await NatsLine(STREAM, [End(failure=ZeroDivisionError())]).keep()


@pytest.mark.extras
async def test_messages_for_workers_that_are_no_more_are_told(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    stream = JetStream(stream=new_id(), url=nats_server.url)
    await check_stream(stream, width=4)
    session = NatsSession(stream)
    await session.open()
    await (await session.publish(stream.subject(0, 3), b"1", "1"))
    await (await session.publish(f"mainspring.{stream.stream}.from.elsewhere", b"1", "2"))
    await session.close()
    await check_stream(stream, width=4)
    assert "" == caplog.text
    await check_stream(stream, width=2)
    assert "1 messages of the stream" in caplog.text
    assert "beyond the stage's 2" in caplog.text
