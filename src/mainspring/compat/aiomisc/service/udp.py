"""`aiomisc.service.udp`: servers of UDP."""

from mainspring.services import UDPServer

__all__ = ("UDPServer",)
