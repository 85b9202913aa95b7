"""Services: ready classes of services, which an entrypoint starts and stops. Servers and clients of TCP."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.services._simple_server import SimpleServer as SimpleServer
    from mainspring.services._tcp_server import TCPServer as TCPServer
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_simple_server": ("SimpleServer",),
            "_tcp_server": ("TCPServer",),
        },
    )
