"""A TCP proxy between a client and a server under test, which can be slow, lie, stall, refuse and cut."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Final, Self, TypeAlias

from mainspring.errors import InvalidArgumentError, MisuseError

ContentProcessor: TypeAlias = Callable[[bytes], bytes | Awaitable[bytes]]

_PIECE: Final = 1 << 16
_TIMEOUT: Final = 30.0


class TCPProxy:
    """Forwards TCP connections to a target and does to them what a bad network does.

    Directions are named as the proxy sees its client: *read* is what it reads from the client and passes to the
    target, *write* is what it writes to the client. Used from one loop.

    Args:
        target_host, target_port: where connections go.
        listen_host: where the proxy listens, on a port that the system chooses.
        buffered: keep up to 64 KiB for each slow end; False: pass on nothing before the last piece is sent.

    Attributes:
        proxy_host, proxy_port: where clients connect, once it is started.
        read_delay, write_delay: seconds that each piece waits.
        clients: the writers of the open connections of clients.

    Example:
        >>> async def main() -> None:
        ...     async def echo(reader, writer):
        ...         writer.write(await reader.read(100))
        ...         writer.close()
        ...
        ...     server = await asyncio.start_server(echo, "127.0.0.1", 0)
        ...     async with server, TCPProxy(*server.sockets[0].getsockname()) as proxy:
        ...         proxy.set_content_processors(bytes.upper, None)
        ...         reader, writer = await proxy.create_client()
        ...         writer.write(b"hello")
        ...         print(await reader.read())
        ...         writer.close()
        >>> asyncio.run(main())
        b'HELLO'
    """

    def __init__(
        self, target_host: str, target_port: int, listen_host: str = "127.0.0.1", buffered: bool = True
    ) -> None:
        self.target_host = target_host
        self.target_port = target_port
        self.listen_host = listen_host
        self.buffered = buffered
        self.read_delay = 0.0
        self.write_delay = 0.0
        self.read_processor: ContentProcessor | None = None
        self.write_processor: ContentProcessor | None = None
        self.clients: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refuses = False
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def proxy_host(self) -> str:
        """The address where clients connect."""
        return self._address()[0]

    @property
    def proxy_port(self) -> int:
        """The port where clients connect."""
        return self._address()[1]

    async def start(self, timeout: float | None = None) -> asyncio.Server:
        """Listen; within `timeout` seconds, 30 by default."""
        async with asyncio.timeout(_TIMEOUT if timeout is None else timeout):  # noqa: TID251  # what measures others stands alone
            self._server = await asyncio.start_server(self._on_client, self.listen_host, 0)
        return self._server

    async def close(self, timeout: float | None = None) -> None:
        """Listen no more and cut all connections; within `timeout` seconds, 30 by default."""
        if self._server is None:
            return
        async with asyncio.timeout(_TIMEOUT if timeout is None else timeout):  # noqa: TID251  # what measures others stands alone
            self._server.close()
            await self.disconnect_all()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def create_client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the proxy; the caller closes the writer."""
        return await asyncio.open_connection(self.proxy_host, self.proxy_port)

    def disconnect_all(self) -> "asyncio.Future[list[BaseException | None]]":
        """Cut all connections on both sides; await the answer to know that it has happened."""
        for connection in self._connections:
            connection.cancel()
        return asyncio.gather(*self._connections, return_exceptions=True)

    def set_delay(self, read_delay: float, write_delay: float = 0) -> None:
        """Let each piece wait for so many seconds, in each direction, from now on.

        Raises:
            InvalidArgumentError: a delay is below 0.
        """
        for name, value in (("read_delay", read_delay), ("write_delay", write_delay)):
            if value < 0:
                raise InvalidArgumentError(argument=name, value=value, expected="0 s or more")
        self.read_delay, self.write_delay = read_delay, write_delay

    @contextmanager
    def slowdown(self, read_delay: float = 0, write_delay: float = 0) -> Generator[None]:
        """Delay each piece inside of the block, then as before."""
        before = self.read_delay, self.write_delay
        self.set_delay(read_delay, write_delay)
        try:
            yield
        finally:
            self.set_delay(*before)

    def set_content_processors(self, read: ContentProcessor | None, write: ContentProcessor | None) -> None:
        """Change what passes: `read` what goes to the target, `write` what goes to the client; None: as it is.

        A processor gets each piece as it comes and returns bytes, or is a coroutine function that does.
        """
        self.read_processor, self.write_processor = read, write

    @contextmanager
    def stalled(self) -> Generator[None]:
        """Let nothing through inside of the block, without a sign; then everything that has waited."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @contextmanager
    def refusing(self) -> Generator[None]:
        """Cut new connections at once inside of the block; those that are open stay."""
        self._refuses = True
        try:
            yield
        finally:
            self._refuses = False

    def __repr__(self) -> str:
        return f"<TCPProxy to {self.target_host}:{self.target_port} clients={len(self.clients)}>"

    def _address(self) -> tuple[str, int]:
        if self._server is None:
            raise MisuseError(what="the proxy", problem="has no address before it is started")
        address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return address

    def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        connection = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="proxied connection")
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.add(writer)
        ends, ended = [writer], False
        try:
            their_reader, their_writer = await asyncio.open_connection(self.target_host, self.target_port)
            ends.append(their_writer)
            for end in ends if not self.buffered else ():
                end.transport.set_write_buffer_limits(0)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, their_writer, reads=True))
                pumps.create_task(self._pump(their_reader, writer, reads=False))
            ended = True
        except* OSError:
            pass  # one side is gone: the other one learns it by the cut below
        finally:
            self.clients.discard(writer)
            for end in ends:
                end.close() if ended else end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reads: bool) -> None:
        while piece := await reader.read(_PIECE):
            if delay := self.read_delay if reads else self.write_delay:
                await asyncio.sleep(delay)
            await self._flowing.wait()
            processor = self.read_processor if reads else self.write_processor
            if processor is not None:
                processed = processor(piece)
                piece = await processed if inspect.isawaitable(processed) else processed
            writer.write(piece)
            await writer.drain()
        if not writer.is_closing():
            writer.write_eof()
