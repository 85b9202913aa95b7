"""TCPServer: one task for each client, as many as are allowed at a time.

The server accepts by itself instead of through `asyncio.start_server`: when it is full it stops to accept, so
that newcomers wait in the kernel's queue, and a TLS handshake that never ends counts as a connection too. It
accepts in a callback of the loop and not in a task, since a task that is cancelled between the system's accept and
its own next step would lose the connection, unclosed.
"""

import asyncio
import logging
import ssl
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Final

from mainspring.base import abort_transport
from mainspring.errors import InvalidArgumentError
from mainspring.resilience import timeout as time_limit
from mainspring.services._listening import Socket, check_place, given, open_listener, take_name
from mainspring.services._simple_server import SimpleServer
from mainspring.transport import SocketOption

log = logging.getLogger(__name__)

_ACCEPTED_AT_ONCE: Final = 64  # per turn of the loop, so that a crowd does not block it
_PAUSE: Final = 0.5  # seconds without accepting when the system has no descriptors left


class TCPServer(SimpleServer):
    """Serves clients over TCP. Subclass it and write `handle_client(reader, writer)`.

    The writer is closed when the handler returns or fails; failures are logged. While `max_connections` are
    open, newcomers wait in the queue of the system. When the program stops, the handlers are cancelled.

    Args:
        address: where to listen; after the start, where it listens.
        port: 0 for a free one; after the start, the real one.

    Attributes:
        options: socket options, set before binding.
        sock: a bound socket instead of address and port; closed with the service.
        reuse_port: share the port with other processes of this user that do the same.
        backlog: newcomers that the system keeps waiting.
        max_connections: clients served at a time.
        close_timeout: seconds in which a client must take what was written before the handler ended.
        limit: bytes that the reader keeps before it stops reading.

    Raises:
        MisuseError: neither `sock` nor both address and port are given.
        InvalidArgumentError: `max_connections` is below 1, or `sock` is no socket.
        BindError: (from the start) the address cannot be listened on.
    """

    __async_required__ = ("handle_client",)

    address: str | None = None
    port: int | None = None
    options: Iterable[SocketOption] = ()
    sock: Socket | None = None
    reuse_port: bool = False
    backlog: int = 1024
    max_connections: int = 10_000
    close_timeout: float = 5.0
    limit: int = 1 << 16

    _socket: Socket | None = None
    _context: ssl.SSLContext | None = None
    _is_accepting: bool = False
    _retry: asyncio.TimerHandle | None = None

    def __init__(self, address: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        super().__init__(**given(address=address, port=port), **kwargs)
        check_place(self)
        if self.max_connections < 1:
            raise InvalidArgumentError(argument="max_connections", value=self.max_connections, expected="an int >= 1")
        self._forget_connections()

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._forget_connections()

    def _forget_connections(self) -> None:
        self._connections: set[asyncio.Task[None]] = set()
        self._fresh: set[Socket] = set()  # accepted, but their tasks have not begun

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.address}:{self.port} connections={self.connection_count}>"

    @abstractmethod
    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        """Serve one client until it leaves, or until there is nothing more to say."""

    @property
    def socket(self) -> Socket | None:
        """The socket that listens; None before the start and after the stop."""
        return self._socket

    @property
    def connection_count(self) -> int:
        """How many clients are connected, those in a handshake included."""
        return len(self._connections)

    def healthy(self) -> bool:
        """Say whether it listens."""
        return self._socket is not None

    async def start(self) -> None:
        """Listen, and return."""
        self._context = await self.make_context()
        sock = await open_listener(self, "tcp" if self._context is None else "tls", backlog=self.backlog)
        take_name(self, sock)
        self._socket = sock
        self._resume()

    async def make_context(self) -> ssl.SSLContext | None:
        """Return what the connections are encrypted with; None for nothing."""
        return None

    async def stop(self, exception: Any = None) -> None:
        """Accept nobody any more, cancel the handlers, and wait until all connections are closed."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._pause(sock)
            sock.close()
        if self._retry is not None:
            self._retry.cancel()
        await super().stop(exception)
        while self._fresh:
            self._fresh.pop().close()

    def _pause(self, sock: Socket) -> None:
        if self._is_accepting:
            self._is_accepting = False
            self.loop.remove_reader(sock)

    def _resume(self) -> None:
        sock = self._socket
        if sock is not None and not self._is_accepting and len(self._connections) < self.max_connections:
            self._is_accepting = True
            self.loop.add_reader(sock, self._accept, sock)

    def _accept(self, sock: Socket) -> None:
        """Accept those who wait, until there are none, or no room."""
        for _ in range(_ACCEPTED_AT_ONCE):
            if len(self._connections) >= self.max_connections:
                self._pause(sock)
                return
            try:
                connection, _address = sock.accept()
            except ConnectionError:  # it left before it was accepted
                continue
            except BlockingIOError:
                return
            except OSError as error:
                log.error("%r accepts nobody for %.1f s: %s", self, _PAUSE, error)
                self._pause(sock)
                self._retry = self.loop.call_later(_PAUSE, self._resume)
                return
            connection.setblocking(False)
            self._fresh.add(connection)
            task = self.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._on_left)

    def _on_left(self, task: "asyncio.Task[None]") -> None:
        self._connections.discard(task)
        self._resume()

    async def _serve(self, connection: Socket) -> None:
        self._fresh.discard(connection)
        reader = asyncio.StreamReader(limit=self.limit, loop=self.loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self.loop)
        try:
            transport, _ = await self.loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context, **self.tls_timeouts()
            )
        except OSError as error:
            log.info("%r refused a client: %s", self, error)
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self.loop)
        try:
            await self.handle_client(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError) as error:
            log.info("%r lost a client: %s", self, str(error) or type(error).__name__)
        except Exception as error:  # supervisor: one client's failure is not the others'
            log.error("%r failed to serve a client", self, exc_info=error)
        finally:
            await close_writer(writer, self.close_timeout)

    def tls_timeouts(self) -> dict[str, float]:
        """Return the time limits of TLS, for the loop."""
        return {}


async def close_writer(writer: asyncio.StreamWriter, timeout: float) -> None:
    """Close a connection; what is not sent after `timeout` seconds, or at a cancellation, is dropped."""
    is_idle = not writer.transport.get_write_buffer_size() and writer.get_extra_info("ssl_object") is None
    writer.close()
    if is_idle:  # closed on the next turn, without a timer
        return
    try:
        async with time_limit(timeout):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        abort_transport(writer.transport)
