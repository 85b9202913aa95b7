"""One upstream, many clients: each gets what it wants, through restarts, and none harms another."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any  # Any: the proxy's choices

import pytest
from tests.unit.transport.support_feed import Client, Feed
from tests.unit.transport.support_links import KEY, contexts

from mainspring.base import Backoff
from mainspring.errors import (
    ConnectionClosedError,
    InsecureTransportError,
    InvalidArgumentError,
    MisuseError,
)
from mainspring.testing import eventually
from mainspring.transport import Connection, WebSocketProxy, connect, row_keys, serve

pytestmark = pytest.mark.extras

LOCAL = "ws://127.0.0.1:0"
FAST = Backoff(0.01, maximum=0.05)


async def _tell(connection: Connection, current: Any, added: Any, removed: Any) -> None:
    await connection.write_json([sorted(current), sorted(added), sorted(removed)])


@asynccontextmanager
async def _proxied(feed: Feed, **options: Any) -> AsyncGenerator[WebSocketProxy]:
    options = {"router_keys": row_keys("sym"), "update_subscribe": _tell, "reconnect": FAST, **options}
    async with WebSocketProxy(LOCAL, feed.address, **options) as proxy:
        await eventually(lambda: feed.connections)
        yield proxy


async def test_each_client_gets_what_it_wants() -> None:
    async with Feed() as feed, _proxied(feed) as proxy:
        one, two, everything = [await Client.dial(proxy.address) for _ in range(3)]
        assert '{"subscribe": ["A", "B"]}' == await one.say({"subscribe": ["A", "B"]})
        await two.say({"subscribe": ["B"]})
        await everything.say({"subscribe:all": True, "subscribe": ["A"]})
        rows: list[Any] = [{"sym": "A", "p": 1}, {"sym": "B", "p": 2}, {"no": "key"}, {"sym": "A", "p": 3}]
    async with Feed() as feed, _proxied(feed) as proxy:
        one, two = [await Client.dial(proxy.address) for _ in range(2)]
        await one.say({"subscribe": ["A", "B"]})
        await two.say({"subscribe": ["A"]})
        await feed.send(rows)
        assert [rows[0], rows[1], rows[3]] == [await one.read() for _ in range(3)]
        assert [rows[0], rows[3]] == [await two.read() for _ in range(2)]
        assert 0 == proxy.stats().unroutable_count
        for client in (one, two):
            await client.close()


async def test_who_was_cut_makes_nobody_get_what_others_want() -> None:
    async with Feed() as feed, _proxied(feed) as proxy:
        some, everything = [await Client.dial(proxy.address) for _ in range(2)]
        await some.say({"subscribe": ["A"]})
        await everything.say({"subscribe:all": True})
        (subscriber,) = proxy._subscriptions.everything
        subscriber.connection.abort()  # its task has had no turn to say that it is gone
        proxy._fan_out(b'[{"sym": "B"}]')
        proxy._fan_out(b'[{"sym": "A"}]')
        assert {"sym": "A"} == await some.read()
        await some.close()


async def test_the_upstream_is_told_what_is_wanted_and_when_nobody_wants_it_any_more() -> None:
    async with Feed() as feed, _proxied(feed) as proxy:
        one, two = [await Client.dial(proxy.address) for _ in range(2)]
        await one.say({"subscribe": ["A"]})
        await eventually(lambda: feed.told == [[["A"], ["A"], []]])
        await two.say({"subscribe": ["A", "B"]})
        await eventually(lambda: feed.told[1:] == [[["A", "B"], ["B"], []]])
        await one.say({"unsubscribe": ["A"]})
        await two.close()
        await eventually(lambda: feed.told[2:] == [[[], [], ["A", "B"]]])
        await one.close()


async def test_a_restarted_upstream_is_told_everything_again() -> None:
    greeted = 0

    async def greet(connection: Connection) -> None:
        nonlocal greeted
        greeted += 1
        await connection.write_json("hello")

    async with Feed() as feed, _proxied(feed, on_connect=greet) as proxy:
        client = await Client.dial(proxy.address)
        await client.say({"subscribe": ["A"]})
        await eventually(lambda: feed.told == ["hello", [["A"], ["A"], []]])
        for restart in range(3):
            feed.told.clear()
            await feed.stop()
            await client.say({"subscribe": [f"B{restart}"]})  # while nobody is there
            await feed.start()
            await eventually(lambda: len(feed.told) >= 2)
            assert "hello" == feed.told[0]
            assert sorted({"A", *(f"B{number}" for number in range(restart + 1))}) == feed.told[-1][0]
            await eventually(lambda: proxy.is_connected)
            await feed.send([{"sym": "A", "p": restart}])
            assert {"sym": "A", "p": restart} == await client.read()
        assert 4 == greeted == proxy.stats().upstream_count
        await client.close()


async def test_a_client_that_does_not_read_harms_nobody() -> None:
    async with Feed() as feed, _proxied(feed, max_waiting=10, heartbeat=None) as proxy:
        stalled, reading = [await Client.dial(proxy.address) for _ in range(2)]
        for client in (stalled, reading):
            await client.say({"subscribe:all": True})
        text, count = "x" * 50_000, 0
        while proxy.stats().clients.dropped_count < 20:
            await feed.send([count, text])
            assert count == (await reading.read())[0]
            count += 1
        assert 1 == proxy.stats().clients.slow_count
        await reading.close()
        stalled.connection.abort()
        await stalled.connection.wait_closed()


async def test_what_cannot_be_routed_goes_to_those_who_want_everything(caplog: pytest.LogCaptureFixture) -> None:
    async with Feed() as feed, _proxied(feed) as proxy:
        client, everything = [await Client.dial(proxy.address) for _ in range(2)]
        await client.say({"subscribe": ["A"]})
        await everything.say({"subscribe:all": True})
        await feed.connections[0].write_bytes(b"\xff no JSON")
        await feed.send({"no": "rows"})
        await feed.send([{"sym": "A"}])
        assert b"\xff no JSON" == await everything.connection.read_bytes()
        assert [{"no": "rows"}, [{"sym": "A"}]] == [await everything.read(), await everything.read()]
        assert {"sym": "A"} == await client.read()
        assert 2 == proxy.stats().unroutable_count
        assert ["ERROR"] == [one.levelname for one in caplog.records if "cannot be routed" in one.message]
        await client.close()
        await everything.close()


async def test_a_failing_update_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("on purpose")

    async with Feed() as feed, _proxied(feed, update_subscribe=fail) as proxy:
        client = await Client.dial(proxy.address)
        await client.say({"subscribe": ["A"]})
        await eventually(lambda: "on purpose" in caplog.text)
        await feed.send([{"sym": "A"}])
        assert {"sym": "A"} == await client.read()
        await client.close()


async def test_a_message_that_is_too_long_connects_the_upstream_again() -> None:
    async with Feed() as feed, _proxied(feed, max_bytes=1000) as proxy:
        client = await Client.dial(proxy.address)
        await client.say({"subscribe:all": True})
        await feed.send("x" * 2000)
        await eventually(lambda: proxy.stats().upstream_count == 2 and proxy.is_connected)
        await eventually(lambda: len(feed.connections) == 2)
        await feed.connections[-1].write_json("short")
        assert "short" == await client.read()
        await client.close()


async def test_without_router_keys_only_everything_brings_anything() -> None:
    async with Feed() as feed, _proxied(feed, router_keys=None, update_subscribe=None) as proxy:
        client = await Client.dial(proxy.address)
        await client.say({"subscribe": ["A"]})
        await feed.send([{"sym": "A"}])
        await client.say({"subscribe:all": 1})
        await feed.send("next")
        assert "next" == await client.read()
        assert [] == feed.told
        await client.close()


async def test_an_upstream_that_is_given_up_is_told_to_who_waits(unused_port: int) -> None:
    proxy = WebSocketProxy(LOCAL, f"ws://127.0.0.1:{unused_port}", reconnect=Backoff(0.01, max_tries=2))
    await proxy.wait_ended()
    async with proxy:
        with pytest.raises(OSError):
            await proxy.wait_ended()
        with pytest.raises(MisuseError):
            await proxy.start()
        assert not proxy.is_connected


async def test_only_tokens_that_are_known_are_let_in(caplog: pytest.LogCaptureFixture) -> None:
    tokens = ("the first of two tokens", "the second of two tokens")
    async with Feed() as feed, _proxied(feed, tokens=tokens) as proxy:
        for token in tokens:
            client = await Client.dial(proxy.address)
            assert {"token": "accepted"} == json.loads(await client.say({"token": token}))
            await client.say({"subscribe:all": True})
            await feed.send("x")
            assert "x" == await client.read()
            await client.close()
        for wrong in ('{"token": "the third"}', '{"token": null}', '{"subscribe:all": true}', "{", "[]"):
            client = await Client.dial(proxy.address)
            assert "must be a token" in await client.say(wrong)
            with pytest.raises(ConnectionClosedError):
                await client.read()
            await client.close()
    assert tokens[0] not in caplog.text


async def test_who_says_no_token_in_time_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.transport._proxy._TOKEN_SECONDS", 0.05)
    async with Feed() as feed, _proxied(feed, tokens=["a token of enough characters"]) as proxy:
        client = await Client.dial(proxy.address)
        assert {"error": "The first message must be a token that is known"} == await client.read()
        await client.close()


async def test_a_handshake_works_here_too() -> None:
    key = "a key of enough characters"
    async with Feed() as feed, _proxied(feed, auth_key=key) as proxy, connect(proxy.address, auth_key=key) as client:
        await client.write_json({"subscribe:all": True})
        assert {"subscribe:all": True} == await client.read_json()
        await feed.send("x")
        assert "x" == await client.read_json()


async def test_both_sides_of_a_proxy_may_be_encrypted(tmp_path: Path) -> None:
    server_ssl, client_ssl = contexts(tmp_path)
    token, ready = "a token of enough characters", asyncio.Event()

    async def feed(connection: Connection) -> None:
        await connection.write_json("first")
        await connection.wait_closed()

    async with serve("wss://127.0.0.1:0", feed, auth_key=KEY, ssl=server_ssl) as upstream:
        proxy = WebSocketProxy(
            "wss://127.0.0.1:0",
            upstream.address,
            upstream_auth_key=KEY,
            upstream_ssl=client_ssl,
            tokens=[token],
            ssl=server_ssl,
            on_connect=lambda _: ready.wait(),
        )
        async with proxy, connect(proxy.address, auth_key=None, ssl=client_ssl) as client:
            assert proxy.address.startswith("wss://")
            await client.write_json({"token": token})
            assert {"token": "accepted"} == await client.read_json()
            await client.write_json({"subscribe:all": True})
            assert {"subscribe:all": True} == await client.read_json()
            ready.set()
            assert "first" == await client.read_json()


def test_a_proxy_off_the_machine_needs_a_word() -> None:
    with pytest.raises(InsecureTransportError):
        WebSocketProxy("ws://0.0.0.0:0", "ws://127.0.0.1:1")
    with pytest.raises(InsecureTransportError, match="example"):
        WebSocketProxy(LOCAL, "ws://example.org")
    with pytest.raises(InsecureTransportError, match="unencrypted"):  # tokens could be read
        WebSocketProxy("ws://0.0.0.0:0", "ws://127.0.0.1:1", tokens=["x" * 16], allow_unauthenticated=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    WebSocketProxy("wss://0.0.0.0:0", "ws://127.0.0.1:1", tokens=["x" * 16], ssl=context)
    WebSocketProxy("ws://0.0.0.0:0", "ws://example.org", allow_unauthenticated=True)


def test_short_tokens_are_refused_without_being_shown() -> None:
    with pytest.raises(InvalidArgumentError, match="one of 6 characters") as caught:
        WebSocketProxy(LOCAL, "ws://127.0.0.1:1", tokens=["secret"])
    assert "secret" not in str(caught.value)


async def test_a_proxy_starts_and_stops_without_leaks() -> None:
    tasks = len(asyncio.all_tasks())
    async with Feed() as feed:
        before = len(asyncio.all_tasks())
        for _ in range(10):
            feed.connections.clear()
            async with _proxied(feed) as proxy:
                client = await Client.dial(proxy.address)
                await client.say({"subscribe": ["A"]})
                await client.close()
        await eventually(lambda: len(asyncio.all_tasks()) == before)
    assert tasks == len(asyncio.all_tasks())


async def test_nothing_is_left_of_a_proxy_whose_closing_is_cancelled() -> None:
    async with Feed() as feed:
        before = asyncio.all_tasks()
        proxy = WebSocketProxy(LOCAL, feed.address, reconnect=FAST)
        await proxy.start()
        await eventually(lambda: feed.connections)
        client = await Client.dial(proxy.address)
        closing = asyncio.create_task(proxy.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(ConnectionClosedError):
            await client.connection.read_bytes()
        with pytest.raises(OSError):
            await connect(proxy.address, auth_key=None)
        feed.connections.clear()
        await eventually(lambda: asyncio.all_tasks() <= before)
