"""`aiomisc.service.base`: what services are made of."""

from mainspring.runtime import Service, ServiceMeta
from mainspring.services import SimpleServer

__all__ = ("Service", "ServiceMeta", "SimpleServer")
