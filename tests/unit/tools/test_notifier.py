"""Notifier against local servers: a gateway, and webhooks that check what they are sent."""

import asyncio
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.unit.tools.support_webhooks import LARK_OK, OK, served

from mainspring.base import Backoff, current_clock
from mainspring.errors import ConfigError, InvalidArgumentError, LimitTimeoutError, MissingConfigError, NotifyError
from mainspring.testing import NotifyGateway, eventually
from mainspring.tools import LarkBot, Notifier, SlackBot
from mainspring.tools._notify_bots import lark_sign

pytestmark = pytest.mark.extras

QUICK = Backoff(0.001, maximum=0.002, max_tries=4)
CARD = {"msg_type": "interactive", "card": {"elements": [{"tag": "div"}]}}


async def test_a_gateway_keeps_channels() -> None:
    async with NotifyGateway() as gateway, Notifier(url=gateway.url, user_id="me") as notifier:
        await notifier.add_channel("alerts", "lark", "https://hook/x", "project")
        bots = [{"bot_type": "lark", "bot_url": "https://hook/x", "bot_note": "project"}]
        assert bots == await notifier.get_channel("alerts")
        assert {("me", "alerts"): bots} == gateway.channels
        await notifier.add_channel("alerts", bot_type="slack", bot_url="https://hook/y")
        assert ["slack"] == [bot["bot_type"] for bot in await notifier.get_channel("alerts")]
        await notifier.del_channel("alerts")
        assert [] == await notifier.get_channel("alerts")


async def test_a_gateway_takes_texts_and_cards() -> None:
    async with NotifyGateway() as gateway:
        notifier = Notifier(url=gateway.url, user_id="me")
        await notifier.add_channel("alerts", "slack", "https://hook/x")
        assert await notifier.notify("alerts", "up", at=["u1"], timeout=5, priority=3)
        assert await notifier.notify(channel="alerts", msg=CARD, msg_type="ignored")
        assert await notifier.notify("alerts", "*up*", msg_type="markdown")
        first, second, third = gateway.sent
        assert ("me", "alerts", "text", "up", ("u1",), {"priority": 3}) == (
            first.user_id, first.channel, first.msg_type, first.data, first.at, first.params,
        )  # fmt: skip
        assert ("lark_raw", CARD, "markdown") == (second.msg_type, second.data, third.msg_type)
        assert 3 == len({one.key for one in gateway.sent})


async def test_what_may_pass_is_tried_again_with_the_same_key() -> None:
    async with NotifyGateway() as gateway:
        notifier = Notifier(url=gateway.url, user_id="me", backoff=QUICK)
        await notifier.add_channel("alerts", "slack", "https://hook/x")
        gateway.fail_next(2)
        gateway.fail_next(1, status=429)
        await notifier.notify("alerts", "up")
        assert (1, 5) == (len(gateway.sent), gateway.request_count)
        gateway.fail_next(4, status=500, body="down")
        with pytest.raises(NotifyError) as caught:
            await notifier.notify("alerts", "up")
        assert (500, None, "down") == (caught.value.status, caught.value.code, caught.value.body)
        assert 9 == gateway.request_count


async def test_what_will_not_pass_is_not_tried_again() -> None:
    async with NotifyGateway() as gateway:
        notifier = Notifier(url=gateway.url, user_id="me", backoff=QUICK)
        with pytest.raises(NotifyError) as caught:
            await notifier.notify("nowhere", "up")
        assert (200, 404, 1) == (caught.value.status, caught.value.code, gateway.request_count)
        gateway.fail_next(1, status=302, body="")
        with pytest.raises(NotifyError):
            await notifier.get_channel("alerts")


async def test_no_answer_is_an_error_that_shows_no_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(OK) as (url, _):
        pass
    notifier = Notifier.direct({"ops": SlackBot(url)}, backoff=Backoff(0.001, max_tries=2))
    with pytest.raises(NotifyError, match=r"no answer from 127\.0\.0\.1") as caught:
        await notifier.notify("ops", "up")
    assert 0 == caught.value.status
    assert "secret-part" not in f"{caught.value!r} {caught.value.__cause__} {notifier!r} {caplog.text}"


@pytest.mark.usefixtures("virtual_clock")
async def test_an_answer_has_its_time() -> None:
    never = asyncio.Event()
    async with served(never) as (url, bodies):
        notifier = Notifier.direct({"ops": SlackBot(url)}, backoff=Backoff(0.001, max_tries=2))
        with pytest.raises(NotifyError, match=r"no answer within 0\.05 s"):
            await notifier.notify("ops", "up", timeout=0.05)
        never.set()
        assert 2 == len(bodies)


