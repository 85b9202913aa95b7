"""`aiomisc.service.tls`: servers and clients of TLS. Clients check whom they talk to."""

from mainspring.services import RobustTLSClient, SSLOptions, TLSClient, TLSServer, get_ssl_context

__all__ = (
    "RobustTLSClient",
    "SSLOptions",
    "TLSClient",
    "TLSServer",
    "get_ssl_context",
)
