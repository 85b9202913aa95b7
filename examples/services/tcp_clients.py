"""A client that connects once, and one that comes again whenever the connection ends.

python examples/services/tcp_clients.py
"""

import asyncio

from mainspring import Service
from mainspring.runtime import entrypoint
from mainspring.services import RobustTCPClient, TCPClient, TCPServer


class Greeter(TCPServer):
    """Greets each client by its number and hangs up."""

    greeted = 0

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greeted += 1
        writer.write(b"hello, number %d\n" % self.greeted)


class Once(TCPClient):
    """Prints the greeting."""

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        print("once:", (await reader.readline()).decode().strip())


class Again(RobustTCPClient):
    """Prints the greetings of three connections."""

    reconnect_timeout = 0.1
    seen = 0

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        print("again:", (await reader.readline()).decode().strip())
        self.seen += 1
        if self.seen == 3:
            enough.set()


enough = asyncio.Event()


async def main() -> None:
    """Start the server first, to know its port."""
    greeter = Greeter(address="127.0.0.1", port=0)
    async with entrypoint(greeter, log_level="warning") as program:
        for kind in (Once, Again):
            client: Service = kind(address="127.0.0.1", port=greeter.port)
            await program.start_services(client)
        await enough.wait()


if __name__ == "__main__":
    asyncio.run(main())
