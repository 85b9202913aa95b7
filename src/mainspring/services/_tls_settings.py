"""What every service that serves over TLS is told about it."""

import ssl

from mainspring.concurrency import threaded
from mainspring.services._tls import CIPHERS, Ciphers, PathOrStr, SSLOptions


class TLSSettings:
    """The TLS half of a server's attributes, as `SSLOptions` names them, and the context that they make."""

    cert: PathOrStr
    key: PathOrStr
    ca: PathOrStr | None = None
    require_client_cert: bool = False
    verify: bool = True
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ciphers: Ciphers = CIPHERS

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
