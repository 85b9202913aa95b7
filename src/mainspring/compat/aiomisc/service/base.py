"""`aiomisc.service.base`: what services are made of."""

from mainspring.runtime import Service, ServiceMeta
from mainspring.services import SimpleClient, SimpleServer, TaskStoreBase

__all__ = ("Service", "ServiceMeta", "SimpleClient", "SimpleServer", "TaskStoreBase")
