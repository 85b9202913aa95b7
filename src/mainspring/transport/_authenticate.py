"""The handshake on a link: each side's messages, within a time limit."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mainspring.errors import AuthenticationError, ConnectionClosedError, FrameTooLargeError, HandshakeError
from mainspring.resilience import timeout as time_limit
from mainspring.transport._handshake import (
    MAX_MESSAGE_BYTES,
    NONCE_BYTES,
    REFUSAL,
    ClientHandshake,
    ServerHandshake,
)
from mainspring.transport._link import Link
from mainspring.transport._records import RecordStart
from mainspring.transport._stream_link import StreamLink


async def admit_client(link: Link, key: bytes, *, timeout: float) -> None:
    """Let the client prove itself, then prove this server.

    Raises:
        AuthenticationError: it does not know the key; it was told so.
        HandshakeError: the exchange was cut, late or garbled.
    """
    shake = ServerHandshake(key, transport=link.kind, nonce=secrets.token_bytes(NONCE_BYTES), peer=link.peer)
    async with _exchange(link, timeout):
        if isinstance(link, StreamLink):
            link.codec.limit = MAX_MESSAGE_BYTES  # a stranger may not make us allocate
        link.outbox.write(link.encode(shake.challenge))
        answer = await _receive(link)
        try:
            welcome = shake.check(answer)
        except AuthenticationError as error:
            link.outbox.write(link.encode(REFUSAL))
            link.close(error)
            raise
        if isinstance(link, StreamLink):
            link.codec.limit = link.codec.longest
        link.outbox.write(link.encode(welcome))


async def prove_to_server(link: Link, key: bytes, *, timeout: float) -> None:
    """Prove this client, then let the server prove itself.

    Raises:
        AuthenticationError: the server refused this client, or does not know the key.
        HandshakeError: the exchange was cut, late or garbled.
    """
    shake = ClientHandshake(key, transport=link.kind, nonce=secrets.token_bytes(NONCE_BYTES), peer=link.peer)
    async with _exchange(link, timeout):
        link.outbox.write(link.encode(shake.answer(await _receive(link))))
        shake.check(await _receive(link))


@asynccontextmanager
async def _exchange(link: Link, timeout: float) -> AsyncGenerator[None]:
    """Turn what can go wrong inside into HandshakeError."""
    try:
        async with time_limit(timeout):
            yield
    except TimeoutError as error:
        raise HandshakeError(peer=link.peer, reason=f"the exchange took longer than {timeout:g} s") from error
    except (ConnectionClosedError, FrameTooLargeError) as error:
        raise HandshakeError(peer=link.peer, reason=f"the exchange was cut ({error})") from error


async def _receive(link: Link) -> bytes:
    item = await link.inbox.get()
    if isinstance(item, RecordStart) or len(item) > MAX_MESSAGE_BYTES:
        raise HandshakeError(peer=link.peer, reason="it sent something else than a message of the exchange")
    return bytes(item)
