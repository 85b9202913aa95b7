"""Counters go to a carbon server every few seconds; here a small server plays it. Needs mainspring[carbon].

python examples/services/carbon.py
"""

import asyncio

from aiocarbon import Counter

from mainspring.runtime import entrypoint
from mainspring.services import CarbonSender, TCPServer


class Carbon(TCPServer):
    """Prints the names of what arrives."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            print("arrived:", line.split()[0].decode())
            arrived.set()


arrived = asyncio.Event()


async def main() -> None:
    """Count once; a second is sent when it is over."""
    server = Carbon(address="127.0.0.1", port=0)
    async with entrypoint(server, log_level="warning") as program:
        sender = CarbonSender(port=server.port, protocol="tcp", send_interval=0.2, namespace=("shop", "corner"))
        await program.start_services(sender)
        with Counter("visits"):
            pass
        await arrived.wait()


if __name__ == "__main__":
    asyncio.run(main())
