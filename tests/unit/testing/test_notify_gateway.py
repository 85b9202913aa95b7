"""NotifyGateway: what it keeps, refuses, and takes once."""

import pytest

from mainspring.base import encode_json
from mainspring.errors import ClosedError
from mainspring.testing import NotifyGateway

pytestmark = pytest.mark.extras

MESSAGE: dict[str, object] = {"userId": "me", "channel": "c", "at": [], "params": {}, "msgType": "text", "data": "up"}


async def post(gateway: NotifyGateway, path: str, body: object, key: str | None = None) -> tuple[int, str]:
    from aiohttp import ClientSession

    headers = {"Idempotency-Key": key} if key is not None else {}
    async with (
        ClientSession() as session,
        session.post(f"{gateway.url}{path}", data=encode_json(body), headers=headers) as response,
    ):
        return response.status, await response.text()


async def test_a_key_is_taken_once() -> None:
    async with NotifyGateway() as gateway:
        await post(gateway, "/api/channel/", {"userId": "me", "channel": "c", "bots": [{"bot_type": "lark"}]})
        for key in ("k1", "k1", "k2", None, None):
            assert (200, '{"msgCode": 0}') == await post(gateway, "/api/notify/", MESSAGE, key)
        assert ["k1", "k2", "", ""] == [one.key for one in gateway.sent]


async def test_an_unknown_channel_and_planned_faults_are_refused() -> None:
    async with NotifyGateway() as gateway:
        assert "404" in (await post(gateway, "/api/notify/", MESSAGE))[1]
        gateway.fail_next(1, status=500, body="down")
        assert (500, "down") == await post(gateway, "/api/notify/", MESSAGE)
        assert (0, 2) == (len(gateway.sent), gateway.request_count)


async def test_it_has_an_address_only_while_it_runs() -> None:
    gateway = NotifyGateway()
    with pytest.raises(ClosedError):
        assert gateway.url
    async with gateway:
        assert gateway.url.startswith("http://127.0.0.1:")
    with pytest.raises(ClosedError):
        assert gateway.url
    await gateway.__aexit__(None, None, None)
