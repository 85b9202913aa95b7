"""TLSServer: a TCPServer whose connections are encrypted."""

from typing import Any

from mainspring.services._tcp_server import TCPServer
from mainspring.services._tls_settings import TLSSettings


class TLSServer(TLSSettings, TCPServer):
    """Serves clients over TLS. Subclass it and write `handle_client(reader, writer)`; see `TCPServer`.

    The files are read at each start. A client that does not end its handshake is dropped.

    Attributes:
        cert: file with the certificate, and its chain.
        key: file with the private key.
        ca: file with the authorities that sign certificates of clients.
        require_client_cert: refuse clients without a certificate that `ca` (or the system's authorities) signed.
        verify: check the certificates that clients send when `ca` is given.
        minimum_version: oldest protocol, at least TLS 1.2.
        maximum_version: newest protocol.
        ciphers: those of TLS 1.2, which needs `minimum_version`; one text in OpenSSL's form or several names.
        handshake_timeout: seconds that a client has for its handshake.

    Raises:
        InvalidArgumentError: a version older than TLS 1.2, or an unknown cipher.
        FileNotFoundError: (from the start) a file is not there.
    """

    __required__ = ("cert", "key")

    handshake_timeout: float = 10.0

    def __init__(self, address: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        super().__init__(address, port, **kwargs)
        self.ssl_options()

    def tls_timeouts(self) -> dict[str, float]:
        """Return the time limits of TLS, for the loop."""
        return {"ssl_handshake_timeout": self.handshake_timeout, "ssl_shutdown_timeout": self.close_timeout}
