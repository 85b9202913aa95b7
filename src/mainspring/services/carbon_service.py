"""`CarbonSender`: counters, meters and timers of aiocarbon go to a carbon server (extra `carbon`)."""

import logging
import re
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from mainspring.base import load_extra
from mainspring.concurrency import PeriodicCallback
from mainspring.errors import InvalidArgumentError
from mainspring.resilience import timeout
from mainspring.runtime import Service

log = logging.getLogger(__name__)

CarbonProtocol: TypeAlias = Literal["udp", "tcp", "pickle"]

_CLIENTS: Final = {"udp": "UDPClient", "tcp": "TCPClient", "pickle": "PickleClient"}
_FOREIGN: Final = re.compile(r"[^\w-]+")


def strip_carbon_ns(name: str) -> str:
    """Return one part of a metric's name as carbon takes it.

    Example:
        >>> strip_carbon_ns("My Host (1)")
        'my_host_1'
    """
    return _FOREIGN.sub("_", name).strip("_").lower()


class CarbonSender(Service):
    """Sends what `aiocarbon.Counter`, `Meter` and `Timer` have gathered to a carbon server, again and again.

    It makes its client the one of the loop's thread. Metrics of the second that has not ended stay for the next
    time. A failure is logged, and the metrics of that time may be lost.

    Attributes:
        host: of the server.
        port: of the server.
        send_interval: seconds from one time to the next.
        protocol: "udp", "tcp" or "pickle".
        namespace: parts of the name before each metric's own.
        storage: how metrics of one second become one, an object of `aiocarbon`; None adds them up.
        send_timeout: seconds that one time may take.

    Raises:
        InvalidArgumentError: there is no such protocol.
        MissingExtraError: (from the start) the extra `carbon` is not installed.
    """

    host: str = "127.0.0.1"
    port: int = 2003
    send_interval: float = 5.0
    protocol: CarbonProtocol = "udp"
    namespace: Sequence[str] = ("",)
    storage: Any = None  # Any: of aiocarbon
    send_timeout: float = 10.0

    _client: Any = None
    _beat: PeriodicCallback | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.protocol not in _CLIENTS:
            expected = f"one of {', '.join(_CLIENTS)}"
            raise InvalidArgumentError(argument="protocol", value=self.protocol, expected=expected)

    async def start(self) -> None:
        """Begin to send, and return."""
        aiocarbon = load_extra("aiocarbon", feature="sending to carbon", extra="carbon")
        namespace = ".".join(part for one in self.namespace if (part := strip_carbon_ns(one)))
        make = getattr(aiocarbon, _CLIENTS[self.protocol])
        self._client = make(self.host, self.port, namespace=namespace, storage=self.storage)
        aiocarbon.set_client(self._client)
        self._beat = PeriodicCallback(self.send)
        self._beat.start(self.send_interval, self.loop, delay=self.send_interval, shield=True)

    async def stop(self, exception: Any = None) -> None:
        """Send for the last time."""
        if self._beat is not None:
            _ = self._beat.stop(return_exceptions=True)
            self._beat = None
            await self.send()
            self._close_socket()

    async def send(self) -> None:
        """Send what has been gathered."""
        try:
            await timeout(self.send_timeout)(self._client.send)()
        except (OSError, ValueError) as error:
            log.warning("metrics were not sent to %s:%d: %s", self.host, self.port, str(error) or type(error).__name__)
            self._close_socket()

    def _close_socket(self) -> None:
        """Close the socket of UDP; aiocarbon leaves it open, or closed for good after an error."""
        sock = getattr(self._client, "socket", None)
        if sock is not None:
            if not sock.is_closed:
                sock.close()
            self._client.socket = type(sock)()
