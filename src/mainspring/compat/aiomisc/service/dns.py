"""`aiomisc.service.dns`: zones of one's own, answered over UDP and TCP."""

from mainspring.services import DNSRecord, DNSStore, DNSZone, RecordType, TCPDNSServer, UDPDNSServer
from mainspring.services import DNSRecords as records  # noqa: N813  # a module there

__all__ = (
    "DNSRecord",
    "DNSStore",
    "DNSZone",
    "RecordType",
    "TCPDNSServer",
    "UDPDNSServer",
    "records",
)
