"""`aiomisc.service`: ready classes of services."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.runtime import Service as Service
    from mainspring.runtime import ServiceMeta as ServiceMeta
    from mainspring.services import MemoryTracer as MemoryTracer
    from mainspring.services import ProcessService as ProcessService
    from mainspring.services import Profiler as Profiler
    from mainspring.services import RespawningProcessService as RespawningProcessService
    from mainspring.services import RobustTCPClient as RobustTCPClient
    from mainspring.services import RobustTLSClient as RobustTLSClient
    from mainspring.services import SimpleServer as SimpleServer
    from mainspring.services import TCPClient as TCPClient
    from mainspring.services import TCPServer as TCPServer
    from mainspring.services import TLSClient as TLSClient
    from mainspring.services import TLSServer as TLSServer
    from mainspring.services import UDPServer as UDPServer
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "mainspring.runtime": ("Service", "ServiceMeta"),
            "mainspring.services": (
                "MemoryTracer",
                "ProcessService",
                "Profiler",
                "RespawningProcessService",
                "RobustTCPClient",
                "RobustTLSClient",
                "SimpleServer",
                "TCPClient",
                "TCPServer",
                "TLSClient",
                "TLSServer",
                "UDPServer",
            ),
        },
    )
