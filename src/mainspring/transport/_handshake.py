"""The handshake, pure: how two ends show each other that they know the same key without telling it.

    server -> client   CHALLENGE   magic, version, server nonce
    client -> server   ANSWER      magic, version, client nonce, proof of the client
    server -> client   WELCOME     magic, version, proof of the server        (or REFUSAL: magic, 0)

A proof is HMAC-SHA256, with the key, over the role that makes it, the version, the transport and both nonces.
So it is good for one role, in one exchange, over one kind of link: reflected, replayed, or carried to another
transport it is wrong. The server proves nothing to a client that has not proved itself, which leaves nothing
to reflect at it. There is one version; another one is refused, never agreed upon.

Whoever hears one exchange can try keys against it at home. That is why keys have 16 bytes at least, and should
be random. The handshake does not encrypt: off the machine, TLS does. What it defends against, and what not, is
a page of the manual.

Source: the challenge and response of ISO/IEC 9798-4, mutual, three passes.
"""

import hmac
from typing import Final

from mainspring.errors import AuthenticationError, HandshakeError, InvalidArgumentError

VERSION: Final = 1
NONCE_BYTES: Final = 32
MIN_KEY_BYTES: Final = 16

_MAGIC: Final = b"mspr"
_LABEL: Final = b"mainspring handshake"
_PROOF_BYTES: Final = 32
_HEAD: Final = _MAGIC + bytes([VERSION])
_CHALLENGE_BYTES: Final = len(_HEAD) + NONCE_BYTES
_ANSWER_BYTES: Final = _CHALLENGE_BYTES + _PROOF_BYTES
_WELCOME_BYTES: Final = len(_HEAD) + _PROOF_BYTES

REFUSAL: Final = _MAGIC + b"\0"
"""What a server says to a client before it hangs up."""

MAX_MESSAGE_BYTES: Final = _ANSWER_BYTES
"""The longest message of the exchange."""


def check_key(auth_key: str | bytes) -> bytes:
    """Return the key as bytes.

    Raises:
        InvalidArgumentError: it has fewer than 16 bytes.
    """
    key = auth_key.encode() if isinstance(auth_key, str) else bytes(auth_key)
    if len(key) < MIN_KEY_BYTES:
        raise InvalidArgumentError(
            argument="auth_key",
            value=f"{len(key)} bytes",
            expected=f"at least {MIN_KEY_BYTES} bytes",
            hint="make one with `python -c 'import secrets; print(secrets.token_hex())'`",
        )
    return key


class ServerHandshake:
    """The server's part: send `challenge`, give the answer to `check`, send what that returns.

    Args:
        key: the shared key.
        transport: the kind of link, as both ends see it.
        nonce: 32 fresh bytes that nobody can foresee.
        peer: the other end, for messages.
    """

    def __init__(self, key: bytes, *, transport: str, nonce: bytes, peer: str) -> None:
        self._key = key
        self._transport = transport
        self._nonce = nonce
        self._peer = peer
        self.challenge = _HEAD + nonce

    def check(self, answer: bytes) -> bytes:
        """Return the welcome.

        Raises:
            AuthenticationError: the proof is wrong.
            HandshakeError: this is no answer of this version.
        """
        client_nonce, proof = _split(answer, _ANSWER_BYTES, NONCE_BYTES, self._peer)
        nonces = self._nonce + client_nonce
        if not hmac.compare_digest(proof, _prove(self._key, b"client", self._transport, nonces)):
            raise AuthenticationError(peer=self._peer, reason="it does not know the key", hint=_hint(self._transport))
        return _HEAD + _prove(self._key, b"server", self._transport, nonces)


class ClientHandshake:
    """The client's part: give the challenge to `answer`, send what that returns, give the welcome to `check`.

    The arguments are those of `ServerHandshake`.
    """

    def __init__(self, key: bytes, *, transport: str, nonce: bytes, peer: str) -> None:
        self._key = key
        self._transport = transport
        self._nonce = nonce
        self._peer = peer
        self._nonces = b""

    def answer(self, challenge: bytes) -> bytes:
        """Return the answer to the server's challenge.

        Raises:
            AuthenticationError: the challenge is this client's own nonce.
            HandshakeError: this is no challenge of this version.
        """
        server_nonce, _ = _split(challenge, _CHALLENGE_BYTES, NONCE_BYTES, self._peer)
        if hmac.compare_digest(server_nonce, self._nonce):
            raise AuthenticationError(peer=self._peer, reason="it sent back what it was sent")
        self._nonces = server_nonce + self._nonce
        return _HEAD + self._nonce + _prove(self._key, b"client", self._transport, self._nonces)

    def check(self, welcome: bytes) -> None:
        """Return when the server has proved itself.

        Raises:
            AuthenticationError: it refused this client, or its proof is wrong.
            HandshakeError: this is no welcome of this version.
        """
        if welcome == REFUSAL:
            raise AuthenticationError(peer=self._peer, reason="it does not accept the key", hint=_hint(self._transport))
        proof, _ = _split(welcome, _WELCOME_BYTES, _PROOF_BYTES, self._peer)
        if not self._nonces or not hmac.compare_digest(
            proof, _prove(self._key, b"server", self._transport, self._nonces)
        ):
            raise AuthenticationError(peer=self._peer, reason="it does not know the key")


def _prove(key: bytes, role: bytes, transport: str, nonces: bytes) -> bytes:
    # Fields of varying length are followed by a zero byte, which none of them contains.
    said = b"\0".join((_LABEL, role, bytes([VERSION]), transport.encode(), nonces))
    return hmac.digest(key, said, "sha256")


def _split(message: bytes, size: int, first: int, peer: str) -> tuple[bytes, bytes]:
    """Return the two fields after the head of a message of exactly `size` bytes."""
    if not message.startswith(_MAGIC):
        raise HandshakeError(peer=peer, reason="it does not speak this protocol", hint="does it use auth_key= as well?")
    if not message.startswith(_HEAD):
        raise HandshakeError(peer=peer, reason=f"it does not speak version {VERSION} of the protocol")
    if len(message) != size:
        raise HandshakeError(peer=peer, reason=f"a message of {len(message)} bytes came where {size} were expected")
    start = len(_HEAD)
    return message[start : start + first], message[start + first :]


def _hint(transport: str) -> str:
    return f"both ends need the same auth_key= and header_bytes=, and a link of the same kind ({transport} here)"
