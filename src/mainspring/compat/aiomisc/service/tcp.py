"""`aiomisc.service.tcp`: servers and clients of TCP."""

from mainspring.services import RobustTCPClient, TCPClient, TCPServer

__all__ = (
    "RobustTCPClient",
    "TCPClient",
    "TCPServer",
)
