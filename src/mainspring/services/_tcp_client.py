"""TCP clients: one that connects once, and one that never gives up."""

import asyncio
import logging
import ssl
from abc import abstractmethod
from typing import Any, Final

from mainspring.base import Backoff
from mainspring.errors import MisuseError
from mainspring.resilience import RetryAttempt, retry, timeout
from mainspring.services._listening import given
from mainspring.services._simple_server import SimpleClient
from mainspring.services._tcp_server import close_writer

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.1
_WELL_SECONDS: Final = 1.0  # a shorter connection does not make the pauses begin anew

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TCPClient(SimpleClient):
    """Connects to a TCP server and talks to it. Subclass it and write `handle_connection(reader, writer)`.

    It is ready when it is connected. The writer is closed when the handler returns or fails; failures are
    logged. When the program stops, the handler and the tasks of `create_task` are cancelled.

    Args:
        address: of the server.
        port: of the server.

    Attributes:
        connect_attempts: how often it tries to connect.
        connect_retry_timeout: seconds between two tries.
        connect_backoff: the pauses between tries instead of those two.
        connect_timeout: seconds that one try may take, the look-up of the name and TLS included.
        close_timeout: seconds in which the server must take what was written before the handler ended.
        limit: bytes that the reader keeps before it stops reading.

    Raises:
        MisuseError: address or port is missing.
        OSError: (from the start) no try came through; TimeoutError is one.
    """

    __async_required__ = ("handle_connection",)

    address: str = ""
    port: int = 0
    connect_attempts: int = 5
    connect_retry_timeout: float = 3.0
    connect_backoff: Backoff | None = None
    connect_timeout: float = 10.0
    close_timeout: float = 5.0
    limit: int = 1 << 16

    def __init__(self, address: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        super().__init__(**given(address=address, port=port), **kwargs)
        if not (self.address and self.port):
            raise MisuseError(what=f"a {type(self).__qualname__}", problem="needs address= and port=")

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.address}:{self.port} {'ready' if self.ready else 'waiting'}>"

    @abstractmethod
    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        """Talk to the server until there is nothing more to say."""

    async def make_context(self) -> ssl.SSLContext | None:
        """Return what the connection is encrypted with; None for nothing."""
        return None

    def tls_arguments(self) -> dict[str, Any]:
        """Return what the loop is told about TLS, the context aside."""
        return {}

    async def start(self) -> None:
        """Connect and talk."""
        reader, writer = await self._connect(await self.make_context())
        self.start_event.set()
        await self._talk(reader, writer)

    async def _connect(self, context: ssl.SSLContext | None) -> Streams:
        pauses = Backoff.constant(self.connect_retry_timeout, max_tries=self.connect_attempts)
        persistently = retry(on=_may_pass, backoff=self.connect_backoff or pauses, on_retry=self._note_failure)
        return await persistently(self._open)(context)

    def _note_failure(self, failed: RetryAttempt) -> None:
        pause, error = failed.delay, failed.exception
        log.warning("%r could not connect, it tries again in %.3g s: %s", self, pause, _said(error))

    async def _open(self, context: ssl.SSLContext | None) -> Streams:
        connect = timeout(self.connect_timeout)(asyncio.open_connection)
        tls = self.tls_arguments() if context else {}
        return await connect(self.address, self.port, limit=self.limit, ssl=context, **tls)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.handle_connection(reader, writer)
        except OSError as error:
            log.warning("%r lost its connection: %s", self, _said(error))
        except Exception as error:  # supervisor: a failed conversation is no failed program
            log.error("%r failed in its conversation", self, exc_info=error)
        finally:
            await close_writer(writer, self.close_timeout)


class RobustTCPClient(TCPClient):
    """A TCP client that connects again whenever the connection ends, for ever; see `TCPClient`.

    It is ready after the first connection, and healthy while it is connected. Each new reason for which it cannot
    connect is logged as a warning; a certificate that is refused before the first connection is raised. Pauses
    between connections grow up to `reconnect_timeout`, with chance, and begin anew after a connection that lasted
    longer; a server that hangs up at once is not asked without a pause.

    Attributes:
        reconnect_timeout: the longest pause in seconds.
        reconnect_backoff: the pauses instead; one that ends ends the service with the error.
        connected: set while it is connected.
    """

    reconnect_timeout: float = 5.0
    reconnect_backoff: Backoff | None = None

    def __init__(self, address: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        super().__init__(address, port, **kwargs)
        self.connected = asyncio.Event()

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self.connected = asyncio.Event()

    def healthy(self) -> bool:
        """Say whether it is connected."""
        return self.connected.is_set()

    async def start(self) -> None:
        """Connect, talk, and begin again."""
        context = await self.make_context()
        longest = self.reconnect_timeout
        backoff = self.reconnect_backoff or Backoff(min(_FIRST_PAUSE, longest), maximum=longest, jitter="full")
        pauses = backoff.delays()
        said = ""
        while True:
            failure: OSError | None = None
            try:
                reader, writer = await self._open(context)
            except OSError as error:
                if isinstance(error, ssl.SSLCertVerificationError) and not self.start_event.is_set():
                    raise  # the program is told, rather than left to wait for ever
                failure = error
                before, said = said, _said(error)
                level = logging.DEBUG if said == before else logging.WARNING
                log.log(level, "%r cannot connect, it tries on: %s", self, said)
            else:
                said = ""
                began = self.loop.time()
                await self._while_connected(reader, writer)
                if self.loop.time() - began > max(_WELL_SECONDS, backoff.maximum):
                    pauses = backoff.delays()
            pause = next(pauses, None)
            if pause is None:
                raise failure or ConnectionResetError("the server ended every connection")
            await asyncio.sleep(pause)

    async def _while_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.set()
        self.start_event.set()
        try:
            await self._talk(reader, writer)
        finally:
            self.connected.clear()


def _may_pass(error: Exception) -> bool:
    """Tell whether another try can end better; none makes a certificate good."""
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLCertVerificationError)


def _said(error: BaseException | None) -> str:
    return str(error) or type(error).__name__
