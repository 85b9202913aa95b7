"""TLS clients, which know whom they talk to."""

import ssl
from typing import Any

from mainspring.concurrency import threaded
from mainspring.services._tcp_client import RobustTCPClient, TCPClient
from mainspring.services._tls import CIPHERS, Ciphers, PathOrStr, SSLOptions


class TLSClient(TCPClient):
    """Connects to a server over TLS, and refuses one that cannot prove its name; see `TCPClient`.

    Attributes:
        cert: file with a certificate of its own, for servers that ask.
        key: file with the private key of `cert`.
        ca: file with the authorities to trust; None for those of the system.
        verify: False talks to whoever answers, which is logged.
        server_hostname: the name that the server must prove; None for `address`.
        minimum_version: oldest protocol, at least TLS 1.2.
        maximum_version: newest protocol.
        ciphers: those of TLS 1.2, which needs `minimum_version`; one text in OpenSSL's form or several names.

    Raises:
        MisuseError: address or port is missing.
        InvalidArgumentError: a version older than TLS 1.2, or an unknown cipher.
        FileNotFoundError: (from the start) a file is not there.
        ssl.SSLCertVerificationError: (from the start) the server has not proved its name.
    """

    cert: PathOrStr | None = None
    key: PathOrStr | None = None
    ca: PathOrStr | None = None
    verify: bool = True
    server_hostname: str | None = None
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ciphers: Ciphers = CIPHERS

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
            purpose=ssl.Purpose.SERVER_AUTH,
            minimum_version=self.minimum_version,
            maximum_version=self.maximum_version,
            ciphers=self.ciphers,
        )

    async def make_context(self) -> ssl.SSLContext | None:
        """Read the files, in a thread."""
        return await threaded(self.ssl_options().create_context)()

    def tls_arguments(self) -> dict[str, Any]:
        """Return what the loop is told about TLS, the context aside."""
        return {
            "server_hostname": self.server_hostname or self.address,
            "ssl_handshake_timeout": self.connect_timeout,
            "ssl_shutdown_timeout": self.close_timeout,
        }


class RobustTLSClient(TLSClient, RobustTCPClient):
    """A TLS client that connects again whenever the connection ends; see `TLSClient` and `RobustTCPClient`.

    A server that has not proved its name is an error of the start, as that of `TLSClient`; once there was a
    connection, the client tries on.
    """