async def test_webhooks_are_posted_to_without_a_gateway() -> None:
    async with (
        served(LARK_OK) as (lark, lark_bodies),
        served({"status": 429, "headers": {"Retry-After": "0"}}, OK) as (
            slack,
            slack_bodies,
        ),
    ):
        channels: dict[str, list[LarkBot | SlackBot]] = {"alerts": [LarkBot(lark, "key"), SlackBot(slack)]}
        async with Notifier.direct(channels, backoff=QUICK) as notifier:
            assert await notifier.notify("alerts", "up", at=["u1"])
            assert await notifier.notify("alerts", CARD)
    text, card = lark_bodies
    assert text["sign"] == lark_sign(text["timestamp"], "key")
    assert abs(current_clock().time() - int(text["timestamp"])) < 600
    assert 'up <at user_id="u1"></at>' == text["content"]["text"]
    assert CARD["card"] == card["card"]
    assert "/hook/secret-part" == card["PATH"]
    assert ["up <@u1>", "up <@u1>"] == [body["text"] for body in slack_bodies[:2]]
    assert slack_bodies[0]["KEY"] == slack_bodies[1]["KEY"] != slack_bodies[2]["KEY"]


async def test_a_webhook_that_says_no_is_an_error() -> None:
    async with served({"text": json.dumps({"code": 19021, "msg": "sign match fail"})}) as (url, bodies):
        with pytest.raises(NotifyError) as caught:
            await Notifier.direct({"ops": LarkBot(url)}, backoff=QUICK).notify("ops", "up")
        assert (200, 19021, 1) == (caught.value.status, caught.value.code, len(bodies))


async def test_an_answer_that_comes_in_pieces_is_an_answer() -> None:
    """What had come when it was first looked at was taken for all of it, and a message that was sent for refused."""
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n")
        for piece in (b'{"co', b'de": ', b"0}"):
            writer.write(piece)
            await writer.drain()
            for _ in range(50):  # in which the other side, on this loop too, reads what has come
                await asyncio.sleep(0)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await Notifier.direct({"ops": LarkBot(url)}, backoff=QUICK).notify("ops", "up")
        await ended.wait()


async def test_of_a_long_answer_the_beginning_is_told() -> None:
    async with served({"text": "no" * 100_000}) as (url, _):
        with pytest.raises(NotifyError) as caught:
            await Notifier.direct({"ops": LarkBot(url)}, backoff=QUICK).notify("ops", "up")
        assert (200, "no" * 250) == (caught.value.status, caught.value.body)


async def test_channels_without_a_gateway_can_be_changed() -> None:
    notifier = Notifier.direct()
    await notifier.add_channel("ops", "slack", "https://hook/x", "note")
    assert [{"bot_type": "slack", "bot_url": "https://hook/x", "bot_note": "note"}] == await notifier.get_channel("ops")
    assert "<Notifier direct, channels ops>" == repr(notifier)
    await notifier.del_channel("ops")
    assert [] == await notifier.get_channel("ops")
    with pytest.raises(InvalidArgumentError, match="channel="):
        await notifier.notify("ops", "up")


async def test_repetitions_are_held_back() -> None:
    async with served({"status": 500}, OK) as (url, bodies):
        notifier = Notifier.direct({"ops": SlackBot(url)}, repeat_after=3600.0, backoff=Backoff(0.0, max_tries=1))
        with pytest.raises(NotifyError):
            await notifier.notify("ops", "down")
        assert [True, False, True] == [await notifier.notify("ops", text) for text in ("down", "down", "up")]
        assert ["down", "down", "up"] == [body["text"] for body in bodies]


async def test_a_repetition_goes_only_to_the_bot_that_failed() -> None:
    async with served(OK) as (good, got), served({"status": 500}, {"status": 500}, OK) as (bad, got_later):
        notifier = Notifier.direct(
            {"ops": [SlackBot(bad), SlackBot(good)]}, repeat_after=3600.0, backoff=Backoff(0.0, max_tries=1)
        )
        for _ in range(2):
            with pytest.raises(NotifyError):
                await notifier.notify("ops", "down")
        assert [True, False] == [await notifier.notify("ops", "down") for _ in range(2)]
        assert (["down"], ["down"] * 3) == ([one["text"] for one in got], [one["text"] for one in got_later])


@pytest.mark.usefixtures("virtual_clock")
async def test_a_repetition_says_how_many_were_held_back() -> None:
    async with served(OK) as (url, bodies):
        notifier = Notifier.direct({"ops": SlackBot(url)}, repeat_after=0.05)
        assert [True, False] == [await notifier.notify("ops", "down") for _ in range(2)]
        await eventually(lambda: notifier.notify("ops", "down"))
        assert bodies[1]["text"].startswith("down\n(held back ")


