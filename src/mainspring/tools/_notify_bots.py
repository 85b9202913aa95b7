"""What goes over the wire to notification gateways and to the webhooks of Lark and Slack. Pure: no input or output."""

import hmac
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeAlias  # Any: messages are whatever Lark and Slack take
from urllib.parse import urlsplit

from mainspring.errors import InvalidArgumentError, NotifyError
from mainspring.tools._values import check_text, is_table, items_of

Message: TypeAlias = str | Mapping[str, Any]

_SHOWN: Final = 500
"""How much of an answer an error keeps."""


@dataclass(frozen=True, slots=True)
class LarkBot:
    """A webhook of Lark (Feishu).

    Args:
        url: the webhook; whoever has it can post, so it is never shown.
        secret: the key of signed webhooks; never shown.
        note: what the bot is for.
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    note: str = ""
    bot_type: ClassVar[str] = "lark"

    def __post_init__(self) -> None:
        check_url("url", self.url)

    def payload(self, message: Message, at: Sequence[str], *, now: float) -> dict[str, Any]:
        """Return the body of the request, signed when there is a secret; `now` is seconds since 1970."""
        if isinstance(message, str):
            named = "".join(f' <at user_id="{user}"></at>' for user in at)
            body: dict[str, Any] = {"msg_type": "text", "content": {"text": message + named}}
        else:
            body = dict(message)
        if self.secret is not None:
            timestamp = str(int(now))
            body |= {"timestamp": timestamp, "sign": lark_sign(timestamp, self.secret)}
        return body

    def check(self, status: int, body: str) -> None:
        """Raise a NotifyError unless the answer says that the message was taken."""
        answer = _table(status, body)
        code = answer.get("code", answer.get("StatusCode"))
        if status >= 400 or code != 0:
            raise refused(status, code, body)


@dataclass(frozen=True, slots=True)
class SlackBot:
    """An incoming webhook of Slack.

    Args:
        url: the webhook; whoever has it can post, so it is never shown.
        note: what the bot is for.
    """

    url: str = field(repr=False)
    note: str = ""
    bot_type: ClassVar[str] = "slack"

    def __post_init__(self) -> None:
        check_url("url", self.url)

    def payload(self, message: Message, at: Sequence[str], *, now: float) -> dict[str, Any]:
        """Return the body of the request."""
        if isinstance(message, str):
            return {"text": message + "".join(f" <@{user}>" for user in at)}
        return dict(message)

    def check(self, status: int, body: str) -> None:
        """Raise a NotifyError unless the answer says that the message was taken."""
        if status >= 300 or body.strip() != "ok":
            raise refused(status, None, body)


Bot: TypeAlias = LarkBot | SlackBot


def make_bot(bot_type: str, bot_url: str, bot_note: str = "", *, secret: str | None = None) -> Bot:
    """Return the bot of a type, "lark" or "slack"."""
    if bot_type == "lark":
        return LarkBot(bot_url, secret, bot_note)
    if bot_type == "slack":
        return SlackBot(bot_url, bot_note)
    raise InvalidArgumentError(argument="bot_type", value=bot_type, expected='"lark" or "slack"')


def lark_sign(timestamp: str, secret: str) -> str:
    """Return the signature of a Lark webhook: the time and secret are the key, the message is empty."""
    return b64encode(hmac.digest(f"{timestamp}\n{secret}".encode(), b"", "sha256")).decode()


def gateway_message(message: Message, msg_type: str | None) -> dict[str, Any]:
    """Return the part of a gateway request that says what to send."""
    if isinstance(message, str):
        return {"msgType": msg_type or "text", "data": message}
    return {"msgType": "lark_raw", "data": dict(message)}


def check_gateway(status: int, body: str) -> dict[str, Any]:
    """Return the answer of a gateway; raise a NotifyError unless it says yes."""
    answer = _table(status, body)
    if status >= 400 or answer.get("msgCode") != 0:
        raise refused(status, answer.get("msgCode"), body)
    return answer


def check_message(message: object) -> None:
    """See that a message is a text or a mapping."""
    if not isinstance(message, str | Mapping):
        raise InvalidArgumentError(argument="msg", value=type(message).__name__, expected="a text, or a mapping")


def check_url(argument: str, url: object) -> None:
    """See that an address is one; the error shows nothing of it."""
    if not isinstance(url, str) or not _is_url(url):
        raise InvalidArgumentError(
            argument=argument, value="...", expected="a URL that begins with https:// or http://"
        )


def _is_url(url: str) -> bool:
    try:
        return urlsplit(url).hostname is not None and url.startswith(("https://", "http://")) and url.split() == [url]
    except ValueError:  # brackets that are no address
        return False


def bots_of(channel: object, bots: object) -> "list[Bot]":
    """Return the bots of a channel, given as one or as several."""
    check_text("channel", channel)
    listed = [bots] if isinstance(bots, LarkBot | SlackBot) else items_of(bots)
    found = [bot for bot in listed if isinstance(bot, LarkBot | SlackBot)]
    if not found or len(found) < len(listed):
        expected = f"a LarkBot or SlackBot, or several, for {channel}"
        raise InvalidArgumentError(argument="channels", value=type(bots).__name__, expected=expected)
    return found


def people_of(at: object) -> list[str]:
    """Return the people to name in a message, given by their ids."""
    listed = items_of(at)
    people = [one for one in listed if isinstance(one, str)]
    if len(people) < len(listed) or (isinstance(at, str) or not isinstance(at, Iterable | None)):
        raise InvalidArgumentError(argument="at", value=at, expected="a list of ids, as texts")
    return people


def refused(status: int, code: object, body: str) -> NotifyError:
    """Return the error of an answer that says no."""
    return NotifyError(status=status, code=code, body=body[:_SHOWN])


def _table(status: int, body: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        raise refused(status, None, body) from None
    if not is_table(answer):
        raise refused(status, None, body)
    return dict(answer)
