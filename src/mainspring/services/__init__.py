"""Services: ready classes of services, started and stopped by an entrypoint. Servers and clients of TCP, TLS, UDP."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.services._simple_server import SimpleServer as SimpleServer
    from mainspring.services._tcp_client import RobustTCPClient as RobustTCPClient
    from mainspring.services._tcp_client import TCPClient as TCPClient
    from mainspring.services._tcp_server import TCPServer as TCPServer
    from mainspring.services._tls import SSLOptions as SSLOptions
    from mainspring.services._tls import get_ssl_context as get_ssl_context
    from mainspring.services._tls_client import RobustTLSClient as RobustTLSClient
    from mainspring.services._tls_client import TLSClient as TLSClient
    from mainspring.services._tls_server import TLSServer as TLSServer
    from mainspring.services._udp_server import UDPServer as UDPServer
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_simple_server": ("SimpleServer",),
            "_tcp_client": (
                "RobustTCPClient",
                "TCPClient",
            ),
            "_tcp_server": ("TCPServer",),
            "_tls": (
                "SSLOptions",
                "get_ssl_context",
            ),
            "_tls_client": (
                "RobustTLSClient",
                "TLSClient",
            ),
            "_tls_server": ("TLSServer",),
            "_udp_server": ("UDPServer",),
        },
    )