async def test_a_channel_has_its_rate() -> None:
    async with served(OK) as (url, bodies):
        notifier = Notifier.direct({"a": SlackBot(url), "b": SlackBot(url)}, per_minute=2, max_wait=0.01)
        for channel in "aabb":
            await notifier.notify(channel, "up")
        with pytest.raises(LimitTimeoutError):
            await notifier.notify("a", "up")
        assert 4 == len(bodies)


@pytest.mark.parametrize("message", [None, 5, b"bytes"])
async def test_other_messages_are_refused(message: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="msg="):
        await Notifier(url="http://x", user_id="me").notify("alerts", message)


def test_constructors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings: dict[str, Any] = {"url": "https://n.example.org", "user_id": "me", "other": 1}
    notifier = Notifier(**settings)
    assert ("https://n.example.org", "me") == (notifier.url, notifier.user_id)
    assert "<Notifier n.example.org, user me>" == repr(notifier)
    monkeypatch.setenv("NOTIFIER_URL", "https://e")
    with pytest.raises(ConfigError, match="NOTIFIER_USER_ID must be set"):
        Notifier.from_env()
    monkeypatch.setenv("NOTIFIER_USER_ID", "you")
    assert "you" == Notifier.from_env().user_id
    Path("c.toml").write_text(
        'url = "https://w"\nuser_id = "whole"\n[notifier]\nurl = "https://t"\nuser_id = "table"\n'
    )
    assert ["table", "whole"] == [Notifier.from_config(".", "c.toml", *key).user_id for key in ([], [""])]
    with pytest.raises(MissingConfigError) as caught:
        Notifier.from_config(".", "c.toml", "absent")
    assert isinstance(caught.value, KeyError)


def test_settings_name_channels_too() -> None:
    channels = {"ops": {"type": "lark", "url": "https://h", "secret": "s", "note": "n"}}
    notifier = Notifier.from_settings({"channels": channels, "repeat_after": 60.0})
    assert notifier._bots == {"ops": [LarkBot("https://h", "s", "n")]}
    settings: tuple[dict[str, Any], ...] = (
        {},
        {"url": "https://x"},
        {"channels": {"ops": {}}},
        {"channels": {"ops": 1}},
    )
    for bad in settings:
        with pytest.raises(ConfigError):
            Notifier.from_settings(bad)


@pytest.mark.parametrize("options", [{"at": "user1"}, {"at": 5}, {"at": [5]}, {"timeout": 0}, {"timeout": "x"}])
async def test_bad_options_of_a_message_are_refused(options: dict[str, Any]) -> None:
    """A text for `at` named each of its letters, and 0 seconds were no limit at all."""
    for notifier in (Notifier(url="http://x", user_id="me"), Notifier.direct({"a": SlackBot("http://x")})):
        with pytest.raises(InvalidArgumentError, match=f"^{next(iter(options))}="):
            await notifier.notify("a", "up", **options)


async def test_a_channel_is_a_name() -> None:
    for notifier in (Notifier(url="http://x", user_id="me"), Notifier.direct()):
        name: Any
        for name in ("", None, 5):
            for call in (
                notifier.notify(name, "up"),
                notifier.get_channel(name),
                notifier.del_channel(name),
                notifier.add_channel(name, "slack", "http://x"),
            ):
                with pytest.raises(InvalidArgumentError, match="channel="):
                    await call


@pytest.mark.parametrize("bots", ["http://h", 5, None, [], [5], ["http://h"], [SlackBot("http://h"), None]])
def test_channels_have_bots(bots: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="channels="):
        Notifier.direct({"a": bots})
    channels: Any = [("a", bots)]
    with pytest.raises(InvalidArgumentError, match="channels="):
        Notifier.direct(channels)


async def test_a_bot_that_fails_keeps_no_other_from_its_message() -> None:
    async with served({"status": 400}, OK) as (url, bodies):
        notifier = Notifier.direct({"ops": (SlackBot(url), SlackBot(url))}, backoff=QUICK)
        with pytest.raises(NotifyError) as caught:
            await notifier.notify("ops", "up")
        assert (400, ["up", "up"]) == (caught.value.status, [body["text"] for body in bodies])


async def test_an_address_may_end_with_a_slash() -> None:
    async with NotifyGateway() as gateway:
        await Notifier(url=f"{gateway.url}/", user_id="me").add_channel("a", "slack", "https://hook/x")
        assert {("me", "a")} == set(gateway.channels)


@pytest.mark.parametrize(
    "change",
    [
        *({"url": url} for url in ("x", "http://", "http://h\n", "http://[h", 5)),
        *({"user_id": name} for name in ("", 5)),
        *({"timeout": seconds} for seconds in (0, float("inf"), "3")),
        *({"per_minute": count} for count in (0, "x")),
        *({name: bad} for name in ("max_wait", "repeat_after") for bad in (-1, float("nan"), "x")),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"url": "https://x", "user_id": "me", **change}
    with pytest.raises(InvalidArgumentError):
        Notifier(**arguments)
