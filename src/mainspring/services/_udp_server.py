"""UDPServer: one call for each datagram."""

import asyncio
import inspect
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Iterable
from typing import Any

from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.services._listening import Address, Socket, check_place, given, open_socket, take_name
from mainspring.services._simple_server import SimpleServer
from mainspring.transport import SocketOption

log = logging.getLogger(__name__)


class UDPServer(SimpleServer):
    """Receives datagrams. Subclass it and write `handle_datagram(data, addr)`, plain or async.

    An async handler runs in a task for each datagram; while `max_tasks` run, further datagrams are dropped and
    counted, as are answers that the system does not take. Failures are logged.

    Args:
        address: where to listen; after the start, where it listens.
        port: 0 for a free one; after the start, the real one.

    Attributes:
        options: socket options, set before binding.
        sock: a bound datagram socket instead of address and port; closed with the service.
        reuse_port: share the port with other processes of this user that do the same.
        max_tasks: handlers that run at a time.
        dropped_count: datagrams that were dropped, in both directions.

    Raises:
        MisuseError: neither `sock` nor both address and port are given.
        InvalidArgumentError: `max_tasks` is below 1, or `sock` is no socket.
        BindError: (from the start) the address cannot be listened on.
    """

    address: str | None = None
    port: int | None = None
    options: Iterable[SocketOption] = ()
    sock: Socket | None = None
    reuse_port: bool = False
    max_tasks: int = 1000
    dropped_count: int = 0

    _transport: asyncio.DatagramTransport | None = None
    _is_async: bool = False
    _is_full: bool = False
    _is_paused: bool = False

    def __init__(self, address: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        super().__init__(**given(address=address, port=port), **kwargs)
        check_place(self)
        if self.max_tasks < 1:
            raise InvalidArgumentError(argument="max_tasks", value=self.max_tasks, expected="an int >= 1")

    def __repr__(self) -> str:
        return (
            f"<{type(self).__qualname__} {self.address}:{self.port} "
            f"tasks={len(self._tasks or ())} dropped={self.dropped_count}>"
        )

    @abstractmethod
    def handle_datagram(self, data: bytes, addr: Any) -> Any:
        """Take one datagram; `addr` is who sent it."""

    def healthy(self) -> bool:
        """Say whether datagrams are received."""
        return self._transport is not None and not self._transport.is_closing()

    def sendto(self, data: bytes, addr: Any) -> None:
        """Send one datagram; it is dropped and counted while the system takes no more.

        Raises:
            MisuseError: the service is not started.
        """
        if self._transport is None:
            raise MisuseError(what=repr(self), problem="sends nothing before it is started")
        if self._is_paused:
            self.dropped_count += 1
            return
        self._transport.sendto(data, addr)

    async def start(self) -> None:
        """Listen, and return."""
        self._is_async = inspect.iscoroutinefunction(self.handle_datagram)
        sock = await open_socket(self, "udp")
        take_name(self, sock)
        self._transport, _ = await self.loop.create_datagram_endpoint(lambda: _Receiver(self), sock=sock)

    async def stop(self, exception: Any = None) -> None:
        """Take no more datagrams, and cancel the handlers."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        await super().stop(exception)

    def _take(self, data: bytes, addr: Address) -> None:
        if self._is_async and len(self._tasks or ()) >= self.max_tasks:
            self.dropped_count += 1
            if not self._is_full:
                self._is_full = True
                log.warning("%r drops datagrams: max_tasks handlers run", self)
            return
        self._is_full = False
        try:
            result = self.handle_datagram(data, addr)
        except Exception as error:  # supervisor: one datagram's failure is not the others'
            log.error("%r failed to handle a datagram", self, exc_info=error)
            return
        if inspect.isawaitable(result):
            _ = self.create_task(self._finish(result))

    async def _finish(self, result: Awaitable[object]) -> None:
        try:
            await result
        except Exception as error:  # supervisor: one datagram's failure is not the others'
            log.error("%r failed to handle a datagram", self, exc_info=error)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, server: UDPServer) -> None:
        self._server = server
        self.datagram_received = server._take  # type: ignore[method-assign]  # a call less for each datagram

    def error_received(self, exc: Exception) -> None:
        """An answer did not arrive."""
        log.debug("%r: %s", self._server, exc)

    def pause_writing(self) -> None:
        """The system takes no more."""
        self._server._is_paused = True

    def resume_writing(self) -> None:
        """The system takes more."""
        self._server._is_paused = False
