"""A TCP server that sends back each line, and a client that tries it.

python examples/services/tcp_echo.py
"""

import asyncio

from mainspring.runtime import run
from mainspring.services import TCPServer


class Echo(TCPServer):
    """Sends back each line."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()


server = Echo(address="127.0.0.1", port=0)


async def main() -> None:
    """Say hello."""
    reader, writer = await asyncio.open_connection(server.address, server.port)
    writer.write(b"hello\n")
    print((await reader.readline()).decode().strip())
    writer.close()
    await writer.wait_closed()


if __name__ == "__main__":
    run(main(), server, log_level="warning")
