"""Bodies for gateways, Lark and Slack, and what their answers mean."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from mainspring.errors import InvalidArgumentError, NotifyError
from mainspring.tools import LarkBot, SlackBot
from mainspring.tools._notify_bots import check_gateway, check_message, gateway_message, lark_sign, make_bot

URL = "https://hooks.example.org/T0/secret-part"


def test_texts_and_cards_for_lark() -> None:
    card: dict[str, Any] = {"msg_type": "interactive", "card": {"elements": []}}
    bot = LarkBot(URL)
    assert {"msg_type": "text", "content": {"text": 'up <at user_id="u1"></at> <at user_id="u2"></at>'}} == bot.payload(
        "up", ["u1", "u2"], now=1.0
    )
    assert card == bot.payload(card, ["u1"], now=1.0)


def test_lark_signs_with_time_and_secret() -> None:
    body = LarkBot(URL, "key").payload("up", [], now=1700000000.9)
    mac = hmac.new(b"1700000000\nkey", digestmod=hashlib.sha256).digest()
    assert ("1700000000", base64.b64encode(mac).decode()) == (body["timestamp"], body["sign"])
    assert body["sign"] == lark_sign("1700000000", "key")


def test_texts_and_blocks_for_slack() -> None:
    assert {"text": "up <@u1> <@u2>"} == SlackBot(URL).payload("up", ["u1", "u2"], now=1.0)
    assert {"blocks": []} == SlackBot(URL).payload({"blocks": []}, [], now=1.0)


def test_messages_for_a_gateway() -> None:
    assert {"msgType": "text", "data": "a"} == gateway_message("a", None)
    assert {"msgType": "markdown", "data": "a"} == gateway_message("a", "markdown")
    assert {"msgType": "lark_raw", "data": {"b": 1}} == gateway_message({"b": 1}, "markdown")


@pytest.mark.parametrize(("status", "body"), [(200, '{"code": 0}'), (200, '{"StatusCode": 0, "StatusMessage": "ok"}')])
def test_lark_says_yes(status: int, body: str) -> None:
    LarkBot(URL).check(status, body)


def test_slack_and_the_gateway_say_yes() -> None:
    SlackBot(URL).check(200, "ok\n")
    assert {"msgCode": 0, "bots": []} == check_gateway(302, '{"msgCode": 0, "bots": []}')


@pytest.mark.parametrize(
    ("check", "status", "body", "code"),
    [
        (LarkBot(URL).check, 200, '{"code": 19024, "msg": "Key Words Not Found"}', 19024),
        (LarkBot(URL).check, 400, '{"code": 0}', 0),
        (LarkBot(URL).check, 200, "<html>", None),
        (SlackBot(URL).check, 403, "invalid_token", None),
        (SlackBot(URL).check, 200, "no_text", None),
        (check_gateway, 200, '{"msgCode": 7}', 7),
        (check_gateway, 200, "{}", None),
        (check_gateway, 404, '{"msgCode": 0}', 0),
        (check_gateway, 200, "[]", None),
    ],
)
def test_anything_else_is_no(check: Any, status: int, body: str, code: object) -> None:
    with pytest.raises(NotifyError) as caught:
        check(status, body)
    assert (status, code, body) == (caught.value.status, caught.value.code, caught.value.body)


def test_an_error_keeps_the_beginning_of_a_long_answer() -> None:
    with pytest.raises(NotifyError) as caught:
        SlackBot(URL).check(200, "x" * 10_000)
    assert "x" * 500 == caught.value.body


def test_bots_show_no_address_and_no_secret() -> None:
    shown = f"{LarkBot(URL, 'key', 'alerts')!r} {SlackBot(URL)!r}"
    assert "secret-part" not in shown
    assert "key" not in shown
    with pytest.raises(InvalidArgumentError) as caught:
        SlackBot("ftp://secret-part")
    assert "secret-part" not in str(caught.value)


def test_bots_are_made_by_their_type() -> None:
    assert LarkBot(URL, "key", "n") == make_bot("lark", URL, "n", secret="key")
    assert SlackBot(URL, "n") == make_bot("slack", URL, "n")
    with pytest.raises(InvalidArgumentError, match="bot_type"):
        make_bot("teams", URL)


@pytest.mark.parametrize("message", [None, 1, b"x", ["a"]])
def test_a_message_is_a_text_or_a_mapping(message: object) -> None:
    with pytest.raises(InvalidArgumentError, match="msg="):
        check_message(message)
