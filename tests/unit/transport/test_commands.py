"""Commands are applied in order and answered; wrong ones change nothing and end nothing."""

import json

import pytest

from mainspring.transport import Broadcast, Connection, Subscriber
from mainspring.transport._address import parse_address
from mainspring.transport._commands import CommandReader
from mainspring.transport._options import LinkOptions
from mainspring.transport._subscriptions import Subscriptions


def _reader(max_keys: int = 3) -> tuple[CommandReader, Subscriptions[Subscriber], Subscriber]:
    options = LinkOptions.checked(
        auth_key=None, ssl=None, header_bytes=4, max_bytes=100, heartbeat=None, idle_timeout=None, handshake_timeout=1.0
    )
    subscriber = Subscriber(Connection(options.stream_link(parse_address("unix://x"))), Broadcast())
    subscriptions = Subscriptions[Subscriber]()
    return CommandReader(subscriptions, max_keys=max_keys), subscriptions, subscriber


async def test_several_commands_in_one_message_are_applied_in_order() -> None:
    reader, subscriptions, client = _reader()
    message = json.dumps({"subscribe": ["a", "b", 1], "unsubscribe": ["b", "never"], "subscribe:all": True, "hm": 1})
    assert message == reader.take(client, message.encode())
    assert {"a", 1} == subscriptions.keys
    assert [client] == list(subscriptions.everything)
    assert '{"unsubscribe:all":0}' == reader.take(client, b'{"unsubscribe:all":0}')
    assert [] == list(subscriptions.everything)


async def test_the_answer_is_the_beginning_of_the_message() -> None:
    reader, _, client = _reader()
    message = json.dumps({"subscribe": [], "comment": "ä" * 300}, ensure_ascii=False)
    assert message[:200] == reader.take(client, message.encode())


@pytest.mark.parametrize("message", [b"", b"{", b"[1]", b"7", b"\xff\xfe", b'{"a"', b"null", b"[" * 5000])
async def test_what_cannot_be_read_is_answered_with_nothing(message: bytes) -> None:
    reader, subscriptions, client = _reader()
    assert "" == reader.take(client, message)
    assert set() == subscriptions.keys


@pytest.mark.parametrize("items", ["a", 1, None, {"a": 1}])
@pytest.mark.parametrize("command", ["subscribe", "unsubscribe"])
async def test_keys_come_in_a_list(command: str, items: object) -> None:
    reader, _, client = _reader()
    assert '{"error":"Subscribe items must be a list"}' == reader.take(client, json.dumps({command: items}).encode())


async def test_keys_are_texts_or_numbers() -> None:
    reader, subscriptions, client = _reader()
    assert "texts or numbers" in reader.take(client, b'{"subscribe":["a",["b"]]}')
    assert set() == subscriptions.keys


async def test_the_keys_of_a_client_are_bounded() -> None:
    reader, subscriptions, client = _reader(max_keys=2)
    assert "Too many" not in reader.take(client, b'{"subscribe":["a","b","a"]}')
    assert '{"error":"Too many keys"}' == reader.take(client, b'{"subscribe":["c"]}')
    assert {"a", "b"} == subscriptions.keys
