"""The tasks of a server end with it."""

import asyncio

import pytest
from tests.unit.services.support_programs import program

from mainspring.services import SimpleClient, SimpleServer


class Stubborn(SimpleServer):
    """Has a task that survives its first cancellation."""

    ended = False

    async def start(self) -> None:
        self.begun = asyncio.Event()
        _ = self.create_task(self.work(), name="work")
        await self.begun.wait()

    async def work(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()
        finally:
            self.ended = True


class Empty(SimpleServer):
    """Has no task."""

    async def start(self) -> None: ...


async def test_a_stop_that_is_cancelled_cancels_the_tasks_again() -> None:
    server = Stubborn(stop_timeout=0.01)
    with pytest.raises(TimeoutError, match="did not stop within"):
        async with program(server):
            pass
    await asyncio.sleep(0)
    assert server.ended


class Listening(SimpleServer):
    """Leaves its server to the service."""

    async def start(self) -> None:
        self.server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)


async def test_a_server_that_was_left_is_closed_at_the_stop() -> None:
    server = Listening()
    async with program(server):
        assert server.server is not None
        assert server.server.is_serving()
    assert not server.server.is_serving()


class Talking(SimpleClient):
    """Works in a task."""

    async def start(self) -> None:
        _ = self.create_task(asyncio.Event().wait())


async def test_the_tasks_of_a_client_end_with_it() -> None:
    client = Talking()
    async with program(client):
        (task,) = client.tasks
    assert task.cancelled()
    assert frozenset() == client.tasks


async def test_a_server_without_tasks_stops_at_once() -> None:
    async with program(Empty()) as running:
        assert running.health().healthy
