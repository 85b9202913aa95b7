"""A UDP server that prints each datagram.

python examples/services/udp_printer.py
"""

import asyncio
import socket

from mainspring.runtime import run
from mainspring.services import UDPServer


class Printer(UDPServer):
    """Prints what comes, and says when it has."""

    async def handle_datagram(self, data: bytes, addr: object) -> None:
        print("->", data.decode())
        printed.set()


server = Printer(address="127.0.0.1", port=0)
printed = asyncio.Event()


async def main() -> None:
    """Send one datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", (server.address, server.port))
    await printed.wait()


if __name__ == "__main__":
    run(main(), server, log_level="warning")
