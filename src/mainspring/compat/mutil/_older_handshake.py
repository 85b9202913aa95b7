"""The handshake that mutil's connections speak: only for peers that cannot speak another, and only when asked.

    client -> server   #CHALLENGE# and 128 random bytes
    server -> client   their HMAC with the key, by BLAKE2b: 64 bytes
    client -> server   #WELCOME#, or #FAILURE#
    ... and the same with the roles changed.

Nothing says who made an answer, or for which connection. Whoever does not know the key can have a challenge
answered by somebody who knows it, on a second connection, and is let in. The servers of this process answer no
challenge that one of them has asked; those of other processes cannot be told from honest ones. That is why
mainspring speaks its own handshake, and this one has to be asked for, on loopback and Unix sockets.
"""

import asyncio
import contextlib
import functools
import hmac
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from mainspring.compat.mutil._places import place
from mainspring.errors import AuthenticationError, ClosedError, ConnectionClosedError, HandshakeError
from mainspring.resilience import timeout
from mainspring.transport import Connection, adopt_streams

log = logging.getLogger(__name__)

CHALLENGE: Final = b"#CHALLENGE#"
WELCOME: Final = b"#WELCOME#"
FAILURE: Final = b"#FAILURE#"

_NONCE_BYTES: Final = 128
_PROOF_BYTES: Final = 64
_SECONDS: Final = 5.0
_MOST_CONNECTIONS: Final = 1000

_asked: Final[set[bytes]] = set()  # by servers of this process, and not answered yet


def prove(key: bytes, nonce: bytes) -> bytes:
    """Return the answer to a challenge."""
    return hmac.digest(key, nonce, "blake2b")


async def challenge_peer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes, *, is_server: bool
) -> None:
    """Let the other end show that it knows the key.

    Raises:
        AuthenticationError: it does not; it was told so.
        HandshakeError: it ended the exchange.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    if is_server:
        _asked.add(nonce)
    try:
        writer.write(CHALLENGE + nonce)
        proof = await _read(reader, writer, _PROOF_BYTES)
    finally:
        _asked.discard(nonce)
    if not hmac.compare_digest(proof, prove(key, nonce)):
        writer.write(FAILURE)
        raise AuthenticationError(peer=_peer(writer), reason="it does not know the key")
    writer.write(WELCOME)


async def answer_peer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes, *, is_server: bool
) -> None:
    """Show the other end that this one knows the key.

    Raises:
        AuthenticationError: it does not believe it, or sends back what it was asked.
        HandshakeError: it sends something else than a challenge, or ended the exchange.
    """
    message = await _read(reader, writer, len(CHALLENGE) + _NONCE_BYTES)
    nonce = message.removeprefix(CHALLENGE)
    if len(nonce) != _NONCE_BYTES:
        raise HandshakeError(peer=_peer(writer), reason="it does not speak mutil's handshake")
    if is_server and nonce in _asked:
        raise AuthenticationError(peer=_peer(writer), reason="it sent back what it was asked")
    writer.write(prove(key, nonce))
    if await _read(reader, writer, len(WELCOME)) != WELCOME:
        raise AuthenticationError(peer=_peer(writer), reason="it does not accept the key")


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> bytes:
    try:
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise HandshakeError(peer=_peer(writer), reason=f"the exchange was cut ({error})") from error


def _peer(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "a client of the socket"


Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def connect_older(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes, **options: Any
) -> Connection:
    """Return the connection of a client whose server knows the key, and believes that this end does.

    Raises:
        AuthenticationError: one of them does not.
        HandshakeError: the exchange was cut, late or garbled.
    """
    try:
        async with timeout(_SECONDS):
            await challenge_peer(reader, writer, key, is_server=False)
            await answer_peer(reader, writer, key, is_server=False)
        return await adopt_streams(reader, writer, **options)
    except TimeoutError as error:
        writer.transport.abort()
        raise HandshakeError(peer=_peer(writer), reason=f"the exchange took longer than {_SECONDS:g} s") from error
    except BaseException:
        writer.close()  # what was said last still goes out
        raise


class OlderServer:
    """Calls a handler with each connection whose other end has passed the older handshake.

    What the handler raises is told to the loop.
    """

    def __init__(
        self,
        listen: Callable[[Accept], Awaitable[asyncio.Server]],
        handler: Callable[[Connection], Awaitable[object]],
        key: bytes,
        **options: Any,
    ) -> None:
        self._listen = listen
        self._handler = handler
        self._key = key
        self._options = options
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[Any], Callable[[], object]] = {}  # and how to end each

    @property
    def address(self) -> str | None:
        """Where it listens; None when it does not."""
        if self._server is None or not self._server.sockets:
            return None
        name: Any = self._server.sockets[0].getsockname()  # Any: its form is the family's
        return f"unix://{name}" if isinstance(name, str) else place("tcp", name[0], name[1])

    async def start(self) -> None:
        """Listen."""
        self._server = await self._listen(self._accept)

    async def close(self) -> None:
        """Listen no more; handlers that read hear that it is the end, and those that go on are cancelled."""
        if self._server is None:
            return
        names = [socket.getsockname() for socket in self._server.sockets]
        self._server.close()
        for name in names:
            if isinstance(name, str):
                with contextlib.suppress(FileNotFoundError):  # newer loops remove it themselves
                    os.unlink(name)
        for end in list(self._serving.values()):
            end()
        await self._until_served()
        for task in list(self._serving):
            task.cancel()
        await self._until_served()
        with contextlib.suppress(TimeoutError):  # before 3.12.1 it may wait for what is gone
            async with timeout(_SECONDS):
                await self._server.wait_closed()

    async def _until_served(self) -> None:
        if self._serving:
            await asyncio.wait(list(self._serving), timeout=_SECONDS)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._serving) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._serving[task] = writer.transport.abort
        try:
            connection = await self._admit(reader, writer)
            if connection is not None:
                closing = ConnectionClosedError(what="the server", reason="it is closing", is_clean=True)
                self._serving[task] = functools.partial(connection.link.inbox.end, closing)
                async with connection:
                    await self._handler(connection)
        except (ConnectionClosedError, ClosedError) as error:
            log.debug("%s: %s", _peer(writer), error)
        finally:
            del self._serving[task]

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Connection | None:
        try:
            async with timeout(_SECONDS):
                await answer_peer(reader, writer, self._key, is_server=True)
                await challenge_peer(reader, writer, self._key, is_server=True)
            return await adopt_streams(reader, writer, **self._options)
        except (HandshakeError, TimeoutError) as error:
            log.warning("%s", error or f"{_peer(writer)} took longer than {_SECONDS:g} s")
        except BaseException:
            writer.transport.abort()
            raise
        writer.close()
        return None
