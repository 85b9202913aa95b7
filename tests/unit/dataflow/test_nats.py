"""A connection to a NATS server says clearly why it cannot be used, and stores a message once."""

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from mainspring.base import new_id
from mainspring.dataflow import Dataflow, Edge, JetStream, Process, Runner, nats
from mainspring.dataflow.nats import NatsSession
from mainspring.errors import EdgeUnavailableError, MissingExtraError
from mainspring.testing import NatsServer, eventually

pytestmark = pytest.mark.extras


def stream_on(server: NatsServer) -> JetStream:
    return JetStream(stream=new_id(), url=server.url)


async def test_a_server_that_is_away_is_named_without_its_password(unused_port: int) -> None:
    session = NatsSession(JetStream(stream="numbers", url=f"nats://me:secret@127.0.0.1:{unused_port}"))
    with pytest.raises(
        EdgeUnavailableError, match=f"'numbers' of the NATS server at nats://127.0.0.1:{unused_port} "
    ) as e:
        await session.open()
    await session.close()
    assert "secret" not in str(e.value)
    assert "nats-server -js" in (e.value.hint or "")


async def test_without_the_extra_a_dataflow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def source(p: Process) -> list[int]:
        return [1]

    def take(p: Process, numbers: list[int]) -> None: ...

    monkeypatch.setitem(sys.modules, "nats", None)
    stages = [Runner(source), Runner(take, edge=Edge(via=JetStream(stream="a")))]
    with pytest.raises(MissingExtraError, match=r"mainspring\[nats\]"):
        await Dataflow("f", stages).run()


async def test_a_server_that_does_not_let_us_in_is_an_error(tmp_path: Path) -> None:
    with NatsServer(tmp_path, "--user", "me", "--pass", "secret") as server:
        with pytest.raises(EdgeUnavailableError, match="cannot be used"):
            await NatsSession(stream_on(server)).open()
        inside = NatsSession(JetStream(stream="a", url=server.url.replace("://", "://me:secret@")))
        await inside.open()
        await inside.close()


async def test_a_stream_of_somebody_else_is_left_alone(nats_server: NatsServer) -> None:
    stream = stream_on(nats_server)
    session = NatsSession(stream)
    await session.open()
    await session._jetstream.add_stream(name=f"{stream.stream}-theirs", subjects=["their.orders"])
    theirs = NatsSession(JetStream(stream=f"{stream.stream}-theirs", url=nats_server.url))
    with pytest.raises(EdgeUnavailableError, match="is no edge of a dataflow: choose another name"):
        await theirs.open()
    await session.close()


async def test_a_message_with_the_same_id_is_stored_once(nats_server: NatsServer) -> None:
    stream = stream_on(nats_server)
    session = NatsSession(stream)
    await session.open()
    subject = stream.subject(0, 0)
    for message_id in ("1", "2", "2"):
        await (await session.publish(subject, b"x", message_id))
    assert {subject: 2} == await session.count_stored(stream.all_subjects)
    await session.close()


async def test_a_session_tells_which_stream_of_its_name_there_is(nats_server: NatsServer) -> None:
    stream = stream_on(nats_server)
    seen: list[tuple[object, int]] = []
    for is_removed in (False, True, False):
        session = NatsSession(stream)
        await session.open()
        seen.append((session.made_at, session.last_number))
        await (await session.publish(stream.subject(0, 0), b"x", new_id()))
        if is_removed:
            await session._jetstream.delete_stream(stream.stream)
        await session.close()
    (first, _), (second, _), (third, _) = seen
    assert ([0, 1, 0], True, True) == ([number for _, number in seen], first == second != third, first is not None)


async def test_the_longest_message_leaves_room_for_its_headers(nats_server: NatsServer) -> None:
    stream = stream_on(nats_server)
    session = NatsSession(stream)
    await session.open()
    await (await session.publish(stream.subject(0, 0), bytes(session.max_bytes), "1"))
    assert 1000 < session.max_bytes < 1 << 20
    await session.close()


async def test_the_loss_of_the_server_is_heard(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        session = NatsSession(stream_on(server))
        await session.open()
        server.kill()
        async with asyncio.timeout(20):
            await session.lost.wait()
        first = session.reason
        session.fail("something later")
        assert first == session.reason != ""
        with pytest.raises(EdgeUnavailableError):
            await session.count_unfinished(0)
        await session.close()


async def test_a_cancellation_that_the_client_keeps_to_itself_gets_out(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-py does that when much waits to be sent, and with Python 3.11 when the answer is there already."""
    session = NatsSession(stream_on(nats_server))
    await session.open()

    async def hold_on(*_: object) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(session._client, "flush", hold_on)
        flushing = asyncio.create_task(session.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.wait([flushing])
    assert flushing.cancelled()
    await session.close()


async def test_no_task_of_the_client_is_left_after_its_own_end(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    with NatsServer(tmp_path) as server:
        session = NatsSession(stream_on(server))
        await session.open()
        server.kill()
        while not session._client.is_closed:  # noqa: ASYNC110  # the very moment: a task of its own is closing it
            await asyncio.sleep(0)
        await session.close()
    assert before == asyncio.all_tasks()


async def test_no_task_of_the_client_is_left_by_whoever_is_cancelled_again_and_again(nats_server: NatsServer) -> None:
    before = asyncio.all_tasks()
    session = NatsSession(stream_on(nats_server))
    await session.open()
    closing = asyncio.create_task(session.close())
    while not closing.done():
        await asyncio.sleep(0)
        closing.cancel()
    assert closing.cancelled()
    assert before == asyncio.all_tasks()


async def test_a_server_that_does_not_answer_keeps_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with NatsServer(tmp_path) as server:
        session = NatsSession(stream_on(server))
        await session.open()
        monkeypatch.setattr(nats, "_ANSWER_TIMEOUT", 0.1)
        server.pause()
        transport = session._client._transport._io_writer.transport
        transport.write(bytes(1 << 24))  # more than the system takes
        await session.close()
        await eventually(lambda: transport.get_extra_info("socket").fileno() == -1)
        server.resume()
