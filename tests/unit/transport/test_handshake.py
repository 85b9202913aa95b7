"""The handshake, pure: right keys agree, and no other exchange does."""

from collections.abc import Callable

import pytest

from mainspring.errors import AuthenticationError, HandshakeError, InvalidArgumentError
from mainspring.transport._handshake import (
    MAX_MESSAGE_BYTES,
    REFUSAL,
    ClientHandshake,
    ServerHandshake,
    check_key,
)

KEY, OTHER = b"k" * 16, b"o" * 16
NONCE, CLIENT_NONCE, NEXT = b"s" * 32, b"c" * 32, b"n" * 32


def _server(key: bytes = KEY, transport: str = "tcp/4", nonce: bytes = NONCE) -> ServerHandshake:
    return ServerHandshake(key, transport=transport, nonce=nonce, peer="the client")


def _client(key: bytes = KEY, transport: str = "tcp/4", nonce: bytes = CLIENT_NONCE) -> ClientHandshake:
    return ClientHandshake(key, transport=transport, nonce=nonce, peer="the server")


def test_the_same_key_on_both_ends_agrees() -> None:
    server, client = _server(), _client()
    answer = client.answer(server.challenge)
    client.check(server.check(answer))
    assert len(answer) == MAX_MESSAGE_BYTES


def test_a_client_with_another_key_is_refused_and_hears_it() -> None:
    server, client = _server(), _client(OTHER)
    with pytest.raises(AuthenticationError, match="the client: it does not know the key"):
        server.check(client.answer(server.challenge))
    with pytest.raises(AuthenticationError, match="the server: it does not accept the key"):
        client.check(REFUSAL)


def test_a_server_with_another_key_is_refused() -> None:
    """It lets everybody in and cannot prove itself."""
    client = _client()
    client.answer(_server().challenge)
    impostor, dupe = _server(OTHER), _client(OTHER)
    welcome = impostor.check(dupe.answer(impostor.challenge))
    with pytest.raises(AuthenticationError, match="the server: it does not know the key"):
        client.check(welcome)


def test_a_reflected_challenge_proves_nothing() -> None:
    """The attack on the older handshake: a peer without the key lets the victim answer its own challenge."""
    client = _client()
    with pytest.raises(AuthenticationError, match="sent back"):
        client.answer(_server(nonce=CLIENT_NONCE).challenge)


def test_the_proof_of_one_role_is_no_proof_of_the_other() -> None:
    server, client = _server(), _client()
    answer = client.answer(server.challenge)
    proof = answer[-32:]
    with pytest.raises(AuthenticationError):
        client.check(answer[:5] + proof)  # the client's proof, reflected at it as the server's
    welcome = server.check(answer)
    with pytest.raises(AuthenticationError):
        server.check(answer[:-32] + welcome[-32:])  # the server's proof as the client's


def test_an_exchange_cannot_be_replayed() -> None:
    server, client = _server(), _client()
    answer = client.answer(server.challenge)
    welcome = server.check(answer)
    with pytest.raises(AuthenticationError):
        _server(nonce=NEXT).check(answer)
    later = _client(nonce=NEXT)
    later.answer(server.challenge)
    with pytest.raises(AuthenticationError):
        later.check(welcome)


def test_an_exchange_cannot_be_carried_to_another_transport() -> None:
    """A man in the middle who takes the TLS away, or turns one kind of link into another."""
    server, client = _server(transport="tcp+tls/4"), _client(transport="tcp/4")
    with pytest.raises(AuthenticationError):
        server.check(client.answer(server.challenge))


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_refused_never_agreed_upon(version: int) -> None:
    server, client = _server(), _client()
    answer = client.answer(server.challenge)
    welcome = server.check(answer)

    def other(message: bytes) -> bytes:
        return message[:4] + bytes([version]) + message[5:]

    with pytest.raises(HandshakeError, match="version 1"):
        _client().answer(other(server.challenge))
    with pytest.raises(HandshakeError, match="version 1"):
        server.check(other(answer))
    with pytest.raises(HandshakeError, match="version 1"):
        client.check(other(welcome))


def test_every_truncation_and_every_extra_byte_is_refused() -> None:
    server, client = _server(), _client()
    answer = client.answer(server.challenge)
    welcome = server.check(answer)
    steps: list[tuple[Callable[[bytes], object], bytes]] = [
        (_client().answer, server.challenge),
        (server.check, answer),
        (client.check, welcome),
    ]
    for step, message in steps:
        for wrong in [*(message[:size] for size in range(len(message))), message + b"\0"]:
            with pytest.raises(HandshakeError):
                step(wrong)


def test_every_single_bit_counts() -> None:
    server, client = _server(), _client()
    answer = client.answer(server.challenge)
    for position in range(len(answer)):
        for bit in range(8):
            changed = bytearray(answer)
            changed[position] ^= 1 << bit
            with pytest.raises(HandshakeError):
                server.check(bytes(changed))


def test_a_welcome_without_a_challenge_is_refused() -> None:
    server, client = _server(), _client()
    welcome = server.check(client.answer(server.challenge))
    with pytest.raises(AuthenticationError):
        _client().check(welcome)


@pytest.mark.parametrize("key", ["", b"", b"x" * 15, "é" * 7])
def test_short_and_empty_keys_are_refused_without_being_shown(key: str | bytes) -> None:
    with pytest.raises(InvalidArgumentError, match=r"auth_key='\d+ bytes' is not accepted"):
        check_key(key)


def test_texts_are_keys_too() -> None:
    assert "schlüssel".encode() * 2 == check_key("schlüssel" * 2)
