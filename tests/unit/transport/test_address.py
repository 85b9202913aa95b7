"""Addresses are read, and what others could read, take over or use unasked is refused."""

import ssl
from collections.abc import Callable

import pytest
from tests.unit.transport.support_links import KEY, echo

from mainspring.errors import InsecureTransportError, InvalidArgumentError
from mainspring.transport import connect, serve
from mainspring.transport._address import Address, parse_address

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp://127.0.0.1:80", Address("tcp", "127.0.0.1", 80, "")),
        ("tcp://[::1]:0", Address("tcp", "::1", 0, "")),
        ("unix:///run/x.sock", Address("unix", "", 0, "/run/x.sock")),
        ("unix://x.sock", Address("unix", "", 0, "x.sock")),
        ("ws://localhost", Address("ws", "localhost", 80, "")),
        ("wss://example.org/feed?a=1", Address("wss", "example.org", 443, "/feed?a=1")),
    ],
)
def test_addresses_are_read(text: str, address: Address) -> None:
    assert address == parse_address(text)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1:80", "tcp://127.0.0.1", "tcp://:80", "tcp://h:99999", "tcp://h:1/path", "http://h:1", "unix://",
     "ws://user@h:1", "tcp://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="address"):
        parse_address(text)


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:0", "tcp://example.org:1", "ws://0.0.0.0:0"])
def test_unencrypted_links_off_the_machine_are_refused_with_a_key_too(address: str) -> None:
    """An authenticated but plain stream can be read and taken over after its handshake."""
    refused: tuple[Callable[[], object], ...] = (
        lambda: serve(address, echo, auth_key=KEY),
        lambda: connect(address, auth_key=KEY),
    )
    for refuse in refused:
        with pytest.raises(InsecureTransportError, match="unencrypted") as caught:
            refuse()
        assert "ssl=" in str(caught.value.hint)


def test_plain_tcp_off_the_machine_is_refused_whatever_is_said() -> None:
    with pytest.raises(InsecureTransportError, match="unencrypted"):
        serve("tcp://0.0.0.0:0", echo, auth_key=None, allow_unauthenticated=True)


def test_servers_off_the_machine_without_a_key_need_a_word() -> None:
    with pytest.raises(InsecureTransportError, match="open to everybody"):
        serve("tcp://0.0.0.0:0", echo, auth_key=None, ssl=CONTEXT)
    serve("tcp://0.0.0.0:0", echo, auth_key=None, ssl=CONTEXT, allow_unauthenticated=True)
    serve("ws://0.0.0.0:0", echo, auth_key=None, allow_unauthenticated=True)


def test_public_websockets_are_connected_to_over_tls_or_with_a_word() -> None:
    assert "wss://example.org:443/feed" in repr(connect("wss://example.org/feed", auth_key=None))
    assert "ws:" in repr(connect("ws://example.org/feed", auth_key=None, allow_unauthenticated=True))
    with pytest.raises(InsecureTransportError):
        assert not connect("ws://example.org/feed", auth_key=None)


def test_a_context_must_fit_the_address() -> None:
    with pytest.raises(InvalidArgumentError, match="ssl"):
        serve("unix:///x", echo, auth_key=KEY, ssl=CONTEXT)
    with pytest.raises(InvalidArgumentError, match="wss"):
        serve("wss://127.0.0.1:0", echo, auth_key=KEY)


def test_choices_do_not_show_the_key() -> None:
    server = serve("tcp://127.0.0.1:0", echo, auth_key=KEY)
    assert "<LinkOptions authenticated=True encrypted=False>" == repr(server._options)


@pytest.mark.parametrize(
    "wrong",
    [{"auth_key": "short"}, {"auth_key": ""}, {"max_connections": 0}, {"max_bytes": 0}, {"heartbeat": 0.0},
     {"idle_timeout": -1.0}, {"handshake_timeout": float("inf")}, {"header_bytes": 9}],
)  # fmt: skip
def test_wrong_choices_are_refused_at_once(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        serve("tcp://127.0.0.1:0", echo, **{"auth_key": KEY, **wrong})  # type: ignore[arg-type]  # wrong on purpose
