"""The proxy as a service: it lives and ends with the program, and says how it is."""

import pytest
from tests.unit.transport.support_feed import Client, Feed

from mainspring.base import Backoff
from mainspring.errors import InsecureTransportError, MisuseError
from mainspring.runtime import entrypoint
from mainspring.services import WebSocketProxyService
from mainspring.testing import eventually
from mainspring.transport import row_keys

pytestmark = pytest.mark.extras

LOCAL = "ws://127.0.0.1:0"


async def test_clients_are_served_while_the_program_runs() -> None:
    async with Feed() as feed:
        service = WebSocketProxyService(listen=LOCAL, upstream=feed.address, router_keys=row_keys("sym"))
        assert service.stats() is None
        assert not service.healthy()
        async with entrypoint(service):
            await eventually(service.healthy)
            client = await Client.dial(service.address)
            await client.say({"subscribe": ["A"]})
            await feed.send([{"sym": "A"}, {"sym": "B"}])
            assert {"sym": "A"} == await client.read()
            stats = service.stats()
            assert stats is not None
            assert 1 == stats.received_count
            assert feed.address in repr(service)
            await feed.stop()
            await eventually(lambda: not service.healthy())
            await client.close()


async def test_an_upstream_that_is_given_up_is_a_failed_service(unused_port: int) -> None:
    service = WebSocketProxyService(
        listen=LOCAL, upstream=f"ws://127.0.0.1:{unused_port}", reconnect=Backoff(0.01, max_tries=2)
    )
    program = entrypoint(service)
    async with program:
        await eventually(lambda: not program.health().healthy)
    await service.stop()


def test_what_is_missing_or_unsafe_is_refused_at_once() -> None:
    with pytest.raises(MisuseError, match="upstream"):
        WebSocketProxyService()
    with pytest.raises(InsecureTransportError):
        WebSocketProxyService(listen="ws://0.0.0.0:1", upstream="ws://127.0.0.1:1")


async def test_a_service_that_never_started_stops() -> None:
    await WebSocketProxyService(upstream="ws://127.0.0.1:1").stop()
