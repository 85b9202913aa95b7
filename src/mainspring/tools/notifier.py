"""`Notifier`: messages to people, through a gateway or straight to Lark and Slack (extra `aiohttp`)."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self  # Any: messages and answers are whatever the services take
from urllib.parse import urlsplit

from mainspring.base import Backoff, current_clock, encode_json, load_extra, new_id
from mainspring.errors import ConfigError, InvalidArgumentError, MissingConfigError, NotifyError
from mainspring.resilience import RateLimit, check_count, check_seconds, retry
from mainspring.tools._config_loader import ConfigLoader
from mainspring.tools._notify_bots import (
    Bot,
    Message,
    bots_of,
    check_gateway,
    check_message,
    check_url,
    gateway_message,
    make_bot,
    people_of,
    refused,
)
from mainspring.tools._notify_repeats import Repeats
from mainspring.tools._values import check_text, is_table

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_BACKOFF: Final = Backoff(0.5, maximum=10.0, jitter="full", max_tries=4)
_MOST_BYTES: Final = 65_536
"""How much of an answer is read."""


class Notifier:
    """Sends messages to channels of people.

    Two ways: `Notifier(url=, user_id=)` talks to a notification gateway, which knows the channels;
    `Notifier.direct({...})` posts to webhooks of Lark and Slack itself. Each attempt has a time limit; failures
    that may pass (no answer, 429, 5xx) are tried again with the same idempotency key; each channel has a rate
    limit. Inside `async with` all calls share one HTTP session; outside each has its own.

    Args:
        url: the gateway.
        user_id: who sends, as the gateway knows it.
        timeout: seconds for each attempt of a call that names none.
        backoff: the delays between attempts, and how many there are.
        per_minute: messages that one channel takes in a minute; more wait their turn, `max_wait` seconds at most.
        max_wait: seconds that a message waits for its turn.
        repeat_after: seconds in which an equal message to the same channel is not sent again; 0 sends all.
        ignored: other settings, so that a whole table of a configuration can be passed.

    Raises:
        InvalidArgumentError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        url: str,
        user_id: str,
        timeout: float = 10.0,
        backoff: Backoff = _BACKOFF,
        per_minute: int = 60,
        max_wait: float = 60.0,
        repeat_after: float = 0.0,
        **ignored: object,
    ) -> None:
        check_url("url", url)
        check_text("user_id", user_id)
        self._url, self._user_id = url, user_id
        self._bots: dict[str, list[Bot]] | None = None
        self._configure(timeout, backoff, per_minute, max_wait, repeat_after)

    def _configure(
        self, timeout: float, backoff: Backoff, per_minute: int, max_wait: float, repeat_after: float
    ) -> None:
        self._timeout = check_seconds("timeout", timeout)
        self._per_minute = check_count("per_minute", per_minute)
        self._max_wait = check_seconds("max_wait", max_wait, zero=True)
        self._repeats = Repeats(check_seconds("repeat_after", repeat_after, zero=True))
        self._limits: dict[str, RateLimit] = {}
        self._session: ClientSession | None = None
        self._post = retry(on=NotifyError, backoff=backoff)(self._attempt)

    @classmethod
    def direct(
        cls,
        channels: Mapping[str, Bot | Sequence[Bot]] | None = None,
        *,
        timeout: float = 10.0,
        backoff: Backoff = _BACKOFF,
        per_minute: int = 60,
        max_wait: float = 60.0,
        repeat_after: float = 0.0,
    ) -> Self:
        """Return a notifier that needs no gateway: it posts to the bots of each channel.

        Raises:
            InvalidArgumentError: an argument is outside its range.
        """
        self = cls.__new__(cls)
        self._url = self._user_id = ""
        given: object = channels or {}
        if not is_table(given):
            raise InvalidArgumentError(argument="channels", value=given, expected="a mapping of names to bots")
        self._bots = {name: bots_of(name, bots) for name, bots in given.items()}
        self._configure(timeout, backoff, per_minute, max_wait, repeat_after)
        return self

    @classmethod
    def from_env(cls) -> Self:
        """Return the notifier of the gateway that NOTIFIER_URL and NOTIFIER_USER_ID name.

        Raises:
            ConfigError: (a ValueError) one of them is missing or empty.
        """
        found = {name: os.environ.get(name, "") for name in ("NOTIFIER_URL", "NOTIFIER_USER_ID")}
        missing = [name for name, value in found.items() if not value]
        if missing:
            raise ConfigError(source="the environment", reason=f"{' and '.join(missing)} must be set")
        return cls(url=found["NOTIFIER_URL"], user_id=found["NOTIFIER_USER_ID"])

    @classmethod
    def from_config(cls, config_dir: str, config_name: str, key: str = "notifier") -> Self:
        """Return the notifier that a table of a configuration describes; see `from_settings`.

        Args:
            config_dir: as for `ConfigLoader`.
            config_name: as for `ConfigLoader`.
            key: the table; the empty text is the whole configuration.

        Raises:
            MissingConfigError: (a KeyError) there is no such table.
            ConfigError: it describes no notifier.
        """
        config = ConfigLoader(config_dir, config_name).load_config()
        if key and not is_table(config.get(key)):
            raise MissingConfigError(source=f"{config_dir}/{config_name}", key=key)
        return cls.from_settings(config[key] if key else config)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the notifier that a table of settings describes.

        Either `url` and `user_id` of a gateway; or `channels`, a table of tables `type`, `url`, and at will
        `secret` and `note`. Beside them `timeout`, `per_minute`, `max_wait` and `repeat_after`; others are ignored.

        Raises:
            ConfigError: neither is there.
        """
        names = ("timeout", "per_minute", "max_wait", "repeat_after")
        options = {name: settings[name] for name in names if name in settings}
        channels = settings.get("channels")
        if is_table(channels):
            return cls.direct({name: _bot_of(name, table) for name, table in channels.items()}, **options)
        if not settings.get("url") or not settings.get("user_id"):
            raise ConfigError(source="the settings of the notifier", reason="give url and user_id, or channels")
        return cls(url=settings["url"], user_id=settings["user_id"], **options)

    @property
    def url(self) -> str:
        """The gateway; empty without one."""
        return self._url

    @property
    def user_id(self) -> str:
        """Who sends; empty without a gateway."""
        return self._user_id

    async def add_channel(self, channel: str, bot_type: str, bot_url: str, bot_note: str = "") -> None:
        """Let a channel have this one bot, in the place of those that it had.

        Args:
            channel: its name.
            bot_type: "lark" or "slack".
            bot_url: the webhook.
            bot_note: what it is for.

        Raises:
            InvalidArgumentError: the type or URL is none.
            NotifyError: the gateway did not do it.
        """
        check_text("channel", channel)
        bot = make_bot(bot_type, bot_url, bot_note)
        if self._bots is not None:
            self._bots[channel] = [bot]
            return
        entry = {"bot_type": bot_type, "bot_url": bot_url, "bot_note": bot_note}
        await self._ask("POST", "/api/channel/", {"channel": channel, "bots": [entry]})

    async def del_channel(self, channel: str) -> None:
        """Take its bots from a channel.

        Raises:
            NotifyError: the gateway did not do it.
        """
        check_text("channel", channel)
        if self._bots is not None:
            self._bots.pop(channel, None)
            return
        await self._ask("POST", "/api/channel/", {"channel": channel, "bots": []})

    async def get_channel(self, channel: str) -> list[dict[str, Any]]:
        """Return the bots of a channel: `bot_type`, `bot_url`, `bot_note` of each.

        Raises:
            NotifyError: the gateway did not tell.
        """
        check_text("channel", channel)
        if self._bots is not None:
            bots = self._bots.get(channel, [])
            return [{"bot_type": bot.bot_type, "bot_url": bot.url, "bot_note": bot.note} for bot in bots]
        answer = await self._ask("GET", "/api/channel_info/", {"channel": channel})
        return list(answer.get("bots") or [])

    async def notify(
        self,
        channel: str,
        msg: Message,
        at: Sequence[str] | None = None,
        timeout: float = 3.0,
        msg_type: str | None = None,
        **params: Any,
    ) -> bool:
        """Send a message to a channel; to each of its bots, also when one of them fails.

        Args:
            channel: its name.
            msg: a text; or a mapping in the form of the service, as a card of Lark.
            at: the people to name in it.
            timeout: seconds for each attempt.
            msg_type: what the gateway calls the kind of a text; "text" when left out.
            params: passed on to the gateway.

        Returns:
            Whether it was sent: False for a repetition that was held back. Each bot has the repetitions that it took
            held back, so that one which failed gets the next.

        Raises:
            InvalidArgumentError: the message or another argument is of another type, or the channel is unknown here.
            LimitTimeoutError: the channel's turn did not come in time.
            NotifyError: it was not taken, or not by all bots of the channel.
        """
        check_message(msg)
        check_text("channel", channel)
        check_seconds("timeout", timeout)
        people = people_of(at)
        if self._bots is not None and channel not in self._bots:
            raise InvalidArgumentError(argument="channel", value=channel, expected=f"one of {sorted(self._bots)}")
        alert = (channel, encode_json([msg, people, msg_type]))
        bots = enumerate((None,) if self._bots is None else self._bots[channel])  # None stands for the gateway
        found = {bot: self._repeats.admit(alert, bot, current_clock().monotonic()) for bot in bots}
        due = {bot: held_back for bot, held_back in found.items() if held_back is not None}
        if not due:
            return False
        send = partial(self._send, channel, at=people, timeout=timeout, msg_type=msg_type, params=params)
        try:
            await self._limits.setdefault(channel, RateLimit(self._per_minute)).acquire(timeout=self._max_wait)
            await _send_to_each(due, msg, send)
        finally:
            for bot, held_back in due.items():
                self._repeats.forget(alert, bot, held_back)
        return True

    async def _send(
        self,
        channel: str,
        msg: Message,
        bot: Bot | None,
        *,
        at: list[str],
        timeout: float,
        msg_type: str | None,
        params: dict[str, Any],
    ) -> None:
        if bot is None:
            sent = {"channel": channel, "at": at, "params": params, **gateway_message(msg, msg_type)}
            await self._ask("POST", "/api/notify/", sent, timeout=timeout)
            return
        body = bot.payload(msg, at, now=current_clock().time())
        status, text = await self._post("POST", bot.url, body, new_id(), timeout)
        bot.check(status, text)

    async def _ask(
        self, method: str, path: str, fields: Mapping[str, Any], *, timeout: float | None = None
    ) -> dict[str, Any]:
        body = {"userId": self._user_id, **fields}
        url = f"{self._url.rstrip('/')}{path}"
        status, text = await self._post(method, url, body, new_id(), timeout or self._timeout)
        return check_gateway(status, text)

    async def _attempt(
        self, method: str, url: str, body: Mapping[str, Any], key: str, timeout: float
    ) -> tuple[int, str]:
        """Make one request; return status and text of an answer, raise for one that may be better later."""
        aiohttp = load_extra("aiohttp", feature="sending notifications", extra="aiohttp")
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with (
                self._open_session() as session,
                session.request(
                    method, url, data=encode_json(body), headers=headers, timeout=limit, allow_redirects=False
                ) as response,
            ):
                text = (await _beginning(response)).decode(errors="replace")
                status = response.status
                wait = _seconds(response.headers.get("Retry-After", ""))
        except TimeoutError:
            raise NotifyError(status=0, code=None, body=f"no answer within {timeout:g} s") from None
        except aiohttp.ClientError as error:
            # its text may hold the address, which for a webhook is the secret
            host = urlsplit(url).hostname
            raise NotifyError(status=0, code=None, body=f"no answer from {host} ({type(error).__name__})") from None
        if status == 429 or status >= 500:
            found = refused(status, None, text)
            found.retry_after = wait
            raise found
        return status, text

    @asynccontextmanager
    async def _open_session(self) -> "AsyncGenerator[ClientSession]":
        if self._session is not None:
            yield self._session
            return
        from aiohttp import ClientSession

        async with ClientSession() as session:
            yield session

    async def __aenter__(self) -> Self:
        load_extra("aiohttp", feature="sending notifications", extra="aiohttp")
        from aiohttp import ClientSession

        self._session = ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def __repr__(self) -> str:
        if self._bots is not None:
            return f"<Notifier direct, channels {', '.join(sorted(self._bots)) or 'none'}>"
        return f"<Notifier {urlsplit(self._url).hostname}, user {self._user_id}>"


async def _beginning(response: "ClientResponse") -> bytes:
    """Return an answer, or the first 64 KiB of one that is longer; it may come in pieces."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= _MOST_BYTES:
            break
    return bytes(body[:_MOST_BYTES])


async def _send_to_each(
    due: dict[tuple[int, Bot | None], int], msg: Message, send: Callable[[Message, Bot | None], Awaitable[None]]
) -> None:
    """Send a message to bots and take those that got it out of `due`, which says how often each had it held back."""
    failure: NotifyError | None = None
    for bot, held_back in list(due.items()):
        counted = f"{msg}\n(held back {held_back} times before)" if held_back and isinstance(msg, str) else msg
        try:
            await send(counted, bot[1])
        except NotifyError as error:
            failure = failure or error
        else:
            del due[bot]
    if failure is not None:
        raise failure


def _bot_of(name: str, table: object) -> Bot:
    if not is_table(table) or not table.get("url"):
        raise ConfigError(source="the settings of the notifier", key=f"channels.{name}", reason="give type and url")
    return make_bot(table.get("type", ""), table["url"], table.get("note", ""), secret=table.get("secret"))


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isdecimal() else 0.0
