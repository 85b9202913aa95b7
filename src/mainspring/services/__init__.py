"""Services: ready classes of services, started and stopped by an entrypoint.

Servers and clients of TCP, TLS and UDP; servers of HTTP and gRPC; periodic work, cron, processes; DNS; what watches
a program: profiler, memory tracer, Sentry, carbon, systemd.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.services._console_protocol import ConsoleAnswer as ConsoleAnswer
    from mainspring.services._console_protocol import ConsoleGreeting as ConsoleGreeting
    from mainspring.services._console_protocol import ConsoleQuestion as ConsoleQuestion
    from mainspring.services._console_protocol import Listing as Listing
    from mainspring.services._console_service import ConsoleService as ConsoleService
    from mainspring.services._cron_service import CronService as CronService
    from mainspring.services._dns_records import DNSRecord as DNSRecord
    from mainspring.services._dns_records import DNSRecords as DNSRecords
    from mainspring.services._dns_records import RecordKind as RecordKind
    from mainspring.services._dns_records import RecordType as RecordType
    from mainspring.services._dns_store import DNSStore as DNSStore
    from mainspring.services._dns_store import DNSZone as DNSZone
    from mainspring.services._lifespan import ASGIApplicationType as ASGIApplicationType
    from mainspring.services._lifespan import ASGIReceiveType as ASGIReceiveType
    from mainspring.services._lifespan import ASGIScopeType as ASGIScopeType
    from mainspring.services._lifespan import ASGISendType as ASGISendType
    from mainspring.services._lifespan import LifespanMode as LifespanMode
    from mainspring.services._memory_tracer import GroupBy as GroupBy
    from mainspring.services._memory_tracer import MemoryTracer as MemoryTracer
    from mainspring.services._periodic_service import PeriodicService as PeriodicService
    from mainspring.services._process_service import ProcessService as ProcessService
    from mainspring.services._process_service import RespawningProcessService as RespawningProcessService
    from mainspring.services._profiler import Profiler as Profiler
    from mainspring.services._sd_watchdog import SDWatchdogService as SDWatchdogService
    from mainspring.services._simple_server import SimpleClient as SimpleClient
    from mainspring.services._simple_server import SimpleServer as SimpleServer
    from mainspring.services._simple_server import TaskStoreBase as TaskStoreBase
    from mainspring.services._tcp_client import RobustTCPClient as RobustTCPClient
    from mainspring.services._tcp_client import TCPClient as TCPClient
    from mainspring.services._tcp_server import TCPServer as TCPServer
    from mainspring.services._tls import SSLOptions as SSLOptions
    from mainspring.services._tls import get_ssl_context as get_ssl_context
    from mainspring.services._tls_client import RobustTLSClient as RobustTLSClient
    from mainspring.services._tls_client import TLSClient as TLSClient
    from mainspring.services._tls_server import TLSServer as TLSServer
    from mainspring.services._udp_server import UDPServer as UDPServer
    from mainspring.services._websocket_proxy import WebSocketProxyService as WebSocketProxyService
    from mainspring.services.aiohttp_service import AIOHTTPService as AIOHTTPService
    from mainspring.services.aiohttp_service import AIOHTTPSSLService as AIOHTTPSSLService
    from mainspring.services.asgi_service import ASGIHTTPService as ASGIHTTPService
    from mainspring.services.asgi_service import ASGIHTTPSSLService as ASGIHTTPSSLService
    from mainspring.services.carbon_service import CarbonProtocol as CarbonProtocol
    from mainspring.services.carbon_service import CarbonSender as CarbonSender
    from mainspring.services.carbon_service import strip_carbon_ns as strip_carbon_ns
    from mainspring.services.dns_server import TCPDNSServer as TCPDNSServer
    from mainspring.services.dns_server import UDPDNSServer as UDPDNSServer
    from mainspring.services.grpc_service import GRPCPort as GRPCPort
    from mainspring.services.grpc_service import GRPCService as GRPCService
    from mainspring.services.sentry_service import RavenSender as RavenSender
    from mainspring.services.sentry_service import SentrySender as SentrySender
    from mainspring.services.uvicorn_service import UvicornApplication as UvicornApplication
    from mainspring.services.uvicorn_service import UvicornService as UvicornService
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_console_protocol": ("Listing",),
            "_console_service": ("ConsoleService",),
            "_cron_service": ("CronService",),
            "_dns_records": (
                "DNSRecord",
                "DNSRecords",
                "RecordKind",
                "RecordType",
            ),
            "_dns_store": (
                "DNSStore",
                "DNSZone",
            ),
            "_lifespan": (
                "ASGIApplicationType",
                "ASGIReceiveType",
                "ASGIScopeType",
                "ASGISendType",
                "LifespanMode",
            ),
            "_memory_tracer": (
                "GroupBy",
                "MemoryTracer",
            ),
            "_periodic_service": ("PeriodicService",),
            "_process_service": (
                "ProcessService",
                "RespawningProcessService",
            ),
            "_profiler": ("Profiler",),
            "_sd_watchdog": ("SDWatchdogService",),
            "_simple_server": ("SimpleClient", "SimpleServer", "TaskStoreBase"),
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
            "_websocket_proxy": ("WebSocketProxyService",),
            "aiohttp_service": (
                "AIOHTTPSSLService",
                "AIOHTTPService",
            ),
            "asgi_service": (
                "ASGIHTTPSSLService",
                "ASGIHTTPService",
            ),
            "carbon_service": (
                "CarbonProtocol",
                "CarbonSender",
                "strip_carbon_ns",
            ),
            "dns_server": (
                "TCPDNSServer",
                "UDPDNSServer",
            ),
            "grpc_service": (
                "GRPCPort",
                "GRPCService",
            ),
            "sentry_service": (
                "RavenSender",
                "SentrySender",
            ),
            "uvicorn_service": (
                "UvicornApplication",
                "UvicornService",
            ),
        },
        house={"_console_protocol": ("ConsoleAnswer", "ConsoleGreeting", "ConsoleQuestion")},
    )
