"""What clients of a proxy may say, and what they are answered."""

from typing import Any, Final  # Any: JSON of strangers

from mainspring.base import decode_json
from mainspring.errors import DecodeError
from mainspring.transport._broadcast import Subscriber
from mainspring.transport._subscriptions import Key, Subscriptions

_ECHO_CHARACTERS: Final = 200
_NO_LIST: Final = '{"error":"Subscribe items must be a list"}'
_NO_KEYS: Final = '{"error":"Subscribe items must be texts or numbers"}'
_TOO_MANY: Final = '{"error":"Too many keys"}'


class CommandReader:
    """Applies the commands of clients.

    Args:
        subscriptions: where they are noted.
        max_keys: keys of one client.
    """

    def __init__(self, subscriptions: Subscriptions[Subscriber], *, max_keys: int) -> None:
        self._subscriptions = subscriptions
        self._max_keys = max_keys

    def take(self, client: Subscriber, message: bytes) -> str:
        """Apply the commands of one message in order; return the answer.

        An unreadable message is answered with nothing, as "", a wrong command with an error, after which the
        commands behind it are not looked at; any other with its own beginning.
        """
        try:
            text = message.decode()
            commands = decode_json(text, dict[str, Any])
        except (UnicodeDecodeError, DecodeError):
            return ""
        for command, items in commands.items():
            problem = self._apply(client, command, items)
            if problem is not None:
                return problem
        return text[:_ECHO_CHARACTERS]

    def _apply(self, client: Subscriber, command: str, items: Any) -> str | None:
        if command == "subscribe:all":
            self._subscriptions.subscribe_all(client)
        elif command == "unsubscribe:all":
            self._subscriptions.unsubscribe_all(client)
        elif command in ("subscribe", "unsubscribe"):
            return self._apply_keys(client, items, is_more=command == "subscribe")
        return None

    def _apply_keys(self, client: Subscriber, items: Any, *, is_more: bool) -> str | None:
        if not isinstance(items, list):
            return _NO_LIST
        given: list[Any] = items  # pyright: ignore[reportUnknownVariableType]  # JSON lists hold anything
        keys: list[Key] = [item for item in given if isinstance(item, Key)]
        if len(keys) < len(given):
            return _NO_KEYS
        if not is_more:
            self._subscriptions.unsubscribe(client, keys)
        elif len(self._subscriptions.keys_of(client) | set(keys)) > self._max_keys:
            return _TOO_MANY
        elif keys:
            self._subscriptions.subscribe(client, keys)
        return None
