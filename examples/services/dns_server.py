"""A DNS server for names of one's own, over UDP and TCP. Needs mainspring[dns].

python examples/services/dns_server.py
"""

import asyncio
import socket

from mainspring.runtime import run
from mainspring.services import DNSRecords, DNSStore, DNSZone, TCPDNSServer, UDPDNSServer

zone = DNSZone("test")
zone.add_record(DNSRecords.A.create("www.test", "10.53.53.53"))
zone.add_record(DNSRecords.AAAA.create("www.test", "fd10::53"))

store = DNSStore()
store.add_zone(zone)

udp = UDPDNSServer(store=store, address="127.0.0.1", port=0)
tcp = TCPDNSServer(store=store, address="127.0.0.1", port=0)

QUESTION = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x04test\x00\x00\x01\x00\x01"  # www.test, type A


async def main() -> None:
    """Ask over UDP for an address, as a resolver would."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((udp.address, udp.port))
        await loop.sock_sendall(sock, QUESTION)
        answer = await loop.sock_recv(sock, 512)
    print("www.test has the address", socket.inet_ntoa(answer[-4:]))


if __name__ == "__main__":
    run(main(), udp, tcp, log_level="warning")
