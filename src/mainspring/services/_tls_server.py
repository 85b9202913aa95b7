"""TLSServer: a TCPServer whose connections are encrypted."""

import ssl
from typing import Any

from mainspring.concurrency import threaded
from mainspring.services._tcp_server import TCPServer
from mainspring.services._tls import CIPHERS, Ciphers, PathOrStr, SSLOptions


class TLSServer(TCPServer):
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

    cert: PathOrStr
    key: PathOrStr
    ca: PathOrStr | None = None
    require_client_cert: bool = False
    verify: bool = True
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ciphers: Ciphers = CIPHERS
    handshake_timeout: float = 10.0

    def __init__(self, address: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        super().__init__(address, port, **kwargs)
        self.ssl_options()

    def ssl_options(self) -> SSLOptions:
        """Return what the context is made of; override it for more."""
        return SSLOptions(
            cert=self.cert,
            key=self.key,
            ca=self.ca,
            verify=self.verify,
            require_client_cert=self.require_client_cert,
            minimum_version=self.minimum_version,
            maximum_version=self.maximum_version,
            ciphers=self.ciphers,
        )

    async def make_context(self) -> ssl.SSLContext | None:
        """Read the files, in a thread."""
        return await threaded(self.ssl_options().create_context)()

    def tls_timeouts(self) -> dict[str, float]:
        """Return the time limits of TLS, for the loop."""
        return {"ssl_handshake_timeout": self.handshake_timeout, "ssl_shutdown_timeout": self.close_timeout}
