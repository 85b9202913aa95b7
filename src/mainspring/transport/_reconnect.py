"""A connection that is made again whenever it is lost."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, Self, TypeVar, overload  # Any: decoded data has the type that was asked for

from mainspring.base import Backoff, current_clock, decode_json, encode_json
from mainspring.errors import AuthenticationError, ClosedError, ConnectionClosedError, FrameTooLargeError
from mainspring.resilience import timeout
from mainspring.transport._connection import Connection
from mainspring.transport._records import Bytes

log = logging.getLogger(__name__)

T = TypeVar("T")

_HEALTHY_SECONDS: Final = 10.0


class ReconnectingConnection:
    """A client that connects again when its connection is lost. Made by `connect(reconnect=...)`.

    Records that were under way when the connection was lost are lost with it: at most once. What must arrive
    needs an answer, or a dataflow with acknowledgements. A read goes on with the next connection; a write
    waits for one.

    A connection that is lost is made again at once; one that was lost within 10 s counts as an attempt that failed,
    so that a server which takes connections only to cut them is not called without a pause.

    Attributes:
        address: where it connects.
        connect_count: connections that were made so far.
    """

    def __init__(self, dial: Callable[[], Awaitable[Connection]], address: str, backoff: Backoff) -> None:
        self._dial = dial
        self.address = address
        self._backoff = backoff
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._closed = asyncio.Event()
        self._delays: Iterator[float] | None = None  # of the attempts since a connection that lasted
        self._connected_at: float | None = None  # until it is known how long that connection lasted
        self._due_at = -math.inf
        self.connect_count = 0

    def __repr__(self) -> str:
        return f"<ReconnectingConnection {self.address} connected={self.is_connected} count={self.connect_count}>"

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now, as far as is known."""
        return self._connection is not None and not self._connection.is_closed

    async def connection(self) -> Connection:
        """Return the connection; make one first when there is none.

        Raises:
            ClosedError: this client was closed.
            OSError: the last error, when the backoff allows no further attempt.
            AuthenticationError: one of the ends does not know the key; that is not tried again.
        """
        async with self._lock:  # one dial at a time
            if self._closed.is_set():
                raise ClosedError(what="the client")
            if self._connection is None or self._connection.is_closed:
                if self._connection is not None:
                    await self._connection.close()
                self._connection = await self._dial_with_backoff()
                self._connected_at = current_clock().monotonic()
                self.connect_count += 1
            return self._connection

    async def read_bytes(self) -> bytes | memoryview:
        """Return the next record, of this connection or of a later one.

        Raises:
            FrameTooLargeError: it is longer than `max_bytes`; the next read connects again.
            Exception: as `connection`.
        """
        while True:
            # One that is lost may still hold records that came before.
            connection = self._connection or await self.connection()
            try:
                return await connection.read_bytes()
            except (ConnectionClosedError, ClosedError) as error:  # its user may have closed the connection alone
                self._note_loss(connection, error)
            except FrameTooLargeError as error:
                self._note_loss(connection, error)
                raise

    @overload
    async def read_json(self, type: type[T]) -> T: ...
    @overload
    async def read_json(self, type: Any = Any) -> Any: ...
    async def read_json(self, type: Any = Any) -> Any:
        """Return what the next record says as JSON, checked and converted to `type`."""
        return decode_json(await self.read_bytes(), type)

    async def messages(self) -> AsyncIterator[bytes | memoryview]:
        """Yield records, over all connections, until this client is closed."""
        while True:
            try:
                record = await self.read_bytes()
            except ClosedError:
                return
            yield record

    def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        return self.messages()

    async def write_bytes(self, payload: Bytes) -> None:
        """Send one record; see `connection` for what it raises."""
        await self._write(lambda connection: connection.write_bytes(payload))

    async def write_json(self, value: object) -> None:
        """Send `value` as JSON."""
        encoded = encode_json(value)
        await self._write(lambda connection: connection.write_encoded_json(encoded))

    async def close(self) -> None:
        """Close; nothing is connected again. A reader that waits hears of it."""
        self._closed.set()
        if self._connection is not None:
            await self._connection.close()

    async def __aenter__(self) -> Self:
        await self.connection()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _write(self, write: Callable[[Connection], Awaitable[None]]) -> None:
        while True:
            connection = await self.connection()
            try:
                return await write(connection)
            except (ConnectionClosedError, ClosedError) as error:  # its user may have closed the connection alone
                self._note_loss(connection, error)

    async def _dial_with_backoff(self) -> Connection:
        if self._connected_at is not None:  # the connection that is lost counts once, whoever asks for the next one
            is_cut = current_clock().monotonic() - self._connected_at < _HEALTHY_SECONDS
            self._connected_at = None
            if is_cut:
                reason = "it was lost as soon as it was made"
                self._plan(ConnectionClosedError(what=f"the connection to {self.address}", reason=reason))
            else:
                self._delays = None
        if self._delays is None:
            self._delays = self._backoff.delays()
        while True:
            await self._until_due()
            try:
                connection = await self._dial()
            except AuthenticationError:
                raise
            except OSError as error:  # HandshakeError and TimeoutError are among them
                self._plan(error)
                continue
            if self._closed.is_set():
                await connection.close()
                raise ClosedError(what="the client")
            return connection

    def _plan(self, error: OSError) -> None:
        """Say when the next attempt is due; it stays so for whoever makes it, if this caller gives up.

        Raises:
            OSError: the error, when there is no further attempt.
        """
        delay = None if self._delays is None else next(self._delays, None)
        if delay is None:
            self._delays = None  # who asks again begins anew
            raise error
        log.info("%s: %s; connecting again in %.3g s", self.address, error, delay)
        self._due_at = current_clock().monotonic() + delay

    async def _until_due(self) -> None:
        """Wait until the next attempt is due, or until this client is closed."""
        left = self._due_at - current_clock().monotonic()
        if left > 0:
            with contextlib.suppress(TimeoutError):
                async with timeout(left):
                    await self._closed.wait()
                raise ClosedError(what="the client")

    def _note_loss(self, connection: Connection, error: Exception) -> None:
        if self._closed.is_set():
            raise ClosedError(what="the client") from error
        log.warning("%s; connecting again", error)
        connection.abort()
        if self._connection is connection:
            self._connection = None
